import { ProducerContext } from '../body/producer-context.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import type { Body, TimelineEntry } from '../event.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import type { JsonObject } from '../values/json.ts';
import { BlockKind, encodeBlock, NO_BLOCK } from './block.ts';
import { BlockBuilder, type ClosedBlock } from './block-builder.ts';
import { type ByteSink, type Compression, PORTABLE_COMPRESSION } from './byte-io.ts';
import { type BlockRow, encodeFileHeader, encodeFooter, FILE_HEADER_BYTES, writeBlockRows } from './index-block.ts';
import { PlayClock } from './play-clock.ts';
import {
  type CheckpointRecord,
  type GapRecord,
  type PlayerSummary,
  type ProducerRecord,
  type RecordingMeta,
  type RecordingSummary,
  RecordType,
  writeCheckpoint,
  writeGap,
  writeProducer,
  writeRecord,
  writeValueRecord,
} from './records.ts';

/** A block ends at whichever comes first: seeking replays at most this much. */
const MAX_BLOCK_ENTRIES = 8_192;
const MAX_BLOCK_BYTES = 256 * 1024;

export interface RecordingWriterOptions {
  readonly compression?: Compression;
  readonly epoch?: number;
}

/** How a recording ends. `expected` and `gaps` are per player id; a player left out is taken to be complete. */
export interface RecordingEnd {
  /** Room time in microseconds; the last entry's if left out. */
  readonly endedAt?: number;
  readonly outcome?: JsonObject;
  readonly expected?: ReadonlyMap<string, number | null>;
}

/**
 * Writes a finished recording from entries in timeline order, in memory that does not grow with it beyond its index (R1, R6).
 *
 * It re-applies every delta, so a body that does not decode is refused here and never reaches a file.
 */
export class RecordingWriter {
  readonly #sink: ByteSink;
  readonly #meta: RecordingMeta;
  readonly #profile: Profile;
  readonly #compression: Compression;
  readonly #epoch: number;
  readonly #contexts = new Map<number, ProducerContext>();
  /** The latest producer of each player: whose state is the player's. */
  readonly #current = new Map<string, ProducerContext>();
  readonly #eventCounts = new Map<string, number>();
  readonly #receivedCounts = new Map<string, number>();
  readonly #checkpoints: CheckpointRecord[] = [];
  readonly #gaps: GapRecord[] = [];
  readonly #rows: BlockRow[] = [];
  readonly #clock = new PlayClock();
  readonly #builder: BlockBuilder;
  #previous = NO_BLOCK;
  #offset = 0;
  #blockEvents = 0;
  #events = 0;
  #lastTime = 0;

  constructor(sink: ByteSink, meta: RecordingMeta, options: RecordingWriterOptions = {}) {
    this.#sink = sink;
    this.#meta = meta;
    this.#profile = profileNamed(meta.profile);
    this.#compression = options.compression ?? PORTABLE_COMPRESSION;
    this.#epoch = options.epoch ?? 1;
    this.#builder = new BlockBuilder(meta.recordingId, this.#epoch, this.#compression);
  }

