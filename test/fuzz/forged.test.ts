import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORGED_FILES } from '../support/forged-files.ts';

const OPENER = fileURLToPath(new URL('../support/open-forged.mjs', import.meta.url));
/** What a reader may take beside the file itself, which it was given in memory. */
const MAX_MIB = 64;

/** Of CPU time, on a machine that does other things too. Alone, each takes about a tenth of a second. */
const HANG_MS = 5_000;
/** `npm run fuzz` prints what each takes. */
const ALL = process.env.GAMETAPE_FUZZ === 'all';

interface Outcome {
  readonly path: string;
  readonly what: 'open' | 'verify' | 'recover';
  readonly ms: number;
  readonly mib: number;
  readonly result: string;
}

describe('a forged file, every checksum of it right', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gametape-forged-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  test.for(FORGED_FILES)('[R3] [W11] $name', async ({ make }) => {
    const path = join(directory, 'forged.lmsp');
    await writeFile(path, make());
    const { stdout } = await promisify(execFile)('node', [OPENER, path], { maxBuffer: 64 * 1_024 * 1_024 });
    const outcomes = stdout
      .trim()
      .split('\n')
      .map((line): Outcome => JSON.parse(line));
    if (ALL)
      for (const { what, ms, mib } of outcomes) console.log(`${what}: ${ms.toFixed(0)} ms, ${mib.toFixed(0)} MiB`);
    expect(outcomes.map(({ what }) => what)).toEqual(['open', 'verify', 'recover']);
    for (const { what, ms, mib, result } of outcomes) {
      expect(result, what).not.toContain('UNEXPECTED');
      expect(ms, what).toBeLessThan(HANG_MS);
      expect(mib, what).toBeLessThan(MAX_MIB);
    }
  });
});
