import { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { LIMITS } from '../limits.ts';
import { decodeValue } from '../values/decode-value.ts';
import { encodeValue } from '../values/encode-value.ts';
import { isJsonObject, type Json, type JsonObject } from '../values/json.ts';
import { isCount, isListOf, isPair } from '../values/shape.ts';
import type { OpenPause } from './play-clock.ts';

/** Types of the records in a block's payload (FORMAT.md). Others are skipped, and kept on rewrite (R5). */
export const RecordType = {
  Meta: 1,
  Producer: 2,
  Keyframe: 3,
  Events: 4,
  Checkpoint: 5,
  Gap: 6,
  Summary: 7,
  Blocks: 8,
  End: 9,
  LaterKeyframe: 10,
  Clock: 11,
  Markers: 12,
  Pauses: 13,
  PreviousIndex: 14,
  Room: 15,
} as const;

/** One SDK instance of one player. */
export interface ProducerRecord {
  readonly index: number;
  readonly player: string;
  readonly instance: string;
}

/** A named point with every player's state, known by its hash (R4). */
export interface CheckpointRecord {
  readonly name: string;
  /** The CHECKPOINT event, or the event that an imported checkpoint names. */
  readonly seq: number;
  /** How many events of the finished recording come before it; 0 where that is not known yet. */
  readonly eventIndex: number;
  readonly time: number;
  readonly hashes: readonly (readonly [producer: number, hash: number])[];
}

/** Events that a producer had, and that are not here. */
export interface GapRecord {
  readonly producer: number;
  readonly firstPseq: number;
  readonly lastPseq: number;
  readonly reason: string;
}

/** What is known of a recording from its start. `createdAt` is in seconds since 1970. */
export interface RecordingMeta {
  readonly recordingId: string;
  readonly room: string;
  readonly profile: string;
  readonly createdAt: number;
  /** Top level of an imported LMSP recording, so that writing it again gives the same JSON. */
  readonly lmsp?: JsonObject;
  /** The recordings that this one was made from by cutting, merging or redacting; a merge has one for each. */
  readonly source?: readonly RecordingSource[];
  /** The checkpoint that its room started from: players had their states there. */
  readonly startedFrom?: StartedFrom;
  /** How much later spectators were shown it, in milliseconds (V2). */
  readonly spectatorDelayMs?: number;
  /** What has been removed from it. */
  readonly redacted?: readonly Redaction[];
}

/** A checkpoint of another recording. */
export interface StartedFrom {
  readonly recordingId: string;
  readonly checkpoint: string;
}

/** Part of a recording that another one was made from. Times are microseconds. */
export interface RecordingSource {
  /** What was done: `cut`, `merge`, `redact`. */
  readonly verb: string;
  /** The first recording in the line: a cut of a cut names what the first one was cut from. */
  readonly recordingId: string;
  /** Room time of that recording; `to` is not part of it. */
  readonly from: number;
  readonly to: number;
  /** Play time at `from`. */
  readonly playFrom: number;
}

/** A mark that something was removed. It never says what it was. */
export interface Redaction {
  readonly what: 'name' | 'text' | 'match';
  /** The player it was about, as the recording names it now. */
  readonly player?: string;
  /** Seconds since 1970. */
  readonly at: number;
}

export interface PlayerSummary {
  readonly id: string;
  readonly events: number;
  /** How many events the player's SDKs numbered; null when one never said. */
  readonly expected: number | null;
  readonly received: number;
  readonly gaps: readonly (readonly [firstPseq: number, lastPseq: number])[];
}

/** What is known of a recording at its end. Times are microseconds of room time, the duration of play time. */
export interface RecordingSummary {
  readonly complete: boolean;
  readonly endedAt: number;
  readonly durationUs: number;
  readonly events: number;
  readonly players: readonly PlayerSummary[];
  readonly pauses: readonly (readonly [from: number, to: number])[];
  readonly hashes: readonly (readonly [producer: number, hash: number])[];
  /** What `session.end({...})` said: `success`, `final_code`, `final_time` for LMSP. */
  readonly outcome?: JsonObject;
  /** SHA-256 of all blocks before the index, chained (FORMAT.md), in hex. Missing where the writer had no SHA-256. */
  readonly digest?: string;
}

/** Where play time stands at the start of a block: how long all pauses before it were, and the one that lasts. */
export interface ClockRecord {
  readonly pausedUs: number;
  readonly paused?: OpenPause;
}

/** How a room ended, in the last block of an unfinished recording: what is left to do is to finish it. */
export interface EndRecord {
  readonly endedAt: number;
  readonly outcome?: JsonObject;
  /** How many events each player's SDKs numbered; null when one never said. */
  readonly expected: readonly (readonly [player: string, expected: number | null])[];
}

/** One record as it lies in a payload. */
export interface RawRecord {
  readonly type: number;
  readonly reader: ByteReader;
  /** Borrowed from the payload. */
  readonly bytes: Uint8Array;
}

/** A record of a type that this version does not know: it is kept as it is (R5). */
export type UnknownRecord = Pick<RawRecord, 'type' | 'bytes'>;

export function* readRecords(payload: Uint8Array): Generator<RawRecord> {
  const reader = new ByteReader(payload, 'DAMAGED');
  for (let count = 1; reader.left > 0; count++) {
    if (count > LIMITS.records) reader.fail(`has more than ${LIMITS.records} records`);
    const type = reader.varint();
    const bytes = reader.raw(reader.varint());
    yield { type, bytes, reader: new ByteReader(bytes, 'DAMAGED') };
  }
}

export function writeRecord(payload: ByteWriter, type: number, record: ByteWriter): void {
  payload.varint(type);
  payload.varint(record.length);
  payload.raw(record.bytes());
}

export function writeValueRecord(writer: ByteWriter, record: RecordingMeta | RecordingSummary | EndRecord): void {
  encodeValue(writer, JSON.parse(JSON.stringify(record)) as Json);
}

export function readMeta(reader: ByteReader): RecordingMeta {
  const value = readMap(reader);
  const { recordingId, room, profile, createdAt, lmsp, source, redacted } = value;
  if (typeof recordingId !== 'string' || typeof room !== 'string' || typeof profile !== 'string') {
    return reader.fail('has a meta record without recordingId, room or profile');
  }
  if (typeof createdAt !== 'number') return reader.fail('has a meta record without createdAt');
  if (lmsp !== undefined && !isJsonObject(lmsp)) return reader.fail('has a meta record with a bad lmsp');
  if (source !== undefined && !isListOf(source, isSource)) return reader.fail('has a meta record with a bad source');
  if (redacted !== undefined && !isListOf(redacted, isRedaction)) {
    return reader.fail('has a meta record with a bad mark of what was redacted');
  }
  if (value.startedFrom !== undefined && !isStartedFrom(value.startedFrom)) {
    return reader.fail('has a meta record with a bad startedFrom');
  }
  if (value.spectatorDelayMs !== undefined && !isCount(value.spectatorDelayMs)) {
    return reader.fail('has a meta record with a bad spectatorDelayMs');
  }
  // What this version does not know of it is kept on rewrite (R5).
  return { ...value, recordingId, room, profile, createdAt };
}

function isStartedFrom(value: Json): boolean {
  return isJsonObject(value) && typeof value.recordingId === 'string' && typeof value.checkpoint === 'string';
}

function isSource(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.verb !== 'string' || typeof value.recordingId !== 'string') return false;
  return [value.from, value.to, value.playFrom].every((time) => Number.isSafeInteger(time));
}