  /** Declares a producer before its first entry. */
  addProducer(producer: ProducerRecord): void {
    if (this.#contexts.has(producer.index)) return;
    const context = new ProducerContext(this.#profile, producer);
    this.#contexts.set(producer.index, context);
  }

  /**
   * Adds the next entry of the timeline. Its body is kept until its block is written.
   *
   * @throws GametapeError `DAMAGED` for a body that does not decode, `BAD_DELTA` for one that does not fit.
   */
  async add(entry: TimelineEntry): Promise<Body> {
    const context = this.#contexts.get(entry.producer);
    if (!context) throw new TypeError(`entry ${entry.seq} of producer ${entry.producer}, which was not added`);
    if (this.#isBlockFull()) await this.#closeBlock();
    if (this.#builder.isNew) this.#openBlock();
    if (!this.#builder.hasKeyframe(context.index)) this.#builder.keyframe(context);
    const body = context.advance(entry, 'DAMAGED', this.#compression.crc32);
    this.#builder.add(entry);
    this.#current.set(context.player, context);
    this.#lastTime = Math.max(this.#lastTime, entry.time);
    if (entry.stamp !== null) count(this.#receivedCounts, context.player);
    if (body.event) {
      this.#events++;
      this.#blockEvents++;
      count(this.#eventCounts, context.player);
      this.#clock.observe(entry.time, context.player, body.event);
    }
    return body;
  }

  /** Names the entry that was added last as a checkpoint. */
  addCheckpoint(name: string, entry: Pick<TimelineEntry, 'seq' | 'time'>, eventIndex = this.#events - 1): void {
    if (this.#builder.isNew) this.#openBlock();
    const checkpoint = { name, seq: entry.seq, eventIndex, time: entry.time, hashes: this.#hashes() };
    this.#checkpoints.push(checkpoint);
    this.#builder.checkpoint(checkpoint);
  }

  addGap(gap: GapRecord): void {
    if (this.#builder.isNew) this.#openBlock();
    this.#gaps.push(gap);
    this.#builder.gap(gap);
  }

  /** Writes what is left, the index and the footer. */
  async finish(end: RecordingEnd = {}): Promise<RecordingSummary> {
    if (this.#builder.isNew && this.#rows.length === 0) this.#openBlock();
    if (!this.#builder.isNew) await this.#closeBlock();
    const summary = this.#summarize(end);
    const { bytes } = encodeBlock(
      {
        kind: BlockKind.Index,
        recordingId: this.#meta.recordingId,
        epoch: this.#epoch,
        selfContained: false,
        firstSeq: 0,
        lastSeq: 0,
        firstTime: 0,
        lastTime: 0,
        events: 0,
        previous: this.#previous,
        payload: this.#indexPayload(summary),
        compress: true,
      },
      this.#compression,
    );
    const footer = {
      indexOffset: this.#offset,
      indexLength: bytes.length,
      complete: summary.complete,
      events: this.#events,
    };
    await this.#sink.write(bytes);
    await this.#sink.write(encodeFooter(footer, this.#compression));
    return summary;
  }

  #openBlock(): void {
    if (this.#rows.length === 0) this.#builder.meta(this.#meta);
    this.#builder.open(this.#current.values());
  }

  #isBlockFull(): boolean {
    return this.#builder.entries >= MAX_BLOCK_ENTRIES || this.#builder.contentBytes >= MAX_BLOCK_BYTES;
  }

  async #closeBlock(): Promise<void> {
    if (this.#offset === 0) {
      await this.#sink.write(encodeFileHeader(this.#compression));
      this.#offset = FILE_HEADER_BYTES;
    }
    const closed: ClosedBlock = this.#builder.close(this.#previous, { compress: true });
    await this.#sink.write(closed.bytes);
    this.#rows.push({
      offset: this.#offset,
      length: closed.bytes.length,
      entries: closed.events,
      events: this.#blockEvents,
      firstSeq: closed.firstSeq,
      firstTime: closed.firstTime,
      lastTime: closed.lastTime,
      headerCrc: closed.link.headerCrc,
    });
    this.#offset += closed.bytes.length;
    this.#previous = closed.link;
    this.#blockEvents = 0;
  }

  #summarize({ endedAt, outcome, expected }: RecordingEnd): RecordingSummary {
    const end = endedAt ?? this.#lastTime;
    const ids = new Set([...this.#contexts.values()].map(({ player }) => player));
    const players = [...ids].map((id): PlayerSummary => {
      const received = this.#receivedCounts.get(id) ?? 0;
      const gaps = this.#gaps.filter(({ producer }) => this.#contexts.get(producer)?.player === id);
      return {
        id,
        events: this.#eventCounts.get(id) ?? 0,
        expected: expected?.has(id) ? (expected.get(id) as number | null) : received,
        received,
        gaps: gaps.map(({ firstPseq, lastPseq }) => [firstPseq, lastPseq]),
      };
    });
    return {
      complete: players.every((player) => player.expected === player.received && player.gaps.length === 0),
      endedAt: end,
      durationUs: this.#clock.playTime(end),
      events: this.#events,
      players,
      pauses: this.#clock.pauses(end),
      hashes: this.#hashes(),
      ...(outcome && { outcome }),
    };
  }

  #hashes(): [producer: number, hash: number][] {
    const known = [...this.#current.values()].filter(({ state }) => state.size > 0);
    return known.map(({ index, state }) => [index, state.hash(this.#compression.crc32)]);
  }

  #indexPayload(summary: RecordingSummary): Uint8Array {
    const payload = new ByteWriter(1_024);
    const record = new ByteWriter(1_024);
    const put = (type: number, write: () => void) => {
      write();
      writeRecord(payload, type, record);
      record.truncate(0);
    };
    put(RecordType.Meta, () => writeValueRecord(record, this.#meta));
    for (const context of this.#contexts.values()) put(RecordType.Producer, () => writeProducer(record, context));
    for (const checkpoint of this.#checkpoints) put(RecordType.Checkpoint, () => writeCheckpoint(record, checkpoint));
    for (const gap of this.#gaps) put(RecordType.Gap, () => writeGap(record, gap));
    put(RecordType.Summary, () => writeValueRecord(record, summary));
    put(RecordType.Blocks, () => writeBlockRows(record, this.#rows));
    return payload.take();
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
