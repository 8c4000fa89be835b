import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BytesSink } from '@gametape/shared';
import { importLmsp, lmspJson } from '@gametape/shared/lmsp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBinary, V1_FILE, V1_JSON } from './pickle-maker.ts';
import { askSeed, hasSeed } from './seed-side.ts';
import { chunksOf, collect, failureOf, RECORDING_ID } from './session-maker.ts';

const DATA = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const SESSIONS = 18;

/** Values that Python pickles and JSON holds, as Python writes them. */
const FITTING = [
  '2**53',
  '2**60',
  '-(2**31) - 1',
  '-(2**40)',
  '-(2**63)',
  '-1',
  '255',
  '[2**31, -(2**31), 65535, 65536, -128, 2**32]',
  '-0.0',
  '1e16',
  '5e-324',
  '(1, (2, [3, ()]))',
  '"\\ufeffx"',
  '"\\ud800"',
  '"a\\udfffb\\U0001f600"',
  '"\\ud83d" + "\\ude00"',
  '"\\\\u0041 \\\\ \\n \\r \\x00 \\x85 \\xff \\u2028 \\U0001d11e"',
  '{1: "one", -(2**40): 2, True: 3}',
  '{0: False, None: True, "": {}}',
  '{2**60: 1}',
  'list(range(3000))',
  '{str(i): i for i in range(2500)}',
  '"x" * 300000',
  '"é" * 200',
  '[old.other_players] * 3',
  '(lambda shared: [shared, shared, {"again": shared}])([1, 2])',
  '{"type": None, "get": 1, "size": 2, "length": 3, "__class__": 4, "__setstate__": 5}',
];

/** Values that JSON does not hold, and what is said of them. */
const UNFIT = [
  ['2**53 + 1', 'the whole number 9007199254740993, which is too large'],
  ['-(2**70) - 1', 'the whole number -1180591620717411303425'],
  ['10**400', 'the whole number 1000'],
  ['float("nan")', 'expected a finite number, found NaN'],
  ['[1, float("-inf")]', 'event.data.x[1]: expected a finite number, found -Infinity'],
  ['(1, 2, 3, 4) and seed.EventType.REWIND', 'found an EventType'],
  ['old', 'found a GameState'],
  ['{(1, 2): 3}', 'expected a text as name, found a list'],
  ['{1: "one", "1": "two"}', 'expected every name once, found "1" twice'],
  [
    '{"a": {"__proto__": {"b": 1}}}',
    'event.data.x.a.__proto__: expected a JSON value, found a name that is not allowed',
  ],
  ['(lambda nest: [nest := [nest] for _ in range(14)][-1])([])', 'nested deeper than 16'],
  ['[0] * 20000', 'more than 20000 values'],
] as const;

/** The same for what older protocols make by calling something: those are refused at the opcode. */
const UNFIT_SINCE = [
  ['b"abc"', 3, 'found bytes'],
  ['{1, 2}', 4, 'found a set'],
  ['{"a": frozenset([1])}', 4, 'event.data.x.a: expected a JSON value, found a set'],
  ['bytearray(b"abc")', 5, 'found bytes'],
] as const;

test("[L3] a session of the seed's BinaryFormat is imported as its JSON is", async () => {
  const file = await readFile(V1_FILE);
  const expected = await importJson(await readFile(V1_JSON));
  for (const chunk of [1, 7, 100_000]) expect((await importBinary(file, chunk)).bytes).toEqual(expected);
  const { reader } = await importBinary(file);
  expect(JSON.parse(await collect(lmspJson(reader)))).toEqual(JSON.parse(await readFile(V1_JSON, 'utf8')));
});

describe.skipIf(!hasSeed())('with the Python of the seed', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gametape-pickle-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const read = (name: string) => readFile(join(folder, name));

  test('[L3] sessions in every protocol are imported as their JSON is, to the bit', async () => {
    const first = Math.floor(Math.random() * 1e9);
    askSeed('binary', folder, String(first), String(SESSIONS));
    for (let number = first; number < first + SESSIONS; number++) {
      const what = `random session ${number}, protocol ${number % 6}`;
      const expected = await importJson(await read(`${number}.json`));
      const { bytes } = await importBinary(await read(`${number}.bin`)).catch((cause) => {
        throw new Error(what, { cause });
      });
      expect(bytes, what).toEqual(expected);
    }
  });

  test.each(['rustcode.json.gz', 'friendsforever_flat.json.gz'])('[L3] so is the real session %s', async (trace) => {
    const path = join(DATA, trace);
    if (!existsSync(path)) {
      console.warn(`SKIPPED: ${path} is missing`);
      return;
    }
    askSeed('real', path, join(folder, trace), '800');
    const { bytes, reader } = await importBinary(await read(`${trace}.bin`), 256 * 1024);
    expect(bytes).toEqual(await importJson(await read(`${trace}.json`)));
    expect(reader.checkpoints.map(({ name }) => name)).toEqual(['at 499']);
  });

  test('[L3] values are converted as the seed converts them to JSON', async () => {
    askSeed('values', folder, JSON.stringify(FITTING));
    for (const [number, expression] of FITTING.entries()) {
      const expected = await importJson(await read(`${number}.json`));
      for (const protocol of [2, 3, 4, 5]) {
        const { bytes } = await importBinary(await read(`${number}-${protocol}.bin`));
        expect(bytes, `${expression}, protocol ${protocol}`).toEqual(expected);
      }
    }
  });

  test('[L4] values that JSON cannot hold are refused, naming event and field', async () => {
    const cases = [...UNFIT.map(([expression, found]) => [expression, 2, found] as const), ...UNFIT_SINCE];
    askSeed('values', folder, JSON.stringify(cases.map(([expression]) => expression)));
    for (const [number, [expression, since, found]] of cases.entries()) {
      for (const protocol of [2, 3, 4, 5]) {
        const failure = await failureOf(async () => importBinary(await read(`${number}-${protocol}.bin`)));
        const place =
          protocol < since
            ? /^BAD_RECORDING: event 0: (?:STACK_)?GLOBAL at byte \d+: refused/
            : /event 0 at byte \d+: event\.data/;
        expect(failure, `${expression}, protocol ${protocol}`).toMatch(place);
        if (protocol >= since) expect(failure, `${expression}, protocol ${protocol}`).toContain(found);
      }
    }
  });

  test('[L3] whole numbers that protocol 0 would have rounded, and floats as names, are refused', async () => {
    askSeed('values', folder, JSON.stringify(['{1.0: 2}', '{0.5: 2}']));
    for (const name of ['0-4.bin', '1-2.bin']) {
      const failure = await failureOf(async () => importBinary(await read(name)));
      expect(failure).toMatch(
        /event 0: SETITEMS? at byte \d+: expected names that are texts or whole numbers, found a float/,
      );
    }
  });
});

async function importJson(text: Uint8Array): Promise<Uint8Array> {
  const sink = new BytesSink();
  await importLmsp(() => chunksOf(text), sink, { recordingId: RECORDING_ID });
  return sink.bytes();
}
