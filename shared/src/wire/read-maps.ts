import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ToldPauses } from '../recording/play-clock.ts';
import { checkToldPauses } from '../recording/told-pauses.ts';
import { decodeValue } from '../values/decode-value.ts';
import { isJsonObject, type Json, type JsonObject } from '../values/json.ts';
import { isCount, isListOf, isPair } from '../values/shape.ts';
import type { Ended, Hello, Notice, Role, SpectatorCount, Welcome } from './messages.ts';

// The rare messages whose fields travel with their names. Each is built anew from the fields it is known to have: what
// else the map holds, from a later version or from an attacker, goes no further (W11).

const ROLES: readonly string[] = ['player', 'spectator', 'host'];
const RESUMPTIONS: readonly string[] = ['new', 'resumed', 'reset'];

export function readHello(reader: ByteReader): Hello {
  const map = readMap(reader);
  const { protocols, role, resume } = map;
  if (!isListOf(protocols, isCount)) reader.fail('has a hello without protocols');
  const clock = number(reader, map, 'clock');
  if (clock < 0) reader.fail('has a hello with a clock before 0');
  if (typeof role !== 'string' || !ROLES.includes(role)) reader.fail('has a hello with an unknown role');
  return {
    kind: 'hello',
    protocols: protocols as unknown as number[],
    room: text(reader, map, 'room'),
    player: text(reader, map, 'player'),
    role: role as Role,
    profile: text(reader, map, 'profile'),
    instance: text(reader, map, 'instance'),
    clock,
    ...(map.tick !== undefined && { tick: count(reader, map, 'tick') }),
    ...(map.name !== undefined && { name: text(reader, map, 'name') }),
    ...(map.token !== undefined && { token: text(reader, map, 'token') }),
    ...(resume !== undefined && { resume: readResume(reader, resume) }),
    state: reader.raw(reader.left),
  };
}

function readResume(reader: ByteReader, resume: Json): NonNullable<Hello['resume']> {
  if (!isJsonObject(resume)) return reader.fail('has a hello with a bad position');
  return {
    epoch: count(reader, resume, 'epoch'),
    seq: count(reader, resume, 'seq'),
    recordingId: text(reader, resume, 'recordingId'),
  };
}

export function readWelcome(reader: ByteReader): Welcome {
  // As many nodes as there are bytes: it lists all pauses of a session.
  const map = readMap(reader, reader.left);
  const resumption = text(reader, map, 'resumption');
  if (!RESUMPTIONS.includes(resumption)) reader.fail('has a welcome with an unknown resumption');
  if (!isListOf(map.players, isPlayerInfo)) reader.fail('has a welcome without players');
  if (!isSpectatorCount(map.spectators)) reader.fail('has a welcome without spectators');
  if (!isListOf(map.pauses, isPair)) reader.fail('has a welcome without pauses');
  if (map.paused !== undefined && !isOpenPause(map.paused)) reader.fail('has a welcome with a bad pause');
  if (!isListOf(map.changes, isPauseChange)) reader.fail('has a welcome without changes of pauses');
  const told = { pauses: map.pauses, paused: map.paused, changes: map.changes } as unknown as ToldPauses;
  const { pauses, paused, changes } = checkToldPauses(reader, told);
  return {
    kind: 'welcome',
    protocol: count(reader, map, 'protocol'),
    recordingId: text(reader, map, 'recordingId'),
    profile: text(reader, map, 'profile'),
    epoch: count(reader, map, 'epoch'),
    seq: count(reader, map, 'seq'),
    resumption: resumption as Welcome['resumption'],
    producer: number(reader, map, 'producer'),
    lastPseq: count(reader, map, 'lastPseq'),
    roomTime: number(reader, map, 'roomTime'),
    createdAt: number(reader, map, 'createdAt'),
    silenceMs: number(reader, map, 'silenceMs'),
    durability: text(reader, map, 'durability'),
    delayMs: count(reader, map, 'delayMs'),
    holdMs: count(reader, map, 'holdMs'),
    players: map.players as unknown as Welcome['players'],
    spectators: readSpectators(map.spectators as JsonObject),
    pauses,
    ...(paused && { paused: { since: paused.since, players: paused.players } }),
    changes,
    ...(map.lostAfter !== undefined && { lostAfter: count(reader, map, 'lostAfter') }),
    ...(map.rewound !== undefined && { rewound: count(reader, map, 'rewound') }),
    ...(map.takesJumps === true && { takesJumps: true }),
  };
}

function isPlayerInfo(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.id !== 'string' || typeof value.connected !== 'boolean') return false;
  return value.name === undefined || typeof value.name === 'string';
}

function isSpectatorCount(value: Json | undefined): boolean {
  return isJsonObject(value) && isCount(value.count) && isListOf(value.ids, (id) => typeof id === 'string');
}

function readSpectators({ count, ids }: JsonObject): SpectatorCount {
  return { count: count as number, ids: ids as string[] };
}

function isOpenPause(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.since !== 'number') return false;
  return isListOf(value.players, (player) => typeof player === 'string');
}

function isPauseChange(value: Json): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [time, player, isPause] = value;
  return typeof time === 'number' && typeof player === 'string' && typeof isPause === 'boolean';
}

export function readNotice(reader: ByteReader): Notice {
  const map = readMap(reader);
  return {
    kind: 'notice',
    code: text(reader, map, 'code') as Notice['code'],
    message: text(reader, map, 'message'),
    pseq: count(reader, map, 'pseq'),
    ...(map.rewind !== undefined && { rewind: text(reader, map, 'rewind') }),
    ...(map.retryAfterS !== undefined && { retryAfterS: count(reader, map, 'retryAfterS') }),
  };
}

export function readEnded(reader: ByteReader): Ended {
  const map = readMap(reader, reader.left);
  if (typeof map.complete !== 'boolean') reader.fail('has a summary without complete');
  if (!isListOf(map.players, isPlayerSummary)) reader.fail('has a summary without players');
  return {
    kind: 'ended',
    summary: {
      recordingId: text(reader, map, 'recordingId'),
      room: text(reader, map, 'room'),
      complete: map.complete === true,
      durationS: number(reader, map, 'durationS'),
      events: count(reader, map, 'events'),
      players: map.players as unknown as Ended['summary']['players'],
    },
    ...(map.seq !== undefined && { seq: count(reader, map, 'seq') }),
  };
}

function isPlayerSummary(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.id !== 'string') return false;
  const counts = [value.events, value.expected ?? 0, value.received];
  return counts.every(isCount) && isListOf(value.gaps, isPair);
}

export function readMap(reader: ByteReader, maxNodes?: number): JsonObject {
  const value = decodeValue(reader, maxNodes);
  return isJsonObject(value) ? value : reader.fail('has something else where a map is expected');
}

function text(reader: ByteReader, map: JsonObject, name: string): string {
  const value = map[name];
  return typeof value === 'string' ? value : reader.fail(`has a map without the text ${name}`);
}

function number(reader: ByteReader, map: JsonObject, name: string): number {
  const value = map[name];
  return typeof value === 'number' ? value : reader.fail(`has a map without the number ${name}`);
}

function count(reader: ByteReader, map: JsonObject, name: string): number {
  const value = map[name];
  return isCount(value) ? value : reader.fail(`has a map without the count ${name}`);
}
