import { ProducerContext } from '../body/producer-context.ts';
import { GametapeError } from '../errors.ts';
import type { Body, GameEvent, TimelineEntry } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import type { JsonObject } from '../values/json.ts';
import { BlockBuilder } from './block-builder.ts';
import { type ByteSink, type Compression, PORTABLE_COMPRESSION } from './byte-io.ts';
import { LaterKeyframes } from './later-keyframes.ts';
import { MAX_MARKERS } from './markers.ts';
import { PlayClock } from './play-clock.ts';
import { RecordingFileWriter } from './recording-file-writer.ts';
import type {
  ClockRecord,
  GapRecord,
  PlayerSummary,
  ProducerRecord,
  RecordingMeta,
  RecordingSummary,
  UnknownRecord,
} from './records.ts';

/** A block ends at whichever comes first. */
export interface BlockLimits {
  readonly entries: number;
  readonly bytes: number;
}

const BLOCK_LIMITS: BlockLimits = { entries: 8_192, bytes: 256 * 1024 };
/** Where the keyframes that a block opens with are longer than this, it gets longer by as much: they must not be most of it. */
const USUAL_HEAD_BYTES = 512 * 1024;
const LONGEST_TIMES = 8;

export interface RecordingWriterOptions {
  readonly compression?: Compression;
  readonly epoch?: number;
  /** Shorter blocks lose less where a file is damaged, and take more bytes. @default 8,192 entries or 256 KiB */
  readonly blockLimits?: BlockLimits;
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
  readonly #meta: RecordingMeta;
  readonly #profile: Profile;
  readonly #compression: Compression;
  readonly #limits: BlockLimits;
  readonly #contexts = new Map<number, ProducerContext>();
  /** The latest producer of each player: whose state is the player's. */
  readonly #current = new Map<string, ProducerContext>();
  /** Taken over from elsewhere: the next block opens with them, also with those that are not the latest of their player. */
  #resumed: ProducerContext[] = [];
  readonly #eventCounts = new Map<string, number>();
  readonly #receivedCounts = new Map<string, number>();
  readonly #clock = new PlayClock();
  readonly #builder: BlockBuilder;
  readonly #file: RecordingFileWriter;
  readonly #keyframes = new LaterKeyframes();
  #headBytes = 0;
  #blockEvents = 0;
  #events = 0;
  #lastTime = 0;

  constructor(sink: ByteSink, meta: RecordingMeta, options: RecordingWriterOptions = {}) {
    const { compression = PORTABLE_COMPRESSION, epoch = 1, blockLimits = BLOCK_LIMITS } = options;
    this.#meta = meta;
    this.#profile = profileNamed(meta.profile);
    this.#compression = compression;
    this.#limits = blockLimits;
    this.#builder = new BlockBuilder(meta.recordingId, epoch, compression);
    this.#file = new RecordingFileWriter({ sink, meta, epoch, compression, clock: this.#clock });
  }