function isRedaction(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.at !== 'number') return false;
  const isKnown = value.what === 'name' || value.what === 'text' || value.what === 'match';
  return isKnown && (value.player === undefined || typeof value.player === 'string');
}

export function readSummary(reader: ByteReader): RecordingSummary {
  const value = readMap(reader);
  const numbers = [value.endedAt, value.durationUs, value.events];
  const isSound =
    typeof value.complete === 'boolean' &&
    numbers.every((number) => typeof number === 'number') &&
    isListOf(value.players, isPlayerSummary) &&
    isListOf(value.pauses, isPair) &&
    isListOf(value.hashes, isPair);
  if (!isSound) reader.fail('has a summary record with fields missing');
  return value as unknown as RecordingSummary;
}

function isPlayerSummary(value: Json): boolean {
  if (!isJsonObject(value) || typeof value.id !== 'string') return false;
  const counts = [value.events, value.expected ?? 0, value.received];
  return counts.every((count) => typeof count === 'number') && isListOf(value.gaps, isPair);
}

export function readEnd(reader: ByteReader): EndRecord {
  const value = readMap(reader);
  if (typeof value.endedAt !== 'number' || !Array.isArray(value.expected)) return reader.fail('has a bad end record');
  return value as unknown as EndRecord;
}

function readMap(reader: ByteReader): JsonObject {
  // A long session has more pauses and gaps than a value from a peer may have nodes.
  const value = decodeValue(reader, LIMITS.recordNodes);
  if (!isJsonObject(value)) return reader.fail('has a record that is not a map');
  reader.end();
  return value;
}

