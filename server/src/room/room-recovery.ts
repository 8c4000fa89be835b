import {
  BlockBuilder,
  type BlockLink,
  type CheckpointPlace,
  type Compression,
  type EndRecord,
  type EventBlock,
  type GapRecord,
  hasKeyframe,
  isGametapeError,
  linkOf,
  NO_BLOCK,
  PlayClock,
  RecordingIdentity,
  type RoomRecord,
  readEventBlock,
  type TimelineEntry,
} from '@gametape/shared';
import type { Journal, RecoveredBlock } from '../journal/journal.ts';
import { RoomClock } from '../timeline/clock.ts';
import { RecoveredEntries } from './recovered-entries.ts';
import { RecoveredProducers } from './recovered-producers.ts';
import { RecoveryStart } from './recovery-start.ts';
import { isForOwner, isSpelled } from './relay-bodies.ts';
import { isLarge, openSealed, type UnsealedBlock } from './room-journal.ts';
import type { RoomStart } from './room-start.ts';

/** What a journal has of a recording that was not finished. */
export interface RecoveredRoom {
  readonly start: RoomStart;
  /** The room had ended: only finishing is left. */
  readonly end: EndRecord | undefined;
  /** Players of whom events came after a hole and were left out: they send them again (J4). */
  readonly cut: readonly string[];
}

/**
 * Puts a room together again: from a sealed block near the end, which says how the room stood, and what came after it (J3, J4).
 *
 * @throws GametapeError `DAMAGED` when what is there does not make a room
 */
export async function recoverRoom(
  journal: Journal,
  recordingId: string,
  compression: Compression,
  claimEpoch: number,
): Promise<RecoveredRoom> {
  const recovery = new Recovery(recordingId, compression);
  const start = new RecoveryStart(compression);
  for await (const block of journal.recover(recordingId, (sealed) => start.accepts(sealed))) recovery.take(block);
  return recovery.finish(journal, claimEpoch);
}

class Recovery {
  readonly #recordingId: string;
  readonly #compression: Compression;
  readonly #identity = new RecordingIdentity();
  readonly #producers = new RecoveredProducers(this.#identity);
  readonly #checkpoints = new Map<string, CheckpointPlace>();
  readonly #epochEnds = new Map<number, number>();
  /** Last seq before the first hole of each epoch: what was shown after it is not there any more. */
  readonly #holes = new Map<number, number>();
  readonly #recent = new RecoveredEntries();
  /** Last number of each producer of whom something is left out, and whose name is lost with its joining. */
  readonly #unknown = new Map<number, number>();
  #playClock = new PlayClock();
  #end: EndRecord | undefined;
  #headSeq = 0;
  #epoch = 0;
  #lastTime = 0;
  #events = 0;
  #gaps = 0;
  #lastSealed: BlockLink | undefined;
  /** What is not in the recording's own file yet goes into its next blocks, each of which opens with what was known by then. */
  #sealing: BlockBuilder | undefined;
  readonly #closed: UnsealedBlock[] = [];

  constructor(recordingId: string, compression: Compression) {
    this.#recordingId = recordingId;
    this.#compression = compression;
  }

  /** @throws GametapeError for a block of the log that is intact and cannot be read; a sealed one is left out */
  take(block: RecoveredBlock): void {
    try {
      this.#take(block);
    } catch (error) {
      // The next sealed block says how the room stood, and what is not in this one is met again when it is finished.
      if (!block.sealed || !isGametapeError(error)) throw error;
      this.#recent.clear();
      this.#headSeq = Math.max(this.#headSeq, block.header.lastSeq);
    }
    const { epoch } = block.header;
    this.#epochEnds.set(epoch, this.#holes.get(epoch) ?? this.#headSeq);
  }