  /** Declares a producer before its first entry. @throws GametapeError `LIMIT_EXCEEDED` */
  addProducer(producer: ProducerRecord): void {
    if (this.#contexts.has(producer.index)) return;
    this.#addContext(new ProducerContext(this.#profile, producer));
  }

  /**
   * Takes over producers as they were at this point, in a recording that starts, or goes on after something lost, in the
   * middle of another. The block that is open ends here; the next one opens with their keyframes.
   *
   * @param contexts owned by the writer from this call on
   * @param at where play time stands, as a block that begins at `time` says it
   */
  async resume(contexts: Iterable<ProducerContext>, at?: ClockRecord & { readonly time: number }): Promise<void> {
    if (!this.#builder.isNew) await this.#closeBlock();
    if (at) this.#clock.agree(at.time, at.pausedUs, at.paused);
    for (const context of contexts) {
      this.#addContext(context);
      this.#resumed.push(context);
      const current = this.#current.get(context.player);
      // One that has no state yet does not take the place of another of its player, but of what it was before.
      if (context.state.size > 0 || !current || current.index === context.index) {
        this.#current.set(context.player, context);
      }
    }
  }

  /** Keeps a record of a type that this version does not know (R5), of a block or of the index. */
  addUnknown({ type, bytes }: UnknownRecord, of: 'block' | 'index' = 'block'): void {
    if (of === 'index') {
      this.#file.unknown.push({ type, bytes });
      return;
    }
    if (this.#builder.isNew) this.#openBlock();
    this.#builder.record(type, bytes);
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
    if (this.#keyframes.isDue) this.#writeLaterKeyframes();
    if (!this.#builder.hasKeyframe(context.index)) this.#keyframe(context);
    const body = context.advance(entry, 'DAMAGED', this.#compression.crc32);
    this.#builder.add(entry);
    this.#keyframes.added(entry);
    this.#current.set(context.player, context);
    this.#lastTime = Math.max(this.#lastTime, entry.time);
    if (entry.stamp !== null) count(this.#receivedCounts, context.player);
    if (body.event) this.#addEvent(entry, body.event, context.player);
    return body;
  }

  /** Names the entry that was added last as a checkpoint. @throws GametapeError `LIMIT_EXCEEDED` */
  addCheckpoint(name: string, entry: Pick<TimelineEntry, 'seq' | 'time'>, eventIndex = this.#events - 1): void {
    if (this.#builder.isNew) this.#openBlock();
    const checkpoint = { name, seq: entry.seq, eventIndex, time: entry.time, hashes: this.#hashes() };
    put(this.#file.checkpoints, checkpoint, 'checkpoints');
    this.#builder.checkpoint(checkpoint);
  }

  /** @throws GametapeError `LIMIT_EXCEEDED` */
  addGap(gap: GapRecord): void {
    if (this.#builder.isNew) this.#openBlock();
    put(this.#file.gaps, gap, 'gaps');
    this.#builder.gap(gap);
  }

  /** Writes what is left, the index and the footer. */
  async finish(end: RecordingEnd = {}): Promise<RecordingSummary> {
    if (this.#builder.isNew && !this.#file.hasBlocks) this.#openBlock();
    if (!this.#builder.isNew) await this.#closeBlock();
    return await this.#file.finish(this.#summarize(end));
  }

  #addContext(context: ProducerContext): void {
    const { index, player, instance } = context;
    if (!this.#contexts.has(index)) put(this.#file.producers, { index, player, instance }, 'producers');
    this.#contexts.set(index, context);
  }

  #addEvent({ seq, producer, time }: TimelineEntry, event: GameEvent, player: string): void {
    const { markers } = this.#file;
    if (this.#profile.markerTypes.has(event.type) && markers.length < MAX_MARKERS) {
      markers.push({ type: event.type, producer, seq, eventIndex: this.#events, time });
    }
    this.#events++;
    this.#blockEvents++;
    count(this.#eventCounts, player);
    this.#clock.observe(time, player, event);
  }

  #openBlock(): void {
    const { recordingId, room, profile, createdAt } = this.#meta;
    this.#builder.meta(this.#file.hasBlocks ? { recordingId, room, profile, createdAt } : this.#meta);
    const { pausedUs, paused } = this.#clock;
    if (pausedUs > 0 || paused) this.#builder.clock({ pausedUs, ...(paused && { paused }) });
    this.#builder.beSelfContained();
    this.#keyframes.clear();
    const current = new Set(this.#current.values());
    // The latest of a player comes last: its state is the player's.
    const others = this.#resumed.filter((context) => this.#contexts.get(context.index) === context);
    for (const context of others) if (!current.has(context)) this.#keyframe(context);
    for (const context of current) this.#keyframe(context);
    this.#resumed = [];
    this.#headBytes = this.#builder.recordBytes;
  }

  #keyframe(context: ProducerContext): void {
    this.#builder.keyframe(context);
    this.#keyframes.opened(context);
  }

  #writeLaterKeyframes(): void {
    for (const due of this.#keyframes.takeDue(this.#contexts)) {
      if (this.#builder.laterKeyframe(due)) this.#keyframes.opened(due.context);
    }
  }

  #isBlockFull(): boolean {
    const times = Math.min(Math.max(1, this.#headBytes / USUAL_HEAD_BYTES), LONGEST_TIMES);
    const { entries, bytes } = this.#limits;
    return this.#builder.entries >= entries * times || this.#builder.contentBytes >= bytes * times;
  }

  async #closeBlock(): Promise<void> {
    const closed = this.#builder.close(this.#file.previous, { compress: true });
    const events = this.#blockEvents;
    this.#blockEvents = 0;
    await this.#file.addBlock(closed, events);
  }

  #summarize({ endedAt, outcome, expected }: RecordingEnd): RecordingSummary {
    const end = endedAt ?? this.#lastTime;
    const ids = new Set([...this.#contexts.values()].map(({ player }) => player));
    const players = [...ids].map((id): PlayerSummary => {
      const received = this.#receivedCounts.get(id) ?? 0;
      const gaps = this.#file.gaps.filter(({ producer }) => this.#contexts.get(producer)?.player === id);
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
}

/** A recording with more of them would be one that no reader takes. */
function put<T>(list: T[], item: T, what: 'producers' | 'checkpoints' | 'gaps'): void {
  if (list.length >= LIMITS[what]) {
    throw new GametapeError('LIMIT_EXCEEDED', `recording: more than ${LIMITS[what]} ${what}`);
  }
  list.push(item);
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
