import { BytesSink, EventType, isGametapeError, type RecordingReader, type State } from '@gametape/shared';
import { emptyGameState, importNdjson, lmspEvents, ndjsonLines, readNdjson } from '@gametape/shared/lmsp';
import { expect, test } from 'vitest';
import { seededRandom } from '../support/seeded-random.ts';
import { chunksOf, collect, failureOf, openBytes, RECORDING_ID, SessionMaker } from './session-maker.ts';

test('[L2] lines of JSON give back every event, state and checkpoint', async () => {
  const reader = await makeSession();
  const text = await collect(ndjsonLines(reader));
  const sink = new BytesSink();
  const { summary, torn } = await importNdjson(chunksOf(text, 50), sink, { recordingId: RECORDING_ID });
  const again = await openBytes(sink);
  expect(torn).toBeUndefined();
  expect(await eventsOf(again)).toEqual(await eventsOf(reader));
  expect(again.meta).toEqual(reader.meta);
  expect(again.checkpoints.map(({ name, eventIndex }) => [name, eventIndex])).toEqual([['here', 299]]);
  expect(summary).toMatchObject({ complete: true, durationUs: reader.durationUs, outcome: { success: true } });
  expect(await itemsOf(again)).toEqual(await itemsOf(reader));
});

test('[D1] a line says what changed, a text by its edits', async () => {
  const maker = new SessionMaker({ profile: 'json' });
  const add = (timeUs: number, state?: State) =>
    maker.add({ player: 'p', timeUs, event: { type: 'type', data: {} }, ...(state && { state }) });
  await add(0, { code: 'a'.repeat(50), list: [1], gone: true });
  await add(500_000, { code: `${'a'.repeat(50)}é😀`, list: [1, 2] });
  await add(750_000);
  const event = { type: 'type', player_id: 'p', data: {} };
  const [header, ...lines] = await linesOf(await maker.finish());
  expect(header).toMatchObject({
    gametape: 2,
    recordingId: RECORDING_ID,
    room: 'lobby',
    profile: 'json',
    complete: true,
  });
  expect(lines).toEqual([
    { timestamp: 0, event, state: { type: 'full', data: { code: 'a'.repeat(50), list: [1], gone: true } } },
    {
      timestamp: 0.5,
      event,
      state: { type: 'delta', set: { list: [1, 2] }, delete: ['gone'], splice: { code: [[50, 0, 'é😀']] } },
    },
    { timestamp: 0.75, event },
  ]);
});

test('[J6] a last line that is cut off is left out and told, at any byte', async () => {
  const lines = (await collect(ndjsonLines(await makeSession(3)))).split('\n').slice(0, 4);
  const last = new TextEncoder().encode(lines[3]);
  const before = new TextEncoder().encode(`${lines.slice(0, 3).join('\n')}\n`);
  for (const length of [1, 10, last.length >> 1, last.length - 1]) {
    const text = new Uint8Array([...before, ...last.subarray(0, length)]);
    const { summary, torn } = await importNdjson(chunksOf(text, 64), new BytesSink(), { recordingId: RECORDING_ID });
    expect(torn).toBe(`line 4 at byte ${before.length} is cut off after ${length} bytes and was left out`);
    expect(summary).toMatchObject({ events: 2, complete: false });
  }
  const unbroken = chunksOf(new Uint8Array([...before, ...last]));
  const { summary, torn } = await importNdjson(unbroken, new BytesSink(), { recordingId: RECORDING_ID });
  expect([summary.events, torn]).toEqual([3, undefined]);
});