  #take({ header, stored, sealed }: RecoveredBlock): void {
    const declared = this.#identity.producers.size;
    if (sealed) this.#lastSealed = linkOf(header);
    const block = readEventBlock(header, stored, this.#identity, this.#compression);
    if (sealed) {
      if (block.room) this.#agree(block.room);
      // A sealed block opens with what is known by then: after a damaged one it is all there is to go on from.
      for (const keyframe of block.keyframes()) {
        const producer = this.#producers.get(keyframe.index);
        producer.context = keyframe;
        // A room record has said it already, also of one that is known and has not joined.
        producer.hasJoined ||= block.room === undefined;
      }
      for (const entry of block.entries)
        if (entry.seq > this.#headSeq) this.#takeEntry(entry, block.gaps, header.epoch);
      for (const gap of block.gaps) this.#takeGap(gap);
      for (const { name, seq, time } of block.checkpoints) this.#checkpoints.set(name, { name, seq, time });
    } else this.#takeAppended(block, declared, header.epoch);
    this.#end ??= block.end;
  }

  finish(journal: Journal, claimEpoch: number): RecoveredRoom {
    const { meta, profile } = this.#identity;
    const sinceCreatedUs = (Date.now() / 1_000 - meta.createdAt) * 1_000_000;
    const lastEpoch = Math.max(0, ...this.#epochEnds.keys());
    // An incarnation that wrote nothing has left no trace of its epoch: by the clock, none is given twice.
    const epoch = Math.max(lastEpoch + 1, claimEpoch, Math.floor(sinceCreatedUs / 1_000_000) + 2);
    const start: RoomStart = {
      meta,
      profile,
      epoch,
      // The wall clock may have been set back meanwhile: room time goes on all the same.
      clock: new RoomClock(Math.max(this.#lastTime + 1, sinceCreatedUs)),
      journal: {
        journal,
        lastSealed: this.#lastSealed,
        sealing: { closed: this.#closed, rest: this.#sealing ?? this.#openSealing(epoch) },
      },
      headSeq: this.#headSeq,
      recent: this.#recent.items,
      epochEnds: this.#epochEnds,
      producers: this.#producers.restored(this.#headSeq),
      checkpoints: this.#checkpoints,
      playClock: this.#playClock,
      events: this.#events,
      gaps: this.#gaps,
      // One that was declared after all, later in the log, has a seat.
      unknown: [...this.#unknown].filter(([index]) => !this.#identity.producers.has(index)).map(([, pseq]) => pseq),
    };
    return { start, end: this.#end, cut: this.#producers.cut };
  }

  /** Goes on from how a sealed block says that the room stood: after a damaged one, or at the start. */
  #agree(room: RoomRecord): void {
    if (room.headSeq > this.#headSeq) this.#recent.clear();
    this.#headSeq = Math.max(this.#headSeq, room.headSeq);
    this.#lastTime = Math.max(this.#lastTime, room.time);
    this.#events = room.events;
    this.#gaps = room.gaps;
    this.#playClock = new PlayClock(room.pauses, room.paused, room.changes);
    this.#producers.agree(room.producers);
    for (const checkpoint of room.checkpoints) this.#checkpoints.set(checkpoint.name, checkpoint);
    for (const [epoch, seq] of room.epochEnds) this.#epochEnds.set(epoch, seq);
  }

  #takeEntry(entry: TimelineEntry, gaps: readonly GapRecord[], epoch: number): void {
    const producer = this.#producers.get(entry.producer);
    const { context } = producer;
    const isOwn = entry.stamp !== null;
    const isFirst = !producer.hasJoined;
    for (const gap of isOwn && entry.pseq > context.pseq + 1 ? gaps : []) {
      if (gap.producer === entry.producer && gap.lastPseq < entry.pseq) this.#takeGap(gap);
    }
    const before = !isOwn && hasKeyframe(entry.body) ? context.vocabulary.fork() : undefined;
    const body = context.advance(entry, 'DAMAGED', this.#compression.crc32);
    const { event } = body;
    producer.hasJoined = true;
    // Entries are found by counting: what lies before a hole is of no use to anybody.
    if (entry.seq > this.#headSeq + 1) {
      this.#recent.clear();
      this.#noteHole(epoch);
    }
    this.#headSeq = entry.seq;
    this.#lastTime = Math.max(this.#lastTime, entry.time);
    if (producer.firstSeq === 0) producer.firstSeq = entry.seq;
    const isMadeForOwner = !isOwn && isForOwner(event?.type);
    this.#recent.add({ entry, restarts: isFirst || (isOwn && producer.restarts), isForOwner: isMadeForOwner });
    if (isOwn) producer.observeOwn(body, entry.pseq, isSpelled(entry.body));
    if (isMadeForOwner && before) producer.rewind(entry.seq, before);
    if (!event) return;
    this.#events++;
    this.#playClock.observe(entry.time, context.player, event);
    if (!isOwn) producer.observePresence(event);
  }

  #takeGap({ producer: index, lastPseq }: GapRecord): void {
    const producer = this.#producers.get(index);
    if (lastPseq <= producer.context.pseq) return;
    this.#gaps++;
    producer.skipTo(lastPseq);
  }

  /**
   * Takes a block that is not sealed yet, of which `declared` producers are known from before, and puts it into the next that
   * will be. After a hole, as a power loss leaves in what was not stable, a producer's events cannot be read. They are left
   * out, so that its SDK, which still has them, sends them all again (J4).
   */
  #takeAppended(block: EventBlock, declared: number, epoch: number): void {
    if (this.#sealing && isLarge(this.#sealing)) this.#closeSealing(this.#sealing);
    this.#sealing ??= this.#openSealing(epoch);
    // What a later incarnation took goes on from what it found: the same as is found now.
    if (epoch > this.#epoch) this.#producers.mend();
    this.#epoch = epoch;
    for (const producer of [...this.#identity.producers.values()].slice(declared)) this.#sealing.producer(producer);
    const taken = new Set<number>();
    for (const entry of block.entries) {
      if (entry.seq <= this.#headSeq) continue;
      if (this.#isAfterHole(entry, block.gaps) || !this.#canTake(entry, block.gaps, epoch)) {
        this.#noteHole(epoch);
        this.#recent.clear();
        // Its number is not given again: the next seal covers what is left out too.
        this.#headSeq = entry.seq;
        this.#leaveOut(entry);
        continue;
      }
      this.#sealing.add(entry);
      taken.add(entry.seq);
    }
    for (const map of block.clockMaps) if (this.#identity.producers.has(map.producer)) this.#sealing.clockMap(map);
    for (const gap of block.gaps) {
      const producer = this.#identity.producers.has(gap.producer) ? this.#producers.get(gap.producer) : undefined;
      if (!producer || producer.isCut || gap.firstPseq > producer.context.pseq + 1) continue;
      this.#sealing.gap(gap);
      this.#takeGap(gap);
    }
    for (const checkpoint of block.checkpoints) {
      const { name, seq, time } = checkpoint;
      if (!taken.has(seq)) continue;
      this.#sealing.checkpoint(checkpoint);
      this.#checkpoints.set(name, { name, seq, time });
    }
  }

  #leaveOut({ producer: index, pseq }: TimelineEntry): void {
    if (!this.#identity.producers.has(index)) {
      this.#unknown.set(index, Math.max(this.#unknown.get(index) ?? 0, pseq));
      return;
    }
    const producer = this.#producers.get(index);
    producer.leftOut = Math.max(producer.leftOut, pseq);
  }

  /** Whether something of its producer is missing before an entry: events that no gap states, or its PLAYER_JOIN. */
  #isAfterHole({ producer: index, pseq, stamp }: TimelineEntry, gaps: readonly GapRecord[]): boolean {
    if (!this.#identity.producers.has(index)) return true;
    const producer = this.#producers.get(index);
    let reached = producer.context.pseq;
    for (const gap of gaps) {
      if (gap.producer === index && gap.firstPseq <= reached + 1) reached = Math.max(reached, gap.lastPseq);
    }
    producer.isCut ||= pseq > reached + 1 || (stamp !== null && !producer.hasJoined);
    return producer.isCut;
  }

  /** @throws GametapeError for one that cannot be read although nothing is missing: its recording stays as it is (S4) */
  #canTake(entry: TimelineEntry, gaps: readonly GapRecord[], epoch: number): boolean {
    try {
      this.#takeEntry(entry, gaps, epoch);
      return true;
    } catch (error) {
      const isHoleBefore = this.#holes.size > 0 || entry.seq > this.#headSeq + 1;
      if (!isGametapeError(error) || !isHoleBefore) throw error;
      this.#producers.get(entry.producer).isCut = true;
      return false;
    }
  }

  #noteHole(epoch: number): void {
    if (!this.#holes.has(epoch)) this.#holes.set(epoch, this.#headSeq);
  }

  /** Where sealing has failed for long, the log holds more than fits into one block. */
  #closeSealing(builder: BlockBuilder): void {
    const { bytes, link } = builder.close(this.#lastSealed ?? NO_BLOCK, { compress: false });
    this.#closed.push({ bytes, lastSeq: this.#headSeq });
    this.#lastSealed = link;
    this.#sealing = undefined;
  }

  /** The block keeps the epoch of what goes into it: clients may still have positions of that one (W4). */
  #openSealing(epoch: number): BlockBuilder {
    const builder = new BlockBuilder(this.#recordingId, epoch, this.#compression);
    openSealed(builder, this.#identity.meta, { contexts: this.#producers.latest(), room: this.#describe() });
    return builder;
  }

  #describe(): RoomRecord {
    return {
      headSeq: this.#headSeq,
      time: this.#lastTime,
      events: this.#events,
      gaps: this.#gaps,
      epochEnds: [...this.#epochEnds],
      checkpoints: [...this.#checkpoints.values()],
      ...this.#playClock.told,
      producers: this.#producers.describe(),
    };
  }
}
