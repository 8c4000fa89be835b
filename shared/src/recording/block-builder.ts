import type { ProducerContext } from '../body/producer-context.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import type { TimelineEntry } from '../event.ts';
import { LIMITS, refuseMore } from '../limits.ts';
import { BlockKind, type BlockLink, encodeBlock } from './block.ts';
import type { Compression } from './byte-io.ts';
import { type ClockMapRecord, writeClockMaps } from './clock-map.ts';
import { type EntryBase, writeEventColumns } from './event-columns.ts';
import { writeKeyframe } from './keyframe-record.ts';
import { writeLaterKeyframe } from './later-keyframe.ts';
import type { DueKeyframe } from './later-keyframes.ts';
import {
  type CheckpointRecord,
  type ClockRecord,
  type EndRecord,
  type GapRecord,
  type ProducerRecord,
  type RecordingMeta,
  RecordType,
  writeCheckpoint,
  writeClock,
  writeGap,
  writeProducer,
  writeRecord,
  writeValueRecord,
} from './records.ts';
import { type RoomRecord, writeRoom } from './room-record.ts';

/** Bytes that an entry takes beside its body, roughly. */
const ENTRY_OVERHEAD = 8;
/** What a checkpoint or a gap costs a reader beside its bytes, roughly: there can be as many as one likes in a block. */
const RECORD_OVERHEAD = 128;
/** What a change of a clock's map takes, roughly. */
const CLOCK_MAP_BYTES = 24;

/** What a builder held at some point: entries, and records with their bytes. */
export interface BlockExtent {
  readonly entries: number;
  readonly clockMaps: number;
  readonly records: number;
  readonly recordBytes: number;
}

/** Gathers entries and records into one events block. Bodies are kept by reference until `close`. */
export class BlockBuilder {
  readonly #recordingId: string;
  readonly #epoch: number;
  readonly #compression: Compression;
  readonly #records = new ByteWriter(1_024);
  readonly #scratch = new ByteWriter(1_024);
  readonly #bases = new Map<number, EntryBase>();
  #entries: TimelineEntry[] = [];
  #clockMaps: ClockMapRecord[] = [];
  #recordCount = 0;
  #contentBytes = 0;
  #selfContained = false;

  constructor(recordingId: string, epoch: number, compression: Compression) {
    this.#recordingId = recordingId;
    this.#epoch = epoch;
    this.#compression = compression;
  }

