import {
  type ByteSink,
  BytesSink,
  compareEntries,
  isGametapeError,
  type State,
  type TimelineEntry,
} from '@gametape/shared';
import {
  emptyGameState,
  importLmsp,
  lmspEvents,
  lmspJson,
  readLmspFields,
  readLmspJson,
  readLmspRecording,
} from '@gametape/shared/lmsp';
import { expect, test } from 'vitest';
import { keptBytes } from '../support/kept-bytes.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { chunksOf, collect, failureOf, openBytes, RECORDING_ID } from './session-maker.ts';

const TOP = {
  version: '1.0.0',
  player_id: 'wings',
  challenge_id: 'c',
  created_at: 1_700_000_000.25,
  checkpoints: { constructor: 0, second: 2 },
  duration: 2,
  success: true,
  final_code: 'x = 1\n',
  final_time: 1.5,
};
const EVENTS = ['a', 'b', 'é😀'].map((char, index) => recorded(index * 0.1, char));
const DOCUMENT = { ...TOP, events: EVENTS };

function recorded(timestamp: number, char: string, change: State = {}) {
  const event = { type: 'keystroke', player_id: 'wings', data: { char, modifiers: [] } };
  const game_state = { ...emptyGameState('wings'), current_code: char, session_duration: timestamp, ...change };
  return { timestamp, event, game_state };
}

async function importText(text: string | Uint8Array, size?: number, profile?: 'json' | 'lmsp') {
  const sink = new BytesSink();
  const options = { recordingId: RECORDING_ID, ...(profile && { profile }) };
  const summary = await importLmsp(() => chunksOf(text, size), sink, options);
  return { summary, reader: await openBytes(sink) };
}

const failureOfText = (text: string | Uint8Array) => failureOf(() => importText(text, 7));

test('[L2] any order of keys, any white space and any cut into chunks give the same recording', async () => {
  const { checkpoints, ...top } = TOP;
  const texts = [
    JSON.stringify(DOCUMENT),
    JSON.stringify(DOCUMENT, null, 2),
    `\ufeff\r\n\t${JSON.stringify({ events: EVENTS, checkpoints, ...top }, null, '\t')} \n`,
    JSON.stringify(DOCUMENT).replace('"events"', '"\\u0065vents"').replaceAll('é', '\\u00e9'),
  ];
  const written = [];
  for (const text of texts) {
    for (const size of [1, 3, 64, 1_000_000]) {
      const { reader } = await importText(text, size);
      written.push(JSON.parse(await collect(lmspJson(reader))));
    }
  }
  expect(written).toEqual(Array(16).fill(DOCUMENT));
});

test('[L2] a recording without events loads', async () => {
  const document = { ...DOCUMENT, events: [], checkpoints: {} };
  const { reader, summary } = await importText(JSON.stringify(document));
  expect(summary).toMatchObject({ events: 0, players: [], complete: true });
  expect(JSON.parse(await collect(lmspJson(reader)))).toEqual(document);
});

test('[L2] events keep the order of the file and their exact timestamps, whatever those are', async () => {
  const timestamps = [5, 0.00012516975402832031, 0.1 + 0.2, 0.3, 1e-9, 5, 4.999_999_9, 1_700_000_000.123_456_7];
  const events = timestamps.map((timestamp, index) => recorded(timestamp, `${index}`));
  const { reader } = await importText(JSON.stringify({ ...DOCUMENT, events }));
  const found = [];
  for await (const { timestamp, event, game_state } of lmspEvents(reader)) found.push({ timestamp, event, game_state });
  expect(found).toEqual(events);
});

test('[T3] players who act at the same time stay in the order of the file', async () => {
  const events = ['a', 'b', 'a', 'c', 'b', 'b', 'a'].map((player_id, index) => {
    const { event, ...rest } = recorded(index < 5 ? 1 : 2, `${index}`);
    return { ...rest, event: { ...event, player_id } };
  });
  const { reader } = await importText(JSON.stringify({ ...DOCUMENT, events }));
  const entries: TimelineEntry[] = [];
  for await (const { entry } of reader.steps()) entries.push(entry);
  expect(entries.toReversed().sort(compareEntries)).toEqual(entries);
});

