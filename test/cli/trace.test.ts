import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CodePointText } from '../../server/dist/cli/code-point-text.js';
import { loadTrace, parseTrace, playerNames, typingGaps } from '../../server/dist/cli/trace.js';

const DATA = new URL('../../../shared/data/', import.meta.url);
const REAL = ['friendsforever_flat.json.gz', 'clownschool_flat.json.gz', 'rustcode.json.gz'];
const hasData = REAL.every((name) => existsSync(new URL(name, DATA)));
if (!hasData) console.warn('SKIPPED: tests of real traces, ../shared/data is not there');

const GAPS = { seed: 1, maxGapMs: 2_000 };

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-trace-'));
});
afterAll(() => rm(directory, { recursive: true }));

describe('a trace', () => {
  test('is read from JSON, gzipped or not', async () => {
    const json = JSON.stringify({
      endContent: 'hi',
      txns: [
        {
          patches: [
            [0, 0, 'h'],
            [1, 0, 'i'],
          ],
        },
      ],
    });
    const [plain, zipped] = [join(directory, 'ann.json'), join(directory, 'ann.json.gz')];
    await writeFile(plain, json);
    await writeFile(zipped, gzipSync(json));
    const expected = [
      { at: 0, remove: 0, insert: 'h', timeMs: 0 },
      { at: 1, remove: 0, insert: 'i', timeMs: 0 },
    ];
    expect((await loadTrace(plain)).edits).toEqual(expected);
    expect((await loadTrace(zipped)).edits).toEqual(expected);
  });

  test('that is not there is named', async () => {
    await expect(loadTrace(join(directory, 'none.json'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('none.json: no such file'),
    });
  });

  test.each([
    ['not JSON', '{"txns":', 'not JSON'],
    ['without transactions', '{"endContent":"x"}', 'txns'],
    ['with a bad patch', '{"txns":[{"patches":[[0,0]]}]}', 'txns.0.patches.0'],
    ['with a negative position', '{"txns":[{"patches":[[-1,0,"a"]]}]}', 'txns.0.patches.0.0'],
    [
      'with a patch past the end',
      '{"txns":[{"patches":[[0,0,"ab"]]},{"patches":[[2,1,""]]}]}',
      'txns.1: a patch reaches to 3',
    ],
    ['with a bad time', '{"txns":[{"time":"soon","patches":[]}]}', 'txns.0.time'],
  ])('%s is refused with the place', (_name, json, place) => {
    expect(() => parseTrace(json, 'x.json')).toThrow(expect.objectContaining({ code: 'BAD_RECORDING' }));
    expect(() => parseTrace(json, 'x.json')).toThrow(place);
  });

  test('names its player after the file, as an id that no other has', () => {
    const paths = ['/a/ann.json.gz', 'b/ann.json', 'Änne Groß.json', '.json', 'x/rust.code.JSON.GZ'];
    expect(playerNames(paths)).toEqual(['ann', 'ann-2', '-nne-Gro-', 'player', 'rust-code']);
  });
});

describe('typing gaps', () => {
  test('follow times that move, spread within equal seconds, cut to the longest allowed', () => {
    const times = [0, 1, 1, 1, 1, 10].map((second) => new Date(second * 1_000).toISOString());
    const { edits } = parseTrace(
      JSON.stringify({ txns: times.map((time) => ({ time, patches: [[0, 0, 'a']] })) }),
      'x',
    );
    expect([...typingGaps(edits, GAPS)]).toEqual([0, 1_000, 250, 250, 250, 2_000]);
  });

  test('are never negative where a trace steps back', () => {
    const times = ['2023-01-01T00:00:05Z', '2023-01-01T00:00:03Z', '2023-01-01T00:00:06Z'];
    const { edits } = parseTrace(
      JSON.stringify({ txns: times.map((time) => ({ time, patches: [[0, 0, 'a']] })) }),
      'x',
    );
    expect([...typingGaps(edits, GAPS)]).toEqual([0, 500, 500]);
  });

  test('are those of a typist where times are unknown, the same for the same seed', () => {
    const time = new Date(0).toISOString();
    const txns = Array.from({ length: 4_001 }, () => ({ time, patches: [[0, 0, 'a']] }));
    const { edits } = parseTrace(JSON.stringify({ txns }), 'x');
    const gaps = typingGaps(edits, GAPS);
    const sorted = [...gaps].sort((a, b) => a - b);
    expect(sorted[2_000]).toBeGreaterThan(135);
    expect(sorted[2_000]).toBeLessThan(165);
    expect(sorted.at(-1)).toBeLessThanOrEqual(2_000);
    expect(typingGaps(edits, GAPS)).toEqual(gaps);
    expect(typingGaps(edits, { ...GAPS, seed: 2 })).not.toEqual(gaps);
  });
});

describe.skipIf(!hasData)('real traces', () => {
  test.each(REAL)('%s leads to its end content', async (name) => {
    const { startContent, endContent, edits } = await loadTrace(new URL(name, DATA).pathname);
    const text = new CodePointText(startContent);
    for (const { at, remove, insert } of edits) text.edit(at, remove, insert);
    expect(text.toString() === endContent).toBe(true);
  });
});
