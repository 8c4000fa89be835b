import { GametapeError } from '@gametape/shared';
import { Pending, rejected } from './appended.ts';
import { probeDisk } from './disk-probe.ts';
import type { Files } from './files.ts';
import type { Appended } from './journal.ts';
import type { SegmentSet } from './segment-set.ts';
import { type QueuedBlock, SegmentWriter } from './segment-writer.ts';

export interface LogWriterOptions {
  readonly files: Files;
  readonly segments: SegmentSet;
  readonly segmentBytes: number;
  readonly syncIntervalMs: number;
}

/** What is accepted and not stable is kept in memory: nothing more is accepted while it is that much (a disk that syncs too slowly). */
const UNSTABLE_BYTES = 64 * 1024 * 1024;
/** A next segment that cannot be made is tried again after this long; the full one takes what comes meanwhile. */
const ROTATE_AGAIN_MS = 1_000;
/** Whether a log that is read-only could be written again is looked at after this long, then ever more rarely. */
const FIRST_HEAL_MS = 250;
const LONGEST_HEAL_MS = 5_000;
/** A segment is followed by a new one after this long, so that it can go when the rooms in it have sealed: a start reads all. */
const OLD_MS = 10_000;
const OLD_BYTES = 16 * 1024;

/** What was appended between the starts of two writes. */
class Batch extends Pending {
  readonly blocks: QueuedBlock[] = [];
  bytes = 0;
  isAccepted = false;

  override accept(): void {
    this.isAccepted = true;
    super.accept();
  }
}

