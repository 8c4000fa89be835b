import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { LIMITS } from '../limits.ts';
import { type BlockHeader, decodeBlockPayload } from './block.ts';
import type { Compression } from './byte-io.ts';
import type { ToldPauses } from './play-clock.ts';
import { type CheckpointRecord, type ProducerRecord, RecordType, readRecords } from './records.ts';
import { readToldPauses, writeToldPauses } from './told-pauses.ts';

/** Where a checkpoint is to be found. The block that has its entry, or one after it, knows the hashes. */
export type CheckpointPlace = Pick<CheckpointRecord, 'name' | 'seq' | 'time'>;

/** A producer as its room knows it, beside its context. */
export interface RoomProducer extends Omit<ProducerRecord, 'index'> {
  /** Seq of its first entry; 0 while it has none. */
  readonly firstSeq: number;
  /** It had joined and not left. */
  readonly isPresent: boolean;
  /** How much it had recorded, if it said so by leaving. */
  readonly expected: number | null;
  /** Its last entry is followed by a gap: the vocabulary starts over with the next. */
  readonly restarts: boolean;
  /** The next change has to be a keyframe (D3). */
  readonly needsKeyframe: boolean;
  /** Seq of the last rewind that restored its state; 0 if none did (T8). */
  readonly rewoundAt: number;
  /** The last of its events that a journal had, and that could not be taken over because of what was missing before it; else 0. */
  readonly leftOut: number;
}

/**
 * All that a room needs to go on from the start of a sealed block, beside the keyframes there: with it, nothing before that
 * block has to be read (J3).
 */
export interface RoomRecord extends ToldPauses {
  /** Seq of the last entry before the block. */
  readonly headSeq: number;
  /** Room time in microseconds; no entry before the block is later. */
  readonly time: number;
  readonly events: number;
  readonly gaps: number;
  /** Last seq of each epoch, ascending; the newest that are remembered. */
  readonly epochEnds: readonly (readonly [epoch: number, seq: number])[];
  readonly checkpoints: readonly CheckpointPlace[];
  /** By index. */
  readonly producers: readonly RoomProducer[];
}

const Flag = { Present: 1, Restarts: 2, NeedsKeyframe: 4 } as const;
const ALL_FLAGS = 7;

export function writeRoom(writer: ByteWriter, room: RoomRecord): void {
  writer.varint(room.headSeq);
  writer.zigzag(room.time);
  writer.varint(room.events);
  writer.varint(room.gaps);
  const epochEnds = room.epochEnds.slice(-LIMITS.epochEnds);
  writer.varint(epochEnds.length);
  for (const [epoch, seq] of epochEnds) {
    writer.varint(epoch);
    writer.varint(seq);
  }
  writer.varint(room.checkpoints.length);
  for (const { name, seq, time } of room.checkpoints) {
    writer.text(name);
    writer.varint(seq);
    writer.zigzag(time);
  }
  writeToldPauses(writer, room);
  writer.varint(room.producers.length);
  for (const producer of room.producers) {
    writer.text(producer.player);
    writer.text(producer.instance);
    writer.varint(producer.firstSeq);
    writer.varint(producer.expected === null ? 0 : producer.expected + 1);
    const presence = producer.isPresent ? Flag.Present : 0;
    const restarts = producer.restarts ? Flag.Restarts : 0;
    writer.byte(presence | restarts | (producer.needsKeyframe ? Flag.NeedsKeyframe : 0));
    writer.varint(producer.rewoundAt);
    writer.varint(producer.leftOut);
  }
}

export function readRoom(reader: ByteReader): RoomRecord {
  const headSeq = reader.varint();
  const time = reader.zigzag();
  const events = reader.varint();
  const gaps = reader.varint();
  const epochEnds: (readonly [number, number])[] = [];
  for (let count = countUpTo(reader, 2, LIMITS.epochEnds); count > 0; count--) {
    epochEnds.push([reader.varint(), reader.varint()]);
  }
  const checkpoints: CheckpointPlace[] = [];
  for (let count = countUpTo(reader, 3, LIMITS.checkpoints); count > 0; count--) {
    checkpoints.push({ name: reader.text(), seq: reader.varint(), time: reader.zigzag() });
  }
  const told = readToldPauses(reader);
  const producers: RoomProducer[] = [];
  for (let count = countUpTo(reader, 7, LIMITS.producers); count > 0; count--) producers.push(readProducer(reader));
  return { headSeq, time, events, gaps, epochEnds, checkpoints, ...told, producers };
}

/** The room record of a block, of which nothing else is read. @throws GametapeError `DAMAGED` */
export function roomOf(header: BlockHeader, stored: Uint8Array, compression: Compression): RoomRecord | undefined {
  for (const { type, reader } of readRecords(decodeBlockPayload(header, stored, compression))) {
    if (type === RecordType.Room) return readRoom(reader);
  }
  return undefined;
}

function readProducer(reader: ByteReader): RoomProducer {
  const [player, instance, firstSeq, expected] = [reader.text(), reader.text(), reader.varint(), reader.varint()];
  const flags = reader.byte();
  if (flags > ALL_FLAGS) reader.fail(`has a room record with flags of ${flags}`);
  return {
    player,
    instance,
    firstSeq,
    isPresent: (flags & Flag.Present) !== 0,
    expected: expected === 0 ? null : expected - 1,
    restarts: (flags & Flag.Restarts) !== 0,
    needsKeyframe: (flags & Flag.NeedsKeyframe) !== 0,
    rewoundAt: reader.varint(),
    leftOut: reader.varint(),
  };
}

function countUpTo(reader: ByteReader, minimumBytes: number, limit: number): number {
  const count = reader.count(minimumBytes);
  return count <= limit ? count : reader.fail(`has a room record with a list of ${count}, allowed are ${limit},`);
}
