import { GametapeError } from '@gametape/shared';
import { Pending, rejected } from './appended.ts';
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

/** A segment is followed by a new one after this long, so that it can go when the rooms in it have sealed: a start reads all. */
const OLD_MS = 10_000;
const OLD_BYTES = 16 * 1024;

/** What was appended between the starts of two writes. */
class Batch extends Pending {
  readonly blocks: QueuedBlock[] = [];
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
 *                            └── error ──→ rescue: unstable blocks into a new segment → stable, or everything rejects (J5)
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  #gathering: Batch | undefined;
  /** Batches that are not stable, oldest first. The last one may still be being written. */
  readonly #unstable: Batch[] = [];
  #writer: SegmentWriter | undefined;
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
    const last = this.#gathering ?? this.#unstable.at(-1);
    this.#syncSoon();
    await last?.stable.catch(() => this.#failed);
    await this.#turn;
    await this.#syncing;
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
    const batch = this.#gathering;
    this.#gathering = undefined;
    if (batch && !this.#fault) await this.#write(batch);
    else if (batch) this.#unstable.push(batch);
    if (this.#fault) await this.#rescue(this.#fault.cause);
  }

  async #write(batch: Batch): Promise<void> {
    this.#unstable.push(batch);
    try {
      const writer = await this.#writerWithRoom();
      await writer.write(batch.blocks);
      batch.accept();
    } catch (cause) {
      this.#fault ??= { cause };
    }
  }

  /** The current segment, or the next one when it is full or old: what it holds must be stable before it is closed. */
  async #writerWithRoom(): Promise<SegmentWriter> {
    const { files, segments, segmentBytes } = this.#options;
    const { bytes = 0, createdMs = 0 } = this.#writer ?? {};
    const isOld = bytes >= OLD_BYTES && performance.now() - createdMs >= OLD_MS;
    if (this.#writer && bytes < segmentBytes && !isOld) return this.#writer;
    if (this.#writer) {
      await this.#syncing;
      if (this.#unstable.some(({ isAccepted }) => isAccepted)) await this.#startSync();
      if (this.#fault) throw this.#fault.cause;
      const full = this.#writer;
      this.#writer = undefined;
      await full.close();
    }
    this.#writer = await SegmentWriter.create(files, segments);
    return this.#writer;
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
    try {
      await this.#writer?.sync();
    } catch (cause) {
      this.#fault ??= { cause };
      return;
    }
    this.#unstable.splice(0, covered.length);
    for (const batch of covered) batch.stabilize();
  }

  /**
   * J5: whatever is not stable goes into a new segment, through a new descriptor. If that fails too, nothing goes any
   * more.
   */
  async #rescue(cause: unknown): Promise<void> {
    await this.#syncing;
    const { files, segments } = this.#options;
    const failing = this.#writer;
    this.#writer = undefined;
    try {
      const writer = await SegmentWriter.create(files, segments);
      this.#writer = writer;
      for (const { blocks } of this.#unstable) await writer.write(blocks);
      await writer.sync();
    } catch (second) {
      // What was accepted may still be read from the old segment after a kill of the process.
      await failing?.abandon({ cutTail: false });
      this.#fail(cause, second);
      return;
    }
    await failing?.abandon({ cutTail: true });
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
    for (const batch of waiting) batch.reject(this.#failed);
    this.#unstable.length = 0;
    this.#gathering = undefined;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