test('[L2] timestamps stand through pauses that the seed would not have taken away', async () => {
  const pause = (timestamp: number, speed: number) => {
    const event = { type: 'speed_change', player_id: 'wings', data: { speed } };
    return { timestamp, event, game_state: emptyGameState('wings') };
  };
  const events = [
    recorded(1, 'a'),
    pause(2, 0),
    recorded(3, 'b'),
    pause(4, 1),
    recorded(5.000_000_5, 'c'),
    recorded(6, 'd'),
  ];
  const { reader } = await importText(JSON.stringify({ ...DOCUMENT, events }));
  const found = [];
  for await (const { timestamp } of lmspEvents(reader)) found.push(timestamp);
  expect(found).toEqual([1, 2, 3, 4, 5.000_000_5, 6]);
});

test('[D5] a session clock that follows the timestamps costs nothing, one that stands still neither', async () => {
  const sizes = [];
  for (const duration of [(at: number) => at + 3, () => 12.25, (at: number) => Math.sqrt(at)]) {
    const events = Array.from({ length: 500 }, (_, i) => recorded(i / 8, 'x', { session_duration: duration(i / 8) }));
    const sink = new BytesSink();
    await importLmsp(() => chunksOf(JSON.stringify({ ...DOCUMENT, events })), sink, { recordingId: RECORDING_ID });
    sizes.push(sink.bytes().length);
    const found = [];
    for await (const { game_state } of lmspEvents(await openBytes(sink))) found.push(game_state);
    expect(found).toEqual(events.map(({ game_state }) => game_state));
  }
  const [following = 0, standing = 0, neither = 0] = sizes;
  expect(Math.abs(following - standing)).toBeLessThan(40);
  expect(neither).toBeGreaterThan(following + 1_000);
});

test('[D4] a state that is new as a whole becomes a keyframe, typing becomes splices', async () => {
  const random = seededRandom(5);
  const other = () => Array.from({ length: 300 }, () => String.fromCharCode(97 + random() * 26)).join('');
  const codes = ['a'.repeat(300), `${'a'.repeat(300)}b`, other(), other()];
  const events = codes.map((current_code, i) => recorded(i, 'x', { current_code }));
  const { reader } = await importText(JSON.stringify({ ...DOCUMENT, events }));
  const forms = [];
  for await (const { body } of reader.steps()) forms.push(body.change?.form);
  expect(forms).toEqual(['keyframe', 'delta', 'keyframe', 'keyframe']);
});

test('[L5] another profile takes any type and any state', async () => {
  const event = { type: 'jump', player_id: 'p', data: { high: true } };
  const events = [{}, { hp: 3, at: [1, 2] }, { hp: 2, at: [1, 3], bag: { sword: 1 } }];
  const document = {
    ...TOP,
    profile: 'json',
    events: events.map((game_state, timestamp) => ({ timestamp, event, game_state })),
  };
  const { reader } = await importText(JSON.stringify(document));
  expect(reader.meta.profile).toBe('json');
  expect(JSON.parse(await collect(lmspJson(reader)))).toEqual(document);
  expect(await failureOf(() => importText(JSON.stringify(document), 64, 'lmsp'))).toMatch(
    /^BAD_EVENT: event 0 .*event\.type/,
  );
});

test('[W6] an incomplete recording stays incomplete when it is loaded', async () => {
  const players = [
    { id: 'wings', events: 3, expected: 10, received: 8, gaps: [[4, 5]] },
    { id: 'late', events: 0, expected: 0, received: 0, gaps: [] },
  ];
  const { summary } = await importText(JSON.stringify({ ...DOCUMENT, complete: false, players }));
  expect(summary.complete).toBe(false);
  expect(summary.players).toEqual([
    { id: 'wings', events: 3, expected: 5, received: 3, gaps: [[4, 5]] },
    { id: 'late', events: 0, expected: 0, received: 0, gaps: [] },
  ]);
});

test('[L2] checkpoints have the state of their event, wherever the file lists them', async () => {
  const { reader } = await importText(JSON.stringify({ events: EVENTS, ...TOP }));
  expect(reader.checkpoints.map(({ name, eventIndex, time }) => ({ name, eventIndex, time }))).toEqual([
    { name: 'constructor', eventIndex: 0, time: 0 },
    { name: 'second', eventIndex: 2, time: 200_000 },
  ]);
});