export function writeProducer(writer: ByteWriter, { index, player, instance }: ProducerRecord): void {
  writer.varint(index);
  writer.text(player);
  writer.text(instance);
}

export function readProducer(reader: ByteReader): ProducerRecord {
  return { index: reader.varint(), player: reader.text(), instance: reader.text() };
}

export function writeCheckpoint(writer: ByteWriter, checkpoint: CheckpointRecord): void {
  const { name, seq, eventIndex, time, hashes } = checkpoint;
  writer.text(name);
  writer.varint(seq);
  writer.varint(eventIndex);
  writer.zigzag(time);
  writer.varint(hashes.length);
  for (const [producer, hash] of hashes) {
    writer.varint(producer);
    writer.u32(hash);
  }
}

export function readCheckpoint(reader: ByteReader): CheckpointRecord {
  const name = reader.text();
  const seq = reader.varint();
  const eventIndex = reader.varint();
  const time = reader.zigzag();
  const hashes: (readonly [number, number])[] = [];
  for (let count = reader.count(5); count > 0; count--) hashes.push([reader.varint(), reader.u32()]);
  return { name, seq, eventIndex, time, hashes };
}

export function writeClock(writer: ByteWriter, { pausedUs, paused }: ClockRecord): void {
  writer.varint(pausedUs);
  writeOpenPause(writer, paused);
}

export function readClock(reader: ByteReader): ClockRecord {
  const pausedUs = reader.varint();
  const paused = readOpenPause(reader);
  return { pausedUs, ...(paused && { paused }) };
}

export function writeOpenPause(writer: ByteWriter, paused: OpenPause | undefined): void {
  writer.byte(paused ? 1 : 0);
  if (!paused) return;
  writer.zigzag(paused.since);
  writer.varint(paused.players.length);
  for (const player of paused.players) writer.text(player);
}

export function readOpenPause(reader: ByteReader): OpenPause | undefined {
  const flag = reader.byte();
  if (flag > 1) reader.fail(`has a pause with a flag of ${flag}`);
  if (flag === 0) return undefined;
  const since = reader.zigzag();
  const players: string[] = [];
  for (let count = reader.count(1); count > 0; count--) players.push(reader.text());
  return { since, players };
}

/** Pauses in order, none inside another. */
export function writePauses(writer: ByteWriter, pauses: RecordingSummary['pauses']): void {
  writer.varint(pauses.length);
  let last = 0;
  for (const [from, to] of pauses) {
    writer.zigzag(from - last);
    writer.varint(to - from);
    last = to;
  }
}

export function readPauses(reader: ByteReader): RecordingSummary['pauses'] {
  const pauses: [from: number, to: number][] = [];
  let last = 0;
  for (let count = reader.count(2); count > 0; count--) {
    const from = last + reader.zigzag();
    last = from + reader.varint();
    if (!Number.isSafeInteger(last)) reader.fail('has a pause over 2^53');
    pauses.push([from, last]);
  }
  return pauses;
}

export function writeGap(writer: ByteWriter, { producer, firstPseq, lastPseq, reason }: GapRecord): void {
  writer.varint(producer);
  writer.varint(firstPseq);
  writer.varint(lastPseq);
  writer.text(reason);
}

export function readGap(reader: ByteReader): GapRecord {
  return { producer: reader.varint(), firstPseq: reader.varint(), lastPseq: reader.varint(), reason: reader.text() };
}
