import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { emptyGameState, RecordingImporter } from '@gametape/shared/lmsp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileSink } from '../../server/dist/file-sink.js';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';
import { partsOf, u32, V1_FILE } from '../lmsp/pickle-maker.ts';
import { RECORDING_ID } from '../lmsp/session-maker.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { gametape } from './gametape.ts';

const EVENTS = 900;
const TIMES = 8;
const CODE_LENGTH = 9_000;
/** What the long one may take beyond the short one; its events written out are more than 50 MiB longer. */
const ALLOWED_GROWTH_MIB = 30;
const PICKLED_EVENTS = 2_000;
/**
 * So that peaks are of what is alive: without this, V8 collects the later the more memory the machine has. What kept the events
 * would not fit into this heap.
 */
const HEAP = '--max-semi-space-size=2 --max-old-space-size=64';

let directory: string;
let report: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-memory-'));
  report = join(directory, 'report.mjs');
  await writeFile(
    report,
    `import { writeFileSync } from 'node:fs';
    process.on('exit', () => writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS / 1024)));`,
  );
  await writeSession(join(directory, 'short.lmsp'), EVENTS);
  await writeSession(join(directory, 'long.lmsp'), TIMES * EVENTS);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('[R6] converting takes no more memory for a session that is 8 times as long,', { timeout: 240_000 }, () => {
  test.each([
    ['lmsp.gz', []],
    ['json', []],
    ['ndjson', []],
    ['csv', ['--state']],
    ['parquet', ['--state']],
  ])('to .%s', async (format, options) => {
    const [short, long] = await peaks('lmsp', format, options);
    expect(long - short).toBeLessThan(ALLOWED_GROWTH_MIB);
    // The comparison is of something: what is not packed is that much longer.
    if (format === 'json' || format === 'csv') {
      const bytes = async (name: string) => (await stat(join(directory, `${name}.${format}`))).size;
      expect((await bytes('long')) - (await bytes('short'))).toBeGreaterThan(50 * 1024 * 1024);
    }
  });

  test.each(['lmsp.gz', 'ndjson'])('from .%s', async (format) => {
    for (const name of ['short', 'long']) await convert(`${name}.lmsp`, `${name}.${format}`);
    const [short, long] = await peaks(format, 'again.lmsp');
    expect(long - short).toBeLessThan(ALLOWED_GROWTH_MIB);
  });

  test("from the seed's binary format", async () => {
    const whole = await readFile(V1_FILE);
    const [metadata, event] = partsOf(whole);
    if (!metadata || !event) throw new Error('the committed session has no event');
    const checkpoints = whole.subarray(partsOf(whole).at(-1)?.offset);
    for (const [name, count] of [
      ['short', PICKLED_EVENTS],
      ['long', TIMES * PICKLED_EVENTS],
    ] as const) {
      const framed = Buffer.concat([u32(event.bytes.length), event.bytes]);
      const head = Buffer.concat([whole.subarray(0, metadata.offset + metadata.bytes.length), u32(count)]);
      const end = Buffer.concat([u32(checkpoints.length), checkpoints]);
      await writeFile(join(directory, `${name}.bin`), Buffer.concat([head, ...Array(count).fill(framed), end]));
    }
    const [short, long] = await peaks('bin', 'from-bin.lmsp');
    expect(long - short).toBeLessThan(ALLOWED_GROWTH_MIB);
  });
});

async function peaks(
  from: string,
  to: string,
  options: readonly string[] = [],
): Promise<[short: number, long: number]> {
  return [await convert(`short.${from}`, `short.${to}`, options), await convert(`long.${from}`, `long.${to}`, options)];
}

/** Resolves with the peak of resident memory, in MiB. */
async function convert(from: string, to: string, options: readonly string[] = []): Promise<number> {
  const [input, output, peak] = [from, to, 'peak'].map((name) => join(directory, name)) as [string, string, string];
  const env = { NODE_OPTIONS: `--import ${pathToFileURL(report).href} ${HEAP}`, PEAK_FILE: peak };
  const done = await gametape(['convert', input, '-o', output, '--overwrite', ...options], { env });
  expect(done).toMatchObject({ code: 0, stderr: '' });
  return Number(await readFile(peak, 'utf8'));
}

/** Two players who edit a text that stays as long as it is. */
async function writeSession(path: string, events: number): Promise<void> {
  const sink = await FileSink.create(path);
  const meta = { recordingId: RECORDING_ID, room: 'room', profile: 'lmsp', createdAt: 1_700_000_000 };
  const importer = new RecordingImporter(sink, meta, NODE_COMPRESSION);
  const random = seededRandom(3);
  const codes = new Map(['ann', 'bob'].map((player) => [player, 'x = 1\n'.repeat(CODE_LENGTH / 6)]));
  for (let index = 0; index < events; index++) {
    const player = index % 2 === 0 ? 'ann' : 'bob';
    const code = codes.get(player) ?? '';
    const at = Math.floor(random() * code.length);
    const char = String.fromCharCode(97 + Math.floor(random() * 26));
    const current_code = code.slice(0, at) + char + code.slice(at + 1);
    codes.set(player, current_code);
    const timestamp = index * 0.125;
    const state = { ...emptyGameState(player), current_code, cursor_position: [0, at], session_duration: timestamp };
    await importer.add({ timestamp, player, event: { type: 'keystroke', data: { char, modifiers: [] } }, state });
  }
  await importer.finish({ durationS: events * 0.125 });
  await sink.finish();
}
