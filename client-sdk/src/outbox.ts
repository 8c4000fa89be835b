import { type EventUp, encodeMessage, GametapeError, LIMITS, type RewindBase } from '@gametape/shared';
import type { Connection } from './connection.ts';
import { type QueuedMessage, SendQueue } from './send-queue.ts';
import type { SessionSpool } from './spool/session-spool.ts';

/** Bytes that may be under way without an `accepted`: beyond it the queue waits (S2). */
const WINDOW_BYTES = 1024 * 1024;
/** Bytes of events that travel in one message. */
const BATCH_BYTES = LIMITS.messageBytes / 2;

export interface OutboxOptions {
  readonly connection: Pick<Connection, 'isWritable' | 'sendBytes'>;
  /** Longest wait of an event for others to travel with, in milliseconds. */
  readonly flushMs: number;
  /** Monotonic clock in microseconds. */
  readonly now: () => number;
  /** Last seq that the player has been shown (T4). */
  readonly shown: () => number;
  /** Records what has changed without an event, if anything has, before a flush. */
  readonly recordPending: () => void;
  /** Everything that was recorded has been sent. */
  readonly onAllSent: () => void;
  /** Events up to `lastPseq` are lost: what is recorded next has to start over with a keyframe (D3). */
  readonly onLost: (lastPseq: number, error: GametapeError) => void;
  /** Keeps every message outside of this process too, until it is stable. */
  readonly spool?: SessionSpool | undefined;
}