const HEADER = '{"gametape":2,"recordingId":"x","room":"r","profile":"lmsp","createdAt":1}\n';
const STATE = JSON.stringify({ type: 'full', data: emptyGameState('p') });
const LINE = `{"timestamp":0,"event":{"type":"rewind","player_id":"p","data":{}},"state":${STATE}}\n`;
const splice = (edit: string) => LINE.replace(STATE, `{"type":"delta","splice":{"current_code":[${edit}]}}`);
const hostile: [name: string, text: string, message: RegExp][] = [
  ['nothing', '', /^BAD_RECORDING: line 1: expected a header, found nothing$/],
  ['no header', LINE, /^BAD_RECORDING: line 1: expected a header with "gametape", found \{"timestamp"/],
  ['another version', HEADER.replace('2', '3'), /^VERSION_UNKNOWN: line 1: expected version 2, found 3$/],
  ['a torn header', HEADER.slice(0, 30), /^BAD_RECORDING: line 1: expected JSON/],
  [
    'another profile',
    HEADER.replace('lmsp', 'chess'),
    /^BAD_RECORDING: line 1: profile: expected "lmsp" or "json", found "chess"$/,
  ],
  ['a bad line before the last', `${HEADER}{"times\n${LINE}`, /^BAD_RECORDING: line 2: expected JSON/],
  ['a line that is no map', `${HEADER}[]\n`, /^BAD_RECORDING: line 2: expected a map, found \[\]$/],
  ['a bad event', HEADER + LINE.replace('rewind', 'jump'), /^BAD_EVENT: line 2: event\.type: expected one of the 21/],
  [
    'a bad state',
    HEADER + LINE.replace('"hints_used":0', '"hints_used":"0"'),
    /^BAD_STATE: line 2: state\.hints_used: expected/,
  ],
  [
    'a change of another kind',
    HEADER + LINE.replace('"full"', '"half"'),
    /^BAD_RECORDING: line 2: state\.type: expected/,
  ],
  [
    'an edit past the end',
    `${HEADER}${LINE}${splice('[0,1,""]')}`,
    /^BAD_RECORDING: line 3: state\.splice\.current_code\[0\]: expected a text of 1 or more, found 0$/,
  ],
  [
    'an edit that is none',
    `${HEADER}${LINE}${splice('[0,"x"]')}`,
    /^BAD_RECORDING: line 3: state\.splice\.current_code\[0\]/,
  ],
  [
    'a delta before any state',
    HEADER + splice('[0,0,"x"]'),
    /^BAD_RECORDING: line 2: state\.splice\.current_code\[0\]: expected a text/,
  ],
  [
    'no player',
    `${HEADER}{"timestamp":0,"state":${STATE}}\n`,
    /^BAD_RECORDING: line 2: player_id: expected a text, found nothing$/,
  ],
];
test.each(hostile)('[L4] %s is refused with what, where and why', async (_, text, message) => {
  const options = { recordingId: RECORDING_ID };
  expect(await failureOf(() => importNdjson(chunksOf(text, 9), new BytesSink(), options))).toMatch(message);
});

test('[L4] lines with any byte changed load or are refused by an error of ours', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const bytes = new TextEncoder().encode(HEADER + LINE + splice('[0,0,"x"]') + splice('[1,0,"y"]'));
  for (let i = 0; i < 400; i++) {
    const changed = bytes.slice();
    const at = Math.floor(random() * bytes.length);
    changed[at] = Math.floor(random() * 256);
    const error = await importNdjson(chunksOf(changed), new BytesSink(), { recordingId: RECORDING_ID }).catch(
      (reason: unknown) => reason,
    );
    const isFine = !(error instanceof Error) || isGametapeError(error);
    expect(isFine, `seed ${seed}, byte ${at} = ${changed[at]}: ${error}`).toBe(true);
  }
});

test('[R6] lines are read one at a time', async () => {
  const kinds = [];
  for await (const { kind, line } of readNdjson(chunksOf(`${HEADER}\n${LINE}${LINE.slice(0, 20)}`, 11)))
    kinds.push([kind, line]);
  expect(kinds).toEqual([
    ['header', 1],
    ['step', 3],
    ['torn', 4],
  ]);
});

async function makeSession(count = 300): Promise<RecordingReader> {
  const maker = new SessionMaker({ lmsp: { version: '1.0.0', note: 'é' } });
  const random = seededRandom(11);
  let code = '';
  for (let i = 0; i < count; i++) {
    const player = random() < 0.5 ? 'a' : 'b';
    const timeUs = i * 12_345;
    const at = Math.floor(random() * code.length);
    code = `${code.slice(0, at)}${['x', '\n', '😀'][i % 3]}${code.slice(at)}`.toWellFormed();
    const session_duration = i % 10 === 0 ? 7.5 : timeUs / 1e6;
    const state = { ...emptyGameState(player), current_code: code, cursor_position: [i, 0], session_duration };
    if (i % 50 === 20) await maker.add({ player, timeUs, state });
    const event = { type: EventType.KEYSTROKE, data: { char: 'x', modifiers: [] } };
    const isLast = i === count - 1;
    await maker.add({ player, timeUs, event, state, ...(isLast && count === 300 && { checkpoint: 'here' }) });
  }
  return maker.finish({ endedAt: 5_000_000, outcome: { success: true } });
}

async function eventsOf(reader: RecordingReader) {
  const events = [];
  for await (const { index, timestamp, event, game_state } of lmspEvents(reader))
    events.push({ index, timestamp, event, game_state });
  return events;
}

/** What its lines say once they are applied, changes without an event included. */
async function itemsOf(reader: RecordingReader) {
  const items = [];
  for await (const item of readNdjson(chunksOf(await collect(ndjsonLines(reader))))) {
    if (item.kind === 'step') items.push(item);
  }
  return items;
}

/** The lines without what belongs to one file and not to the session. */
async function linesOf(reader: RecordingReader): Promise<object[]> {
  const text = await collect(ndjsonLines(reader));
  const [header, ...lines] = text.trimEnd().split('\n');
  const { hashes: _, ...kept } = JSON.parse(header ?? '') as { hashes: unknown };
  return [kept, ...lines.map((line) => JSON.parse(line) as object)];
}