test('[L1] a recording can be read whole, and its fields alone', async () => {
  const text = JSON.stringify({ events: EVENTS, ...TOP });
  expect(await readLmspRecording(chunksOf(text, 5))).toEqual(DOCUMENT);
  expect(await readLmspFields(chunksOf(text, 5))).toEqual({ fields: TOP, eventCount: 3 });
});

const whole = JSON.stringify(DOCUMENT);
const hostile: [name: string, text: string | Uint8Array, message: RegExp | string][] = [
  ['nothing', '', 'BAD_RECORDING: recording at byte 0: expected "{", found the end of the text'],
  ['no JSON', 'hello', 'BAD_RECORDING: recording at byte 0: expected "{", found "h"'],
  ['an array', '[]', 'BAD_RECORDING: recording at byte 0: expected "{", found "["'],
  [
    'a .lmsp file',
    new Uint8Array([0x4c, 0x4d, 0x53, 0x50, 2, 0, 0, 0]),
    /^BAD_RECORDING: recording at byte 0: expected "\{", found "L"/,
  ],
  ['an empty map', '{}', 'BAD_RECORDING: recording.events: expected an array, found nothing'],
  ['events of another kind', '{"events":{}}', 'BAD_RECORDING: recording.events: expected an array, found {}'],
  [
    'a field missing',
    JSON.stringify({ ...DOCUMENT, success: undefined }),
    'BAD_RECORDING: recording.success: expected true or false, found nothing',
  ],
  [
    'a field of another type',
    JSON.stringify({ ...DOCUMENT, duration: '1' }),
    'BAD_RECORDING: recording.duration: expected a number, found "1"',
  ],
  [
    'a checkpoint of no event',
    JSON.stringify({ ...DOCUMENT, checkpoints: { far: 3 } }),
    /checkpoints\["far"\]: expected the index of one of 3 events, found 3$/,
  ],
  [
    'a field twice',
    whole.replace('{', '{"version":"2",'),
    /^BAD_RECORDING: recording at byte 15: .*found the name "version" a second time$/,
  ],
  ['events twice', whole.replace('{', '{"events":[],'), /found the name "events" a second time$/],
  [
    'a key of an event twice',
    whole.replace('"char":"b"', '"char":"b","char":"c"'),
    /^BAD_RECORDING: event 1 at byte \d+: expected every name once, found one twice/,
  ],
  [
    'NaN',
    whole.replace('"session_duration":0.1', '"session_duration":NaN'),
    /^BAD_RECORDING: event 1 at byte \d+: expected a finite number, found NaN in "session_duration", which Python/,
  ],
  [
    '-Infinity',
    whole.replace('"timestamp":0.2', '"timestamp":-Infinity'),
    /^BAD_RECORDING: event 2 .*found -Infinity in "timestamp"/,
  ],
  [
    '1e999',
    whole.replace('"timestamp":0.2', '"timestamp":1e999'),
    /^BAD_RECORDING: event 2 .*timestamp: expected a number/,
  ],
  [
    'a whole number that would be rounded',
    whole.replace('"hints_used":0', '"hints_used":9007199254740993'),
    /^BAD_RECORDING: event 0 .*9007199254740993 is too large/,
  ],
  [
    'rubbish in an event',
    whole.replace('"char":"b"', '"char":b'),
    /^BAD_RECORDING: event 1 at byte \d+: expected JSON: /,
  ],
  ['a comma too many', whole.replace('}]', '},]'), /expected a value|expected an event, found "\]"/],
  ['text after the end', `${whole}{`, /^BAD_RECORDING: recording at byte \d+: expected nothing more, found "\{"$/],
  [
    'an event that is none',
    JSON.stringify({ ...DOCUMENT, events: [...EVENTS, 7] }),
    /^BAD_RECORDING: event 3 at byte \d+: expected a map with timestamp, event and game_state, found 7$/,
  ],
  ['__proto__', whole.replace('"char":"b"', '"__proto__":"b"'), /^BAD_EVENT: event 1 .*event\.data\.__proto__/],
  [
    'bytes that are not UTF-8',
    Buffer.from(whole.replace('"char":"b"', '"char":"\u00ff"'), 'latin1'),
    /^BAD_RECORDING: event 1 at byte \d+: expected UTF-8/,
  ],
  ['a depth bomb', `{"events":[${'['.repeat(100_000)}`, 'LIMIT_EXCEEDED: event 0 at byte 11: nested deeper than 500'],
  [
    'a depth bomb within bounds',
    whole.replace('"modifiers":[]', `"modifiers":${'['.repeat(400)}${']'.repeat(400)}`),
    /^LIMIT_EXCEEDED: event 0 .*event\.data\.modifiers\[0\]/,
  ],
  [
    'a wrong field',
    whole.replace('"tests_total":0', '"tests_total":0.5'),
    /^BAD_STATE: event 0 at byte \d+: game_state\.tests_total: expected a whole number, found 0\.5$/,
  ],
];
test.each(hostile)('[L4] %s is refused with what, where and why', async (_, text, message) => {
  expect(await failureOfText(text)).toMatch(message);
  if (typeof message === 'string') expect(await failureOfText(text)).toBe(message);
});

