/**
 * Writes the recordings in test/vectors that are not there yet. Those that are stay as they are for ever: a released version's
 * files must remain readable (R5). What is in them is in the JSON beside each, which `test/vectors.test.ts` compares.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  BodyEncoder,
  BytesSink,
  crc32,
  makeRecordingId,
  PORTABLE_COMPRESSION,
  profileNamed,
  RecordingWriter,
} from '../shared/dist/index.js';

const STORED = { ...PORTABLE_COMPRESSION, deflate: (bytes) => bytes };
const VECTORS = {
  minimal: { make: minimal, compression: STORED },
  typing: { make: typing },
  'many-blocks': { make: typing, edits: 400, options: { blockLimits: { entries: 12, bytes: 65_536 } } },
  'later-keyframe': { make: typing, edits: 1_300 },
  unfinished: { make: typing, edits: 100, options: { blockLimits: { entries: 40, bytes: 65_536 } }, isCut: true },
  'exact-times': { make: exactTimes },
  'unknown-records': { make: unknownRecords },
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

class Room {
  seq = 0;
  time = 0;
  players = 0;

  constructor(writer, profile) {
    this.writer = writer;
    this.profile = profile;
  }

  join(name, state) {
    const player = new Player(this, this.players++, name);
    this.writer.addProducer({ index: player.index, player: name, instance: `${name}-1` });
    player.encoder.replaceState(state, 0);
    return player;
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

  async event(type, data, exact) {
    this.room.time += 12_300 + this.pseq;
    const time = exact === undefined ? this.room.time : Math.round(exact * 1e6);
    this.room.time = time;
    const body = this.encoder.encode({ type, data }, time);
    const place = { seq: ++this.room.seq, producer: this.index, pseq: ++this.pseq, time, hlc: 0, stamp: time };
    const entry = { ...place, ...(exact !== undefined && { exact }), body };
    await this.room.writer.add(entry);
    return entry;
  }
}

for (const [
  name,
  { make, compression = PORTABLE_COMPRESSION, options = {}, edits = 20, isCut = false },
] of Object.entries(VECTORS)) {
  const path = fileURLToPath(new URL(`../test/vectors/${name}.lmsp`, import.meta.url));
  if (existsSync(path)) {
    console.log(`${name}: is there already`);
    continue;
  }
  const sink = new BytesSink();
  const profile = name === 'minimal' || name === 'typing' ? 'lmsp' : 'json';
  const recordingId = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(7));
  const meta = { recordingId, room: 'vectors', profile, createdAt: 1_700_000_000 };
  const writer = new RecordingWriter(sink, meta, { compression, ...options });
  await make(new Room(writer, profileNamed(profile)), edits);
  const bytes = sink.bytes();
  // 32 bytes of footer, and a part of the index.
  writeFileSync(path, isCut ? bytes.subarray(0, -60) : bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}