  /** How far it has come: what `closeUpTo` may end with later. */
  get extent(): BlockExtent {
    const [entries, clockMaps] = [this.#entries.length, this.#clockMaps.length];
    return { entries, clockMaps, records: this.#recordCount, recordBytes: this.#records.length };
  }

  /** Seq of its first entry, undefined while it has none. */
  get firstSeq(): number | undefined {
    return this.#entries[0]?.seq;
  }

  /** Nothing has been put into it yet. */
  get isNew(): boolean {
    return this.#entries.length === 0 && this.#records.length === 0 && this.#clockMaps.length === 0;
  }

  get entries(): number {
    return this.#entries.length;
  }

  /** Bytes of all records so far, entries left out. */
  get recordBytes(): number {
    return this.#records.length;
  }

  /** Bytes of entries, checkpoints and gaps so far, without what the block opens with: a block is closed by them. */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  /** Opens a self-contained block: with the identity and keyframe of every producer it may need. */
  open(contexts: Iterable<ProducerContext>): void {
    this.beSelfContained();
    for (const context of contexts) this.keyframe(context);
  }

  /** The caller sees to it that the block has every keyframe it needs. */
  beSelfContained(): void {
    this.#selfContained = true;
  }

  hasKeyframe(producer: number): boolean {
    return this.#bases.has(producer);
  }

  keyframe(context: ProducerContext): void {
    this.producer(context);
    writeKeyframe(this.#scratch, context);
    this.#record(RecordType.Keyframe);
    this.#bases.set(context.index, { pseq: context.pseq, time: context.time, stamp: context.stamp });
  }

  /** A keyframe of a producer that has one in this block: as it is now, before the next entry. False if it does not pay. */
  laterKeyframe({ context, before, maxBytes }: DueKeyframe): boolean {
    writeLaterKeyframe(this.#scratch, this.#entries.length, context, { before, maxBytes });
    if (this.#scratch.length <= maxBytes) {
      this.#record(RecordType.LaterKeyframe);
      return true;
    }
    this.#scratch.truncate(0);
    return false;
  }

  /** Where play time stands at the start of the block. */
  clock(clock: ClockRecord): void {
    writeClock(this.#scratch, clock);
    this.#record(RecordType.Clock);
  }

  /** How the room stands at the start of the block. */
  room(room: RoomRecord): void {
    writeRoom(this.#scratch, room);
    this.#record(RecordType.Room);
  }

  producer(producer: ProducerRecord): void {
    writeProducer(this.#scratch, producer);
    this.#record(RecordType.Producer);
  }

  meta(meta: RecordingMeta): void {
    writeValueRecord(this.#scratch, meta);
    this.#record(RecordType.Meta);
  }

  checkpoint(checkpoint: CheckpointRecord): void {
    writeCheckpoint(this.#scratch, checkpoint);
    this.#contentBytes += this.#scratch.length + RECORD_OVERHEAD;
    this.#record(RecordType.Checkpoint);
  }

  gap(gap: GapRecord): void {
    writeGap(this.#scratch, gap);
    this.#contentBytes += this.#scratch.length + RECORD_OVERHEAD;
    this.#record(RecordType.Gap);
  }

  /** A change of the map from a producer's clock to room time: the block lists them all. */
  clockMap(map: ClockMapRecord): void {
    this.#clockMaps.push(map);
    this.#contentBytes += CLOCK_MAP_BYTES;
  }

  end(end: EndRecord): void {
    writeValueRecord(this.#scratch, end);
    this.#record(RecordType.End);
  }

  /** A record of any other type, from its own writer or from a file that is rewritten. */
  record(type: number, bytes: Uint8Array): void {
    this.#scratch.raw(bytes);
    this.#record(type);
  }

  add(entry: TimelineEntry): void {
    this.#entries.push(entry);
    this.#contentBytes += entry.body.length + ENTRY_OVERHEAD;
  }

  /**
   * The block, and what the next one says about it. The builder is empty afterwards.
   *
   * @throws GametapeError `LIMIT_EXCEEDED` for one that no reader would take
   */
  close(previous: BlockLink, { compress }: { compress: boolean }): ClosedBlock {
    const closed = this.#encode(this.#records, this.#entries, this.extent, { previous, compress });
    this.#records.truncate(0);
    this.#recordCount = 0;
    this.#bases.clear();
    this.#entries = [];
    this.#clockMaps = [];
    this.#contentBytes = 0;
    this.#selfContained = false;
    return closed;
  }

  /** The block as it would have been, closed at that extent: the builder stays as it is. @throws as `close` does */
  closeUpTo(extent: BlockExtent, previous: BlockLink, { compress }: { compress: boolean }): ClosedBlock {
    const records = new ByteWriter(extent.recordBytes + 1_024);
    records.raw(this.#records.bytes().subarray(0, extent.recordBytes));
    return this.#encode(records, this.#entries.slice(0, extent.entries), extent, { previous, compress });
  }

  #encode(
    records: ByteWriter,
    entries: readonly TimelineEntry[],
    extent: BlockExtent,
    { previous, compress }: { previous: BlockLink; compress: boolean },
  ): ClosedBlock {
    refuseMore('entries', entries.length, LIMITS.blockEntries);
    refuseMore('records', extent.records + (extent.clockMaps > 0 ? 2 : 1), LIMITS.records);
    let [firstSeq, lastSeq] = [Number.POSITIVE_INFINITY, 0];
    let [firstTime, lastTime] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const { seq, time } of entries) {
      firstSeq = Math.min(firstSeq, seq);
      lastSeq = Math.max(lastSeq, seq);
      firstTime = Math.min(firstTime, time);
      lastTime = Math.max(lastTime, time);
    }
    if (entries.length === 0) [firstSeq, firstTime, lastTime] = [0, 0, 0];
    if (extent.clockMaps > 0) {
      writeClockMaps(this.#scratch, this.#clockMaps.slice(0, extent.clockMaps));
      writeRecord(records, RecordType.ClockMaps, this.#scratch);
      this.#scratch.truncate(0);
    }
    if (entries.length > 0) {
      writeEventColumns(this.#scratch, entries, { firstSeq, firstTime, producers: this.#bases });
      writeRecord(records, RecordType.Events, this.#scratch);
      this.#scratch.truncate(0);
    }
    // Field by field: spreads would cost a relay more than the writing, at every flush of every room.
    const content = {
      kind: BlockKind.Events,
      recordingId: this.#recordingId,
      epoch: this.#epoch,
      selfContained: this.#selfContained,
      firstSeq,
      lastSeq,
      firstTime,
      lastTime,
      events: entries.length,
      previous,
      compress,
      payload: records.bytes(),
    };
    const { bytes, link } = encodeBlock(content, this.#compression);
    return { bytes, link, firstSeq, lastSeq, firstTime, lastTime, events: entries.length };
  }

  #record(type: number): void {
    writeRecord(this.#records, type, this.#scratch);
    this.#recordCount++;
    this.#scratch.truncate(0);
  }
}

export interface ClosedBlock {
  readonly bytes: Uint8Array;
  readonly link: BlockLink;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly firstTime: number;
  readonly lastTime: number;
  readonly events: number;
}
