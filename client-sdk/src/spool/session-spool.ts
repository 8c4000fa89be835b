import { ByteWriter, type Crc32, GametapeError, type KeyframeContext, writeKeyframe } from '@gametape/shared';
import type { QueuedMessage } from '../send-queue.ts';
import type { Spool } from './spool.ts';
import { type SpoolHead, SpoolRecords } from './spool-records.ts';

/** A segment this long is followed by another as soon as that may be: it is forgotten once all of it is stable. */
const SEGMENT_BYTES = 256 * 1024;

/** What a session tells of itself when a segment begins. */
export interface SpoolSource {
  readonly head: () => SpoolHead;
  readonly helloState: Uint8Array;
  /** The producer's context now: all that was recorded is in messages. */
  readonly context: () => KeyframeContext;
  /** The producer's clock in whole microseconds. */
  readonly clock: () => number;
  readonly onFailure: (error: GametapeError) => void;
}

/**
 * What a living session keeps in its spool: every message of its outbox until it is stable (W3). Nothing here waits, and when it
 * cannot be kept any more, recording goes on without.
 */
export class SessionSpool {
  readonly #spool: Spool;
  readonly #source: SpoolSource;
  readonly #records: SpoolRecords;
  /** Segments that are kept: what was recorded before each, and how long it is. */
  #segments: { readonly number: number; readonly pseq: number; bytes: number; readonly startBytes: number }[] = [];
  #nextSegment = 1;
  #recorded = 0;
  #stable = 0;
  #isOpen = false;
  #isKept = true;

  constructor(spool: Spool, source: SpoolSource, crc32: Crc32) {
    this.#spool = spool;
    this.#source = source;
    this.#records = new SpoolRecords(crc32);
    spool.onFailure = (cause) => this.#fail(cause);
  }

  /** False once something could not be written. */
  get isKept(): boolean {
    return this.#isKept;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Something is recorded, or has changed, that no message holds yet. */
  expectMore(): void {
    if (this.#isOpen || !this.#isKept) return;
    this.#isOpen = true;
    this.#records.open();
    this.#write();
  }

  /** Takes a message before it is sent. `isSettled`: it holds all that was recorded and not in a message yet. */
  add(message: QueuedMessage, isSettled: boolean): void {
    if (!this.#isKept) return;
    this.#recorded = Math.max(this.#recorded, message.lastPseq);
    this.#isOpen = !isSettled;
    this.#records.message(message, this.#source.clock(), Date.now(), isSettled);
    this.#write();
  }

  /** Messages hold all that was recorded. */
  settle(): void {
    if (!this.#isKept) return;
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#records.settled();
      this.#write();
    }
    const current = this.#segments.at(-1);
    if (current && current.bytes > Math.max(SEGMENT_BYTES, 2 * current.startBytes)) this.restart();
  }

  /** What is recorded from now on does not go on from what was recorded before: a segment begins with all that it goes on from. */
  restart(): void {
    if (!this.#isKept) return;
    // Written here: who has no spool need not load what writes it.
    const keyframe = new ByteWriter(4_096);
    writeKeyframe(keyframe, this.#source.context());
    this.#begin(keyframe.take());
  }

  /** Something has been given up: these messages are all that is held, and what is not among them need not take up room. */
  startOver(messages: readonly QueuedMessage[]): void {
    if (!this.#isKept) return;
    this.#begin(new Uint8Array(0));
    for (const message of messages) this.add(message, false);
    this.#segments = this.#segments.slice(-1);
    this.#spool.dropBefore(this.#nextSegment - 1);
  }

  release(stable: number): void {
    if (stable <= this.#stable || this.#segments.length === 0) return;
    this.#stable = stable;
    const kept = this.#segments.findLastIndex(({ pseq }) => pseq <= stable);
    if (kept > 0) {
      this.#segments = this.#segments.slice(kept);
      this.#spool.dropBefore((this.#segments[0] as { number: number }).number);
    }
    if (!this.#isKept) return;
    this.#records.stable(stable);
    // What comes next takes it along, unless nothing comes.
    if (stable >= this.#recorded) this.#write();
  }

  /** The session is over. What is stable, or in a recording, need not be kept. */
  async end(isDone: boolean): Promise<void> {
    // Whoever finds it because the process dies now need not tell of it.
    if (isDone) this.release(this.#recorded);
    this.#isKept = false;
    if (isDone) await this.#spool.remove();
    else await this.#spool.written();
  }

  #begin(keyframe: Uint8Array): void {
    const { head, helloState } = this.#source;
    const start = { head: head(), helloState, keyframe };
    this.#records.start(start);
    // Without it nothing could be delivered: a flipped bit does not take both.
    if (this.#segments.length === 0) this.#records.start(start);
    const segment = { number: this.#nextSegment++, pseq: this.#recorded, bytes: 0, startBytes: 0 };
    const bytes = this.#records.take();
    this.#segments.push({ ...segment, bytes: bytes.length, startBytes: bytes.length });
    this.#spool.append(segment.number, bytes);
  }

  #write(): void {
    const bytes = this.#records.take();
    if (this.#segments.length === 0) this.#begin(new Uint8Array(0));
    const current = this.#segments.at(-1) as { number: number; bytes: number };
    current.bytes += bytes.length;
    this.#spool.append(current.number, bytes);
  }

  #fail(cause: Error): void {
    if (!this.#isKept) return;
    this.#isKept = false;
    const message = `the spool of ${this.#spool.name.player} in ${this.#spool.name.room}: ${cause.message}`;
    this.#source.onFailure(new GametapeError('SPOOL_FAILED', message, { cause }));
  }
}
