import { ProducerContext } from '../body/producer-context.ts';
import { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { LIMITS } from '../limits.ts';
import type { Profile } from '../profile/profile.ts';
import type { StateEntry } from '../state/live-state.ts';
import { decodeValue } from '../values/decode-value.ts';
import { encodeValue } from '../values/encode-value.ts';
import { isForbiddenKey, isJsonObject, type Json, type JsonObject } from '../values/json.ts';
import { isListOf, isPair } from '../values/shape.ts';

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

export function* readRecords(payload: Uint8Array): Generator<RawRecord> {
  const reader = new ByteReader(payload, 'DAMAGED');
  while (reader.left > 0) {
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
  const { recordingId, room, profile, createdAt, lmsp } = value;
  if (typeof recordingId !== 'string' || typeof room !== 'string' || typeof profile !== 'string') {
    return reader.fail('has a meta record without recordingId, room or profile');
  }
  if (typeof createdAt !== 'number') return reader.fail('has a meta record without createdAt');
  return { recordingId, room, profile, createdAt, ...(isJsonObject(lmsp) && { lmsp }) };
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
  // As many nodes as there are bytes: a long session has more pauses and gaps than a value from a peer may have nodes.
  const value = decodeValue(reader, reader.left);
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

export function writeGap(writer: ByteWriter, { producer, firstPseq, lastPseq, reason }: GapRecord): void {
  writer.varint(producer);
  writer.varint(firstPseq);
  writer.varint(lastPseq);
  writer.text(reason);
}

export function readGap(reader: ByteReader): GapRecord {
  return { producer: reader.varint(), firstPseq: reader.varint(), lastPseq: reader.varint(), reason: reader.text() };
}

/** The whole context of a producer, so that decoding can start here. */
export function writeKeyframe(writer: ByteWriter, context: ProducerContext): void {
  writer.varint(context.index);
  writer.varint(context.pseq);
  writer.zigzag(context.time);
  writer.varint(context.hlc);
  writer.zigzag(context.stamp);
  const { learnedTemplates, learnedNames } = context.vocabulary;
  writer.varint(learnedTemplates.length);
  for (const { type, keys } of learnedTemplates) {
    writer.text(type);
    writer.varint(keys.length);
    for (const key of keys) writer.text(key);
  }
  writer.varint(learnedNames.length);
  for (const name of learnedNames) writer.text(name);
  writer.byte(context.state.size > 0 ? 1 : 0);
  if (context.state.size === 0) return;
  writer.varint(context.state.size);
  for (const { key, value, editEnd, followsClock } of context.state.entries()) {
    writer.text(key);
    encodeValue(writer, value);
    writer.varint(editEnd);
    writer.byte(followsClock ? 1 : 0);
  }
}

/** The context that a keyframe record holds. `identify` gives the producer of an index, declared earlier. */
export function readKeyframe(
  reader: ByteReader,
  profile: Profile,
  identify: (index: number) => ProducerRecord | undefined,
): ProducerContext {
  const index = reader.varint();
  const identity = identify(index) ?? reader.fail(`has a keyframe of undeclared producer ${index}`);
  const context = new ProducerContext(profile, identity);
  context.pseq = reader.varint();
  context.time = reader.zigzag();
  context.hlc = reader.varint();
  context.stamp = reader.zigzag();
  for (let count = reader.count(2); count > 0; count--) context.vocabulary.readNextTemplate(reader);
  for (let count = reader.count(1); count > 0; count--) context.vocabulary.readNextName(reader);
  if (readFlag(reader)) context.state.restore(readStateEntries(reader), context.stamp);
  return context;
}

function readStateEntries(reader: ByteReader): StateEntry[] {
  const count = reader.count(4);
  if (count > LIMITS.stateKeys) {
    reader.fail(`has a keyframe of ${count} state keys, more than ${LIMITS.stateKeys},`);
  }
  const entries = new Map<string, StateEntry>();
  for (let i = 0; i < count; i++) {
    const key = reader.text();
    if (isForbiddenKey(key)) reader.fail(`has the state key ${key}, which is not allowed,`);
    if (entries.has(key)) reader.fail('has the same state key twice');
    const value = decodeValue(reader);
    entries.set(key, { key, value, editEnd: reader.varint(), followsClock: readFlag(reader) });
  }
  return [...entries.values()];
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.byte();
  return flag < 2 ? flag === 1 : reader.fail(`has a flag of ${flag}`);
}