test('[L4] a text cut off at any byte is refused', async () => {
  const bytes = new TextEncoder().encode(whole);
  for (let length = 0; length < bytes.length; length += length < 400 ? 1 : 7) {
    const error = await importText(bytes.subarray(0, length), 97).catch((reason: unknown) => reason);
    expect(isGametapeError(error, 'BAD_RECORDING'), `${length} bytes: ${error}`).toBe(true);
  }
});

test('[L4] a text with any byte changed loads or is refused by an error of ours', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const bytes = new TextEncoder().encode(whole);
  for (let i = 0; i < 400; i++) {
    const changed = bytes.slice();
    const at = Math.floor(random() * bytes.length);
    changed[at] = Math.floor(random() * 256);
    const error = await importText(changed, 128).catch((reason: unknown) => reason);
    const isFine = !(error instanceof Error) || isGametapeError(error);
    expect(isFine, `seed ${seed}, byte ${at} = ${changed[at]}: ${error}`).toBe(true);
  }
});

test('[R6] 200 MB of JSON go through in memory that does not grow with them', async () => {
  const count = 200_000_000 / 20_000;
  let top = 0;
  let seen = 0;
  const start = keptBytes();
  for await (const part of readLmspJson(longDocument(count, 20_000))) {
    if (part.kind === 'event') seen++;
    if (seen % 1_000 === 0) top = Math.max(top, keptBytes() - start);
  }
  expect(seen).toBe(count);
  expect(top).toBeLessThan(10_000_000);
});

test('[R6] loading 40 MB of JSON as a recording takes memory that does not grow with them', async () => {
  let written = 0;
  let top = 0;
  const start = keptBytes();
  const sink: ByteSink = {
    write: async (bytes) => {
      written += bytes.length;
      top = Math.max(top, keptBytes() - start);
    },
  };
  const summary = await importLmsp(() => longDocument(2_000, 20_000), sink, { recordingId: RECORDING_ID });
  expect(summary.events).toBe(2_000);
  expect(written).toBeLessThan(400_000);
  expect(top).toBeLessThan(10_000_000);
});

/** A document of `count` events with states of `size` characters, in one buffer of bytes that is used again and again. */
async function* longDocument(count: number, size: number): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const { checkpoints: _, ...top } = TOP;
  yield encoder.encode(`${JSON.stringify({ ...top, checkpoints: {} }).slice(0, -1)},"events":[`);
  const code = 'print("hello")\n'.repeat(size / 16);
  const text = JSON.stringify(recorded(0, 'x', { current_code: code, session_duration: 0 }));
  const event = encoder.encode(`${text.replace(/^\{"timestamp":0,/, '{"timestamp":0000,')}`);
  const digits = text.indexOf('"timestamp":') + '"timestamp":'.length;
  for (let index = 0; index < count; index++) {
    event.set(encoder.encode(String(1_000 + (index % 9_000))), digits);
    yield event;
    yield encoder.encode(index + 1 < count ? ',\n' : ']}');
  }
}
