import {
  BlockBuilder,
  type BlockLink,
  type CheckpointRecord,
  type Compression,
  type EndRecord,
  type EventBlock,
  EventType,
  type GameEvent,
  type GapRecord,
  isGametapeError,
  linkOf,
  PlayClock,
  ProducerContext,
  RecordingIdentity,
  readEventBlock,
  type TimelineEntry,
} from '@gametape/shared';
import type { Journal, RecoveredBlock } from '../journal/journal.ts';
import { RoomClock } from '../timeline/clock.ts';
import type { RestoredProducer, RoomStart } from './room-start.ts';

/** What clients that come back may have missed is looked for in this many bytes of entries (W4). */
const RECENT_BYTES = 4 * 1024 * 1024;
const RECENT_OVERHEAD = 120;

/** What a journal has of a recording that was not finished. */
export interface RecoveredRoom {
  readonly start: RoomStart;
  /** The room had ended: only finishing is left. */
  readonly end: EndRecord | undefined;
  /** Players of whom events came after a hole and were left out: they send them again (J4). */
  readonly cut: readonly string[];
}

/** Puts a room together again from its blocks: keyframes first, then what came after them (J3, J4). */
export async function recoverRoom(
  journal: Journal,
  recordingId: string,
  compression: Compression,
): Promise<RecoveredRoom> {
  const recovery = new Recovery(recordingId, compression);
  for await (const block of journal.recover(recordingId)) recovery.take(block);
  return { start: recovery.start(journal), end: recovery.end, cut: recovery.cut };
}

/** What is known of a producer so far. */
type Producer = { -readonly [Name in keyof RestoredProducer]: RestoredProducer[Name] } & {
  /** Events of it are missing before what is left out from here on. */
  isCut: boolean;
};

class Recovery {
  end: EndRecord | undefined;
  readonly #recordingId: string;
  readonly #compression: Compression;
  readonly #identity = new RecordingIdentity();
  readonly #producers = new Map<number, Producer>();
  readonly #checkpoints = new Map<string, CheckpointRecord>();
  readonly #epochEnds = new Map<number, number>();
  /** Last seq before the first hole of each epoch: what was shown after it is not there any more. */
  readonly #holes = new Map<number, number>();
  readonly #playClock = new PlayClock();
  #recent: RoomStart['recent'][number][] = [];
  #recentBytes = 0;
  #headSeq = 0;
  #epoch = 0;
  #lastTime = 0;
  #events = 0;
  #lastSealed: BlockLink | undefined;
  /** What is not in the recording's own file yet goes into its next block, which opens with what was known by then. */
  #sealing: BlockBuilder | undefined;

  constructor(recordingId: string, compression: Compression) {
    this.#recordingId = recordingId;
    this.#compression = compression;
  }

