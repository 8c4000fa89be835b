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
}

/** Puts a room together again from its blocks: keyframes first, then what came after them (J3, J4). */
export async function recoverRoom(
  journal: Journal,
  recordingId: string,
  compression: Compression,
  claimEpoch: number,
): Promise<RecoveredRoom> {
  const recovery = new Recovery(recordingId, compression);
  for await (const block of journal.recover(recordingId)) recovery.take(block);
  return { start: recovery.start(journal, claimEpoch), end: recovery.end };
}

/** What is known of a producer so far. */
type Producer = { -readonly [Name in keyof RestoredProducer]: RestoredProducer[Name] };

class Recovery {
  end: EndRecord | undefined;
  readonly #recordingId: string;
  readonly #compression: Compression;
  readonly #identity = new RecordingIdentity();
  readonly #producers = new Map<number, Producer>();
  readonly #checkpoints = new Map<string, CheckpointRecord>();
  readonly #epochEnds = new Map<number, number>();
  readonly #playClock = new PlayClock();
  #recent: RoomStart['recent'][number][] = [];
  #recentBytes = 0;
  #headSeq = 0;
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
      for (const keyframe of block.keyframes()) this.#producer(keyframe.index).context = keyframe;
    } else this.#sealAgain(block, declared, header.epoch);
    for (const entry of block.entries) if (entry.seq > this.#headSeq) this.#takeEntry(entry, sealed);
    for (const gap of block.gaps) this.#takeGap(gap);
    for (const checkpoint of block.checkpoints) this.#checkpoints.set(checkpoint.name, checkpoint);
    this.#epochEnds.set(header.epoch, this.#headSeq);
    this.end ??= block.end;
  }

  start(journal: Journal, claimEpoch: number): RoomStart {
    const { meta, profile } = this.#identity;
    const sinceCreatedUs = (Date.now() / 1_000 - meta.createdAt) * 1_000_000;
    const lastEpoch = Math.max(0, ...this.#epochEnds.keys());
    // An incarnation that wrote nothing has left no trace of its epoch: by the clock, none is given twice.
    const epoch = Math.max(lastEpoch + 1, claimEpoch, Math.floor(sinceCreatedUs / 1_000_000) + 2);
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

  #takeEntry(entry: TimelineEntry, sealed: boolean): void {
    const producer = this.#producer(entry.producer);
    const { context } = producer;
    if (entry.pseq > context.pseq + 1) loseEvents(producer);
    const { event, change } = context.advance(entry, 'DAMAGED', this.#compression.crc32);
    if (!sealed) this.#sealing?.add(entry);
    // Entries are found by counting: what lies before a hole is of no use to anybody.
    if (entry.seq > this.#headSeq + 1) this.#forgetRecent(0);
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

  /** Puts a block that is not sealed yet, of which `declared` producers are known from before, into the next that will be. */
  #sealAgain(block: EventBlock, declared: number, epoch: number): void {
    this.#sealing ??= this.#openSealing(epoch);
    for (const producer of [...this.#identity.producers.values()].slice(declared)) this.#sealing.producer(producer);
    for (const gap of block.gaps) this.#sealing.gap(gap);
    for (const checkpoint of block.checkpoints) this.#sealing.checkpoint(checkpoint);
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
    const producer = { context, isPresent: false, firstSeq: 0, expected: null, restarts: false, needsKeyframe: false };
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