/**
 * What a session has recorded and the relay has not called stable yet: numbers it, packs it into messages, sends those within
 * a window, and sends them again as the same bytes (W2, W3). Numbers are pseqs.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #queue = new SendQueue();
  /** Bodies that wait to be put into a message. */
  #batch: EventUp[] = [];
  #batchBytes = 0;
  /** Stamp before the first event of the batch, then of each. */
  #batchStamps: number[] = [];
  #recorded = 0;
  #accepted = 0;
  #stable = 0;
  #sent = 0;
  #lost = 0;
  /** Bytes sent since the last `accepted`. */
  #underWay = 0;
  #lastStamp = 0;
  /** Last seq that the player had been shown before the events of the batch. */
  #batchShown = 0;
  #shown = 0;
  #base: RewindBase | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #isFlushScheduled = false;
  #isStopped = false;
  #holeReason = 'the relay has lost earlier events';

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get recorded(): number {
    return this.#recorded;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get stable(): number {
    return this.#stable;
  }

  /** How many events had to be dropped. */
  get lost(): number {
    return this.#lost;
  }

  /** Seq of the last rewind that what is recorded goes on from; 0 if there was none. */
  get base(): number {
    return this.#base?.seq ?? 0;
  }

  /** Stamp of the last event: the next one's is not before it. */
  get lastStamp(): number {
    return this.#lastStamp;
  }

  get pendingBytes(): number {
    return this.#queue.bytes + this.#batchBytes;
  }

  /** Takes the next event. It is sent soon. */
  add(body: Uint8Array, stamp: number): void {
    const shown = this.#options.shown();
    // T4: a message names what its player had been shown before every event in it. What was shown since would push them later.
    if (shown !== this.#batchShown) this.#packBatch();
    this.#batchShown = shown;
    this.#recorded++;
    if (this.#batch.length === 0) this.#batchStamps = [this.#lastStamp];
    this.#batch.push({ stampDelta: stamp - this.#lastStamp, body });
    this.#batchStamps.push(stamp);
    this.#batchBytes += body.length;
    this.#lastStamp = stamp;
    if (this.#batchBytes >= BATCH_BYTES) this.#packBatch();
    this.scheduleFlush();
  }

  /** What another instance had recorded and the relay may lack, up to `lastPseq`: it is sent as the same bytes (W2). `holeReason` is why some of it is not there. */
  restore(messages: readonly QueuedMessage[], lastPseq: number, holeReason?: string): void {
    for (const message of messages) this.#queue.add(message);
    this.#recorded = lastPseq;
    if (holeReason) this.#holeReason = holeReason;
  }

  /** What is recorded from now on goes on from the rewind at that seq, what was recorded before does not (T8). */
  rebase(seq: number): void {
    this.#packBatch();
    this.#base = { seq, firstPseq: this.#recorded + 1 };
  }

  /** Sends soon: at the end of this turn if nothing was sent for a while, else when the interval is over. */
  scheduleFlush(): void {
    this.#options.spool?.expectMore();
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    const { flushMs, now } = this.#options;
    const waitMs = this.#flushedAt / 1_000 + flushMs - now() / 1_000;
    if (waitMs <= 0) queueMicrotask(() => this.flush());
    else this.#flushTimer = setTimeout(() => this.flush(), waitMs);
  }

  flush(): void {
    clearTimeout(this.#flushTimer);
    this.#isFlushScheduled = false;
    if (this.#isStopped) return;
    this.#flushedAt = this.#options.now();
    this.#options.recordPending();
    this.#packBatch(true);
    this.#options.spool?.settle();
    this.send();
  }

  /** Sends what the connection and the window allow. */
  send(): void {
    const { connection, onAllSent } = this.#options;
    while (connection.isWritable && this.#underWay < WINDOW_BYTES) {
      const message = this.#queue.after(this.#sent);
      if (!message) {
        if (this.#batch.length === 0) onAllSent();
        return;
      }
      if (message.firstPseq > this.#sent + 1) {
        // What the relay asks for is not held any more: it has lost what it called stable.
        this.giveUp(this.#sent, this.#holeReason);
        return;
      }
      connection.sendBytes(message.bytes);
      this.#underWay += message.bytes.length;
      this.#sent = message.lastPseq;
    }
  }

  /** The relay goes on after `pseq`. It may have been started anew: what the player was shown is said again. */
  resume(pseq: number): void {
    this.#accepted = Math.max(this.#accepted, pseq);
    this.#shown = 0;
    this.resendAfter(pseq);
  }

  resendAfter(pseq: number): void {
    this.#sent = pseq;
    this.#underWay = 0;
    // The connection is live only after its welcome is dealt with.
    queueMicrotask(() => this.send());
  }

  /** Takes both acks over and sends what the window now allows. */
  acknowledge({ accepted, stable }: { accepted: number; stable: number }): void {
    if (accepted > this.#accepted) {
      this.#accepted = accepted;
      this.#underWay = 0;
    }
    if (stable > this.#stable) {
      this.#stable = stable;
      this.#queue.release(stable);
      this.#options.spool?.release(stable);
    }
    this.send();
  }

  /** Drops every event after `pseq`: a gap that the recording states (W3). */
  giveUp(pseq: number, reason: string): void {
    this.#packBatch();
    const dropped = this.#queue.dropAfter(pseq);
    if (!dropped) return;
    const { firstPseq, lastPseq, stamp } = dropped;
    const bytes = encodeMessage({ kind: 'gap', firstPseq, lastPseq, reason });
    this.#queue.add({ bytes, firstPseq, lastPseq, stamps: [stamp], queuedAt: this.#options.now() });
    this.#options.spool?.startOver(this.#queue.held);
    // The next stamp is relative to the last one that the relay knows.
    this.#lastStamp = stamp;
    const lost = lastPseq - pseq;
    this.#lost += lost;
    this.resendAfter(pseq);
    this.scheduleFlush();
    const message = `${lost} events (${firstPseq} to ${lastPseq}) were dropped: ${reason}`;
    this.#options.onLost(lastPseq, new GametapeError('EVENTS_LOST', message));
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#flushTimer);
  }

  /** `isSettled`: nothing has changed that is not in the batch. */
  #packBatch(isSettled = false): void {
    if (this.#batch.length === 0) return;
    const firstPseq = this.#recorded - this.#batch.length + 1;
    const seq = this.#batchShown;
    const shown = seq === this.#shown ? undefined : { shown: seq };
    const base = this.#base && { base: this.#base };
    const bytes = encodeMessage({ kind: 'events-up', firstPseq, ...shown, ...base, events: this.#batch });
    this.#shown = seq;
    const queuedAt = this.#options.now();
    const message = { bytes, firstPseq, lastPseq: this.#recorded, stamps: this.#batchStamps, queuedAt };
    this.#queue.add(message);
    this.#options.spool?.add(message, isSettled);
    this.#batch = [];
    this.#batchBytes = 0;
    // What was sent may have arrived, and is kept: the relay will say.
    const isOverfull = this.#queue.isOverfull(queuedAt, this.#sent);
    if (isOverfull) this.giveUp(this.#sent, 'the connection was away for too long');
  }
}
