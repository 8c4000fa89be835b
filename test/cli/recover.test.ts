import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileServer } from '../support/file-server.ts';
import { gametape } from './gametape.ts';

/** Nine blocks. */
const WHOLE = fileURLToPath(new URL('../vectors/many-blocks.lmsp', import.meta.url));
const A_BYTE_OF_THE_THIRD_BLOCK = 900;

let directory: string;
let broken: string;
let bytes: Uint8Array;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-cli-'));
  broken = join(directory, 'broken.lmsp');
  bytes = await readFile(WHOLE);
  bytes[A_BYTE_OF_THE_THIRD_BLOCK] = (bytes[A_BYTE_OF_THE_THIRD_BLOCK] ?? 0) ^ 1;
  await writeFile(broken, bytes);
});
afterAll(() => rm(directory, { recursive: true }));

describe('recover', () => {
  test('[R3] writes what is intact, says what is lost, and leaves the file alone', async () => {
    const output = join(directory, 'recovered.lmsp');
    const { code, stdout } = await gametape(['recover', broken, '-o', output, '--json']);
    expect(code).toBe(3);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ input: broken, output, blocks: { damaged: 1 }, complete: false });
    expect(report.lost).toMatchObject([{ seqFrom: 25, seqTo: 36, events: 12 }]);
    expect(await gametape(['verify', output])).toMatchObject({ code: 0 });
    expect(await readFile(broken)).toEqual(bytes);
  });

  test('[R3] takes standard input and URLs, and writes standard output', async () => {
    const own = join(directory, 'own.lmsp');
    expect((await gametape(['recover', broken, '-o', own])).code).toBe(3);
    const expected = await readFile(own);
    const server = await FileServer.start({ '/broken.lmsp': bytes });
    for (const [input, stdin] of [
      ['-', bytes],
      [server.url('/broken.lmsp'), undefined],
    ] as const) {
      const output = join(directory, `from-${stdin ? 'stdin' : 'url'}.lmsp`);
      expect((await gametape(['recover', input, '-o', output], stdin && { stdin })).code).toBe(3);
      expect(await readFile(output)).toEqual(expected);
    }
    const { code, stdout, stderr } = await gametape(['recover', broken, '-o', '-', '--json']);
    expect([code, stdout.startsWith('LMSP')]).toEqual([3, true]);
    expect(stderr).toContain('<stdout>: ');
  });

  test('[R3] writes nothing when there is nothing to recover', async () => {
    const output = join(directory, 'nothing.lmsp');
    const { code, stderr } = await gametape(['recover', '-', '-o', output], { stdin: bytes.subarray(0, 100) });
    expect(code).toBe(5);
    expect(stderr).toContain('<stdin>');
    await expect(readFile(output)).rejects.toThrow('ENOENT');
  });
});
