/**
 * Writes the recordings in test/vectors that are not there yet. Those that are stay as they are for ever: a released version's
 * files must remain readable (R5). What is in them is in the JSON beside each, which `test/vectors.test.ts` compares.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  BodyEncoder,
  BytesSink,
  ByteWriter,
  crc32,
  encodeBody,
  makeRecordingId,
  PORTABLE_COMPRESSION,
  profileNamed,
  RecordingWriter,
  Vocabulary,
} from '../shared/dist/index.js';

const STORED = { ...PORTABLE_COMPRESSION, deflate: (bytes) => bytes };
const VECTORS = {
  minimal: { make: minimal, compression: STORED, profile: 'lmsp' },
  typing: { make: typing, profile: 'lmsp' },
  'many-blocks': { make: typing, edits: 400, options: { blockLimits: { entries: 12, bytes: 65_536 } } },
  'later-keyframe': { make: typing, edits: 1_300 },
  unfinished: { make: typing, edits: 100, options: { blockLimits: { entries: 40, bytes: 65_536 } }, isCut: true },
  'exact-times': { make: exactTimes },
  'unknown-records': { make: unknownRecords },
  everything: { make: everything, options: { blockLimits: { entries: 40, bytes: 65_536 } }, profile: 'lmsp' },
  indexes: { make: typing, edits: 170, options: { blockLimits: { entries: 2, bytes: 65_536 } } },
  'unfinished-indexes': {
    make: typing,
    edits: 170,
    options: { blockLimits: { entries: 2, bytes: 65_536 } },
    isCut: true,
  },
};

/** Two players type, one pauses the room for a while, and a checkpoint is named. */
async function typing(room, edits) {
  const players = [
    room.join('ada', { current_code: '', score: 0 }),
    room.join('bob', { current_code: 'é😀\n', score: 0 }),
  ];
  for (let edit = 0; edit < edits; edit++) {
    const player = players[edit % 3 === 2 ? 1 : 0];
    const char = 'let x = 1;\n'[edit % 11];
    await player.type(char, edit % 7 === 6);
    if (edit % 50 === 5) await player.event('speed_change', { speed: 0 });
    if (edit % 50 === 8) for (const one of players) await one.event('speed_change', { speed: 1 });
    if (edit === 10) await room.checkpoint(player, 'ten');
  }
  await room.writer.finish({ outcome: { success: true } });
}

async function minimal(room) {
  const ada = room.join('ada', { current_code: 'd' });
  await ada.event('player_join', { name: 'ada' });
  await ada.type('e', false);
  await room.writer.finish();
}

async function exactTimes(room) {
  const ada = room.join('ada', { current_code: '' });
  for (const exact of [0.1 + 0.2, 1 / 3, 2.5]) await ada.type('x', false, exact);
  await room.writer.finish();
}

async function unknownRecords(room) {
  const ada = room.join('ada', { current_code: '' });
  await ada.type('x', false);
  room.writer.addUnknown({ type: 99, bytes: Uint8Array.of(1, 2, 3) });
  room.writer.addUnknown({ type: 98, bytes: Uint8Array.of(4) }, 'index');
  await room.writer.finish();
}

/** Every op, form and kind of value; clock keys; gaps, a second producer of a player, entries of the relay, late ones. */
async function everything(room) {
  const ada = room.join('ada', { current_code: 'a😀b', cursor_position: [0, 1], session_duration: 0, grid: [1, 2] });
  const bob = room.join('bob', { mastery_levels: { loops: 1 }, session_duration: 1.5, text: 'x'.repeat(300) });
  await room.relay(ada, { type: 'player_join', data: { name: 'ada' } });
  await room.relay(bob, { type: 'player_join', data: { name: 'bob', colour: 'red' } });
  for (const event of SOME_EVENTS) await bob.event(event.type, event.data);
  for (const ops of SOME_CHANGES) await ada.change(ops);
  for (const ops of SOME_NESTED_CHANGES) await bob.change(ops);
  await room.checkpoint(ada, 'before the gap');
  await ada.event('speed_change', { speed: 0 });
  bob.pseq += 3;
  room.writer.addGap({ producer: bob.index, firstPseq: bob.pseq - 2, lastPseq: bob.pseq, reason: 'buffer full' });
  bob.encoder.restart();
  await bob.event('custom', { again: true });
  await room.relay(ada, { type: 'player_leave', data: { reason: 'timeout' } });
  const again = room.join('ada', { current_code: 'a😀b', session_duration: 20 }, 'ada-2');
  for (let edit = 0; edit < 70; edit++) await again.type(edit % 5 === 1 ? '😀' : '.', false);
  // Of a player who was away: their seqs are later than their places (T6).
  room.seq++;
  await bob.event('player_message', { message: 'late' });
  room.seq -= 2;
  await again.event('player_message', { message: 'in time' });
  room.seq++;
  await room.writer.finish({ expected: new Map([['ada', null]]) });
}

const SOME_EVENTS = [
  { type: 'custom', data: { empty: {}, list: [], deep: [[{ a: [null, true, false] }]] } },
  { type: 'custom', data: { empty: { again: 1 }, list: [-1, -32, -33, -200, -40_000, -3e9, -6e15], deep: 0 } },
  {
    type: 'numbers',
    data: { all: [127, 128, 255, 256, 65_536, 5e9, 6e15, 0.1, 1e21, 1.5e-7, 1e-6, -2.5, 1e300, 5e-324] },
  },
  {
    type: 'texts',
    data: { short: 'é', long: '😀'.repeat(20), longer: 'ü'.repeat(200), control: '\u0000\u001f\u007f"\\\b\t' },
  },
  {
    type: 'many',
    data: { items: [...new Array(40).keys()], map: Object.fromEntries([...'abcdefghijklmnopqrst'].entries()) },
  },
];