  take({ header, stored, sealed }: RecoveredBlock): void {
    const declared = this.#identity.producers.size;
    const block = readEventBlock(header, stored, this.#identity, this.#compression);
    if (sealed) {
      this.#lastSealed = linkOf(header);
      // A sealed block opens with what is known by then: after a damaged one it is all there is to go on from.
      for (const keyframe of block.keyframes()) {
        const producer = this.#producer(keyframe.index);
        producer.context = keyframe;
        producer.hasJoined = true;
      }
      for (const entry of block.entries) if (entry.seq > this.#headSeq) this.#takeEntry(entry, header.epoch);
      for (const gap of block.gaps) this.#takeGap(gap);
      for (const checkpoint of block.checkpoints) this.#checkpoints.set(checkpoint.name, checkpoint);
    } else this.#takeAppended(block, declared, header.epoch);
    this.#epochEnds.set(header.epoch, this.#holes.get(header.epoch) ?? this.#headSeq);
    this.end ??= block.end;
  }

  /** Names of the players that are cut. */
  get cut(): string[] {
    return [...this.#producers.values()].filter(({ isCut }) => isCut).map(({ context }) => context.player);
  }

  start(journal: Journal): RoomStart {
    const { meta, profile } = this.#identity;
    const sinceCreatedUs = (Date.now() / 1_000 - meta.createdAt) * 1_000_000;
    const lastEpoch = Math.max(0, ...this.#epochEnds.keys());
    // An incarnation that wrote nothing has left no trace of its epoch: by the clock, none is given twice.
    const epoch = Math.max(lastEpoch + 1, Math.floor(sinceCreatedUs / 1_000_000) + 2);
    const count = Math.max(-1, ...this.#identity.producers.keys()) + 1;
    return {
      meta,
      profile,
      epoch,
      // The wall clock may have been set back meanwhile: room time goes on all the same.
      clock: new RoomClock(Math.max(this.#lastTime + 1, sinceCreatedUs)),
      journal: { journal, lastSealed: this.#lastSealed, sealing: this.#sealing ?? this.#openSealing(epoch) },
      headSeq: this.#headSeq,
      recent: this.#recent,
      epochEnds: this.#epochEnds,
      producers: Array.from({ length: count }, (_, index) => this.#restored(index)),
      checkpoints: this.#checkpoints,
      playClock: this.#playClock,
      events: this.#events,
    };
  }

  #restored(index: number): RestoredProducer {
    const producer = this.#producer(index);
    return { ...producer, firstSeq: producer.firstSeq || this.#headSeq + 1 };
  }

  #takeEntry(entry: TimelineEntry, epoch: number): void {
    const producer = this.#producer(entry.producer);
    const { context } = producer;
    if (entry.pseq > context.pseq + 1) loseEvents(producer);
    const { event, change } = context.advance(entry, 'DAMAGED', this.#compression.crc32);
    producer.hasJoined = true;
    // Entries are found by counting: what lies before a hole is of no use to anybody.
    if (entry.seq > this.#headSeq + 1) {
      this.#forgetRecent(0);
      this.#noteHole(epoch);
    }
    this.#headSeq = entry.seq;
    this.#lastTime = Math.max(this.#lastTime, entry.time);
    if (producer.firstSeq === 0) producer.firstSeq = entry.seq;
    const isOwn = entry.stamp !== null;
    this.#recent.push({ entry, restarts: isOwn && producer.restarts });
    this.#recentBytes += entry.body.length + RECENT_OVERHEAD;
    if (this.#recentBytes > 2 * RECENT_BYTES) this.#forgetRecent(RECENT_BYTES);
    if (isOwn) producer.restarts = false;
    if (isOwn && change) producer.needsKeyframe = false;
    if (!event) return;
    this.#events++;
    this.#playClock.observe(entry.time, context.player, event);
    if (!isOwn) observePresence(producer, event);
  }

  /** Keeps only the newest entries of at most that many bytes. */
  #forgetRecent(bytes: number): void {
    let from = 0;
    for (; this.#recentBytes > bytes && from < this.#recent.length; from++) {
      this.#recentBytes -= (this.#recent[from]?.entry.body.length ?? 0) + RECENT_OVERHEAD;
    }
    this.#recent = this.#recent.slice(from);
  }

  #takeGap({ producer: index, lastPseq }: GapRecord): void {
    const producer = this.#producer(index);
    if (lastPseq <= producer.context.pseq) return;
    loseEvents(producer);
    producer.context.skipTo(lastPseq);
  }

  /**
   * Takes a block that is not sealed yet, of which `declared` producers are known from before, and puts it into the next that
   * will be. After a hole, as a power loss leaves in what was not stable, a producer's events cannot be read. They are left
   * out, so that its SDK, which still has them, sends them all again (J4).
   */
  #takeAppended(block: EventBlock, declared: number, epoch: number): void {
    this.#sealing ??= this.#openSealing(epoch);
    // What a later incarnation took goes on from what it found: the same as is found now.
    if (epoch > this.#epoch) for (const producer of this.#producers.values()) producer.isCut = false;
    this.#epoch = epoch;
    for (const producer of [...this.#identity.producers.values()].slice(declared)) this.#sealing.producer(producer);
    const taken = new Set<number>();
    for (const entry of block.entries) {
      if (entry.seq <= this.#headSeq) continue;
      if (this.#isAfterHole(entry, block.gaps) || !this.#canTake(entry, epoch)) {
        this.#noteHole(epoch);
        this.#forgetRecent(0);
        // Its number is not given again: the next seal covers what is left out too.
        this.#headSeq = entry.seq;
        continue;
      }
      this.#sealing.add(entry);
      taken.add(entry.seq);
    }
    for (const gap of block.gaps) {
      const producer = this.#identity.producers.has(gap.producer) ? this.#producer(gap.producer) : undefined;
      if (!producer || producer.isCut || gap.firstPseq > producer.context.pseq + 1) continue;
      this.#sealing.gap(gap);
      this.#takeGap(gap);
    }
    for (const checkpoint of block.checkpoints) {
      if (!taken.has(checkpoint.seq)) continue;
      this.#sealing.checkpoint(checkpoint);
      this.#checkpoints.set(checkpoint.name, checkpoint);
    }
  }

  /** Whether something of its producer is missing before an entry: events that no gap states, or its PLAYER_JOIN. */
  #isAfterHole({ producer: index, pseq, stamp }: TimelineEntry, gaps: readonly GapRecord[]): boolean {
    if (!this.#identity.producers.has(index)) return true;
    const producer = this.#producer(index);
    let reached = producer.context.pseq;
    for (const gap of gaps) {
      if (gap.producer === index && gap.firstPseq <= reached + 1) reached = Math.max(reached, gap.lastPseq);
    }
    producer.isCut ||= pseq > reached + 1 || (stamp !== null && !producer.hasJoined);
    return producer.isCut;
  }

  #canTake(entry: TimelineEntry, epoch: number): boolean {
    try {
      this.#takeEntry(entry, epoch);
      return true;
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      this.#producer(entry.producer).isCut = true;
      return false;
    }
  }

  #noteHole(epoch: number): void {
    if (!this.#holes.has(epoch)) this.#holes.set(epoch, this.#headSeq);
  }

  /** The block keeps the epoch of what goes into it: clients may still have positions of that one (W4). */
  #openSealing(epoch: number): BlockBuilder {
    const builder = new BlockBuilder(this.#recordingId, epoch, this.#compression);
    if (!this.#lastSealed) builder.meta(this.#identity.meta);
    const latest = new Map(Array.from(this.#producers.values(), ({ context }) => [context.player, context]));
    builder.open(latest.values());
    return builder;
  }

  #producer(index: number): Producer {
    const known = this.#producers.get(index);
    if (known) return known;
    const unknown = { index, player: `unknown-${index}`, instance: '' };
    const context = new ProducerContext(this.#identity.profile, this.#identity.producers.get(index) ?? unknown);
    const producer = {
      context,
      hasJoined: false,
      isPresent: false,
      firstSeq: 0,
      expected: null,
      restarts: false,
      needsKeyframe: false,
      isCut: false,
    };
    this.#producers.set(index, producer);
    return producer;
  }
}

/** The vocabulary starts over with the next entry, and the next change has to be a keyframe (D3). */
function loseEvents(producer: Producer): void {
  producer.restarts = true;
  producer.needsKeyframe = true;
}

/** A player that left had said how much it recorded; whatever else happened to it, it has not. */
function observePresence(producer: Producer, { type, data }: GameEvent): void {
  if (type === EventType.PLAYER_JOIN) producer.isPresent = true;
  if (type === EventType.PLAYER_LEAVE) producer.isPresent = false;
  producer.expected = type === EventType.PLAYER_LEAVE && data.reason === 'left' ? producer.context.pseq : null;
}