/**
 * Group commit (J1). Appends gather until the turn of the event loop ends and no write is running; then one write takes
 * them all. One sync at a time covers the writes that ended before it started.
 *
 *   append → gathering → (write) → accepted → (sync) → stable
 *                            └── error ──→ rescue: unstable blocks into a new segment → stable
 *                                             └── error ──→ everything rejects: read-only, until the disk takes bytes again (J5)
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  #gathering: Batch | undefined;
  /** Batches that are not stable, oldest first. The last one may still be being written. */
  readonly #unstable: Batch[] = [];
  #unstableBytes = 0;
  #writer: SegmentWriter | undefined;
  /** Segments that are full and not synced yet, oldest first. */
  readonly #full: SegmentWriter[] = [];
  /** Segments that failed for good: before anything is written again, they end where what was accepted does. */
  readonly #failing: SegmentWriter[] = [];
  #rotateAgainMs = 0;
  #healTimer: NodeJS.Timeout | undefined;
  #healing: Promise<void> | undefined;
  #isScheduled = false;
  #turn: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #lastSyncMs = Number.NEGATIVE_INFINITY;
  #fault: { readonly cause: unknown } | undefined;
  #failed: GametapeError | undefined;
  #isClosing = false;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Why the log is read-only, if it is. */
  get failed(): GametapeError | undefined {
    return this.#failed;
  }

  /** Why nothing is taken any more: it failed, or it is closed. */
  get refusal(): GametapeError | undefined {
    return this.#failed ?? (this.#isClosing ? new GametapeError('JOURNAL_FAILED', 'the journal is closed') : undefined);
  }

  append(block: QueuedBlock): Appended {
    const { refusal } = this;
    if (refusal) return rejected(refusal);
    this.#gathering ??= new Batch();
    this.#gathering.blocks.push(block);
    this.#gathering.bytes += block.bytes.length;
    this.#schedule();
    return this.#gathering;
  }

  /** Resolves when all that was appended so far is accepted or refused. */
  async settle(): Promise<void> {
    const last = this.#gathering ?? this.#unstable.at(-1);
    await last?.accepted.catch(() => this.#failed);
  }

  /** @throws GametapeError `JOURNAL_FAILED` if not everything is stable. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#healTimer);
    const last = this.#gathering ?? this.#unstable.at(-1);
    this.#syncSoon();
    await last?.stable.catch(() => this.#failed);
    await this.#turn;
    await this.#syncing;
    await this.#healing;
    const writer = this.#writer;
    this.#writer = undefined;
    try {
      await writer?.close();
    } catch (cause) {
      this.#failed ??= new GametapeError('JOURNAL_FAILED', `the journal does not close: ${textOf(cause)}`, { cause });
    }
    if (this.#failed) throw this.#failed;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#turn) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#turn = this.#takeTurn().finally(() => {
        this.#turn = undefined;
        if (this.#gathering || this.#fault) this.#schedule();
        this.#syncSoon();
      });
    });
  }

  async #takeTurn(): Promise<void> {
    while (this.#unstableBytes >= UNSTABLE_BYTES && !this.#fault) await this.#startSync();
    const batch = this.#gathering;
    this.#gathering = undefined;
    if (batch) {
      this.#unstable.push(batch);
      this.#unstableBytes += batch.bytes;
      if (!this.#fault) await this.#write(batch);
    }
    if (this.#fault) await this.#rescue(this.#fault.cause);
  }

  async #write(batch: Batch): Promise<void> {
    try {
      const writer = await this.#writerWithRoom();
      await writer.write(batch.blocks);
      batch.accept();
    } catch (cause) {
      this.#fault ??= { cause };
    }
  }

  /** The current segment, or the next one when it is full or old. One that cannot be followed goes on. */
  async #writerWithRoom(): Promise<SegmentWriter> {
    const { files, segments, segmentBytes } = this.#options;
    const { bytes = 0, createdMs = 0 } = this.#writer ?? {};
    const isOld = bytes >= OLD_BYTES && performance.now() - createdMs >= OLD_MS;
    if (this.#writer && ((bytes < segmentBytes && !isOld) || performance.now() < this.#rotateAgainMs)) {
      return this.#writer;
    }
    let next: SegmentWriter;
    try {
      next = await SegmentWriter.create(files, segments);
    } catch (cause) {
      if (!this.#writer) throw cause;
      this.#rotateAgainMs = performance.now() + ROTATE_AGAIN_MS;
      return this.#writer;
    }
    if (this.#writer) this.#full.push(this.#writer);
    this.#writer = next;
    return next;
  }

  /** Starts a sync if there is something to sync, as soon as the interval allows. */
  #syncSoon(): void {
    if (this.#syncing || this.#fault || !this.#unstable[0]?.isAccepted) return;
    const waitMs = this.#isClosing ? 0 : this.#lastSyncMs + this.#options.syncIntervalMs - performance.now();
    if (waitMs <= 0) void this.#startSync();
    else
      this.#syncTimer ??= setTimeout(() => {
        this.#syncTimer = undefined;
        this.#syncSoon();
      }, waitMs);
  }

  #startSync(): Promise<void> {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = undefined;
      if (this.#fault) this.#schedule();
      this.#syncSoon();
    });
    return this.#syncing;
  }

  async #sync(): Promise<void> {
    this.#lastSyncMs = performance.now();
    const covered = this.#unstable.filter(({ isAccepted }) => isAccepted);
    const full = [...this.#full];
    // The current segment may be full before the others are synced.
    const writers = this.#writer ? [...full, this.#writer] : full;
    try {
      for (const writer of writers) await writer.sync();
    } catch (cause) {
      this.#fault ??= { cause };
      return;
    }
    this.#full.splice(0, full.length);
    this.#unstable.splice(0, covered.length);
    for (const batch of covered) {
      this.#unstableBytes -= batch.bytes;
      batch.stabilize();
    }
    // A descriptor that does not close is of no use to anyone.
    for (const writer of full) await writer.close().catch(() => undefined);
  }

  /**
   * J5: whatever is not stable goes into a new segment, through a new descriptor. If that fails too, nothing goes any
   * more.
   */
  async #rescue(cause: unknown): Promise<void> {
    await this.#syncing;
    const { files, segments } = this.#options;
    const failing = [...this.#full.splice(0), ...(this.#writer ? [this.#writer] : [])];
    this.#writer = undefined;
    let writer: SegmentWriter | undefined;
    try {
      writer = await SegmentWriter.create(files, segments);
      // What is sealed or discarded by now must not come back with a segment that nobody knows of.
      for (const { blocks } of this.#unstable) await writer.write(blocks.filter(({ place }) => !place.isReleased));
      await writer.sync();
    } catch (second) {
      // What was accepted may still be read from the old segment after a kill of the process.
      if (writer) failing.push(writer);
      for (const one of failing) await one.quit();
      this.#failing.push(...failing);
      this.#fail(cause, second);
      return;
    }
    for (const one of failing) await one.abandon();
    this.#writer = writer;
    this.#unstableBytes = 0;
    for (const batch of this.#unstable.splice(0)) {
      batch.accept();
      batch.stabilize();
    }
    this.#fault = undefined;
  }

  #fail(first: unknown, second: unknown): void {
    this.#fault = undefined;
    const what = `writing failed (${textOf(first)}), and so did writing to a new segment (${textOf(second)})`;
    this.#failed = new GametapeError('JOURNAL_FAILED', `the journal is read-only: ${what}`, { cause: second });
    const waiting = this.#gathering ? [...this.#unstable, this.#gathering] : this.#unstable;
    for (const batch of waiting) {
      batch.reject(this.#failed);
      // Nowhere to be found: nobody waits for them to be sealed.
      for (const { place } of batch.blocks) place.isReleased ||= place.segment === undefined;
    }
    this.#unstable.length = 0;
    this.#unstableBytes = 0;
    this.#gathering = undefined;
    this.#healIn(FIRST_HEAL_MS);
  }

  #healIn(waitMs: number): void {
    if (this.#isClosing) return;
    this.#healTimer = setTimeout(() => {
      this.#healing = this.#heal().catch(() => this.#healIn(Math.min(LONGEST_HEAL_MS, waitMs * 2)));
    }, waitMs);
  }

  /** Takes entries again, into a segment that is yet to be made, once the disk has shown that it can be written (J5). */
  async #heal(): Promise<void> {
    const { files, segments } = this.#options;
    await probeDisk(files, segments.directory);
    // Blocks that were not accepted may be there whole. Those that are written from now on have the same numbers.
    for (const writer of [...this.#failing]) {
      await writer.cutRefused(files);
      this.#failing.splice(this.#failing.indexOf(writer), 1);
    }
    this.#failed = undefined;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