const SOME_CHANGES = [
  [{ op: 'splice', key: 'current_code', at: 3, remove: 0, insert: 'é' }],
  [{ op: 'splice', key: 'current_code', at: 1, remove: 2, insert: '' }],
  [{ op: 'add', key: 'cursor_position', by: [2, -1] }],
  [{ op: 'add', key: 'grid', by: [0, 70] }],
  [{ op: 'set', key: 'tests_passing', value: 3 }],
  [{ op: 'add', key: 'tests_passing', by: [-5] }],
  [{ op: 'set', key: 'session_duration', value: 7.25 }],
  [],
  [{ op: 'add', key: 'session_duration', by: [250_001] }],
  [{ op: 'delete', key: 'grid' }],
  [{ op: 'set', key: 'grid', value: [0.5, { a: 'b' }] }],
  [{ op: 'set', key: 'session_duration', value: 'none' }],
  [{ op: 'set', key: '\ue000', value: 1 }],
  [{ op: 'set', key: '😀', value: 2 }],
];

const nest = (path, change) => [{ op: 'nest', key: 'mastery_levels', path, change }];
const SOME_NESTED_CHANGES = [
  nest(['loops'], { op: 'set', value: [1, 2, 3] }),
  nest(['loops'], { op: 'splice', at: 1, remove: 1, insert: ['x', 'y'] }),
  nest(['loops', 0], { op: 'set', value: { deep: [] } }),
  nest(['loops', 0, 'deep'], { op: 'splice', at: 0, remove: 0, insert: [null] }),
  nest(['loops', 2], { op: 'delete' }),
  nest(['names'], { op: 'set', value: 'new' }),
  nest(['loops'], { op: 'delete' }),
  nest([], { op: 'set', value: [9] }),
  nest([], { op: 'splice', at: 1, remove: 0, insert: [10] }),
  [{ op: 'add', key: 'mastery_levels', by: [1, 1] }],
];

class Room {
  seq = 0;
  time = 0;
  players = 0;

  constructor(writer, profile) {
    this.writer = writer;
    this.profile = profile;
  }

  join(name, state, instance = `${name}-1`) {
    const player = new Player(this, this.players++, name);
    this.writer.addProducer({ index: player.index, player: name, instance });
    player.encoder.replaceState(state, 0);
    return player;
  }

  /** An entry that the relay makes about a player: it relies on the profile's templates alone. */
  async relay(player, event) {
    const body = new ByteWriter();
    const vocabulary = new Vocabulary(this.profile);
    encodeBody(body, vocabulary, { event }, { editEnd: () => 0, learn: false });
    this.time += 1_000;
    const place = { seq: ++this.seq, producer: player.index, pseq: 0, time: this.time, hlc: 3, stamp: null };
    await this.writer.add({ ...place, body: body.take() });
  }

  async checkpoint(player, name) {
    const entry = await player.event('checkpoint', { name });
    this.writer.addCheckpoint(name, entry);
  }
}

class Player {
  pseq = 0;
  length = 0;

  constructor(room, index, name) {
    this.room = room;
    this.index = index;
    this.name = name;
    this.encoder = new BodyEncoder(room.profile, crc32);
  }

  /** At the end of the text, or over its first unit. */
  async type(char, isFront, exact) {
    const length = this.encoder.state.textLength('current_code');
    const at = isFront ? 0 : length;
    const remove = isFront && this.name === 'ada' && length > 0 ? 1 : 0;
    this.encoder.change([{ op: 'splice', key: 'current_code', at, remove, insert: char }], this.room.time);
    return this.event('keystroke', { char, modifiers: [] }, exact);
  }

  /** A change of state without an event. */
  async change(ops) {
    this.encoder.change(ops, this.room.time);
    // Without anything that changed there is an event that says nothing.
    if (!this.encoder.hasPending) return this.event('custom', {});
    return this.add(undefined);
  }

  async event(type, data, exact) {
    return this.add({ type, data }, exact);
  }

  async add(event, exact) {
    this.room.time += 12_300 + this.pseq;
    const time = exact === undefined ? this.room.time : Math.round(exact * 1e6);
    this.room.time = time;
    const body = this.encoder.encode(event, time);
    const place = { seq: ++this.room.seq, producer: this.index, pseq: ++this.pseq, time, hlc: 0, stamp: time };
    const entry = { ...place, ...(exact !== undefined && { exact }), body };
    await this.room.writer.add(entry);
    return entry;
  }
}

for (const [
  name,
  { make, compression = PORTABLE_COMPRESSION, options = {}, edits = 20, isCut = false, profile = 'json' },
] of Object.entries(VECTORS)) {
  const path = fileURLToPath(new URL(`../test/vectors/${name}.lmsp`, import.meta.url));
  if (existsSync(path)) {
    console.log(`${name}: is there already`);
    continue;
  }
  const sink = new BytesSink();
  const recordingId = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(7));
  const meta = { recordingId, room: 'vectors', profile, createdAt: 1_700_000_000 };
  const writer = new RecordingWriter(sink, meta, { compression, ...options });
  await make(new Room(writer, profileNamed(profile)), edits);
  const bytes = sink.bytes();
  // 32 bytes of footer, and a part of the index.
  writeFileSync(path, isCut ? bytes.subarray(0, -60) : bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}
