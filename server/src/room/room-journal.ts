import {
  BlockBuilder,
  type BlockLink,
  type CheckpointRecord,
  type ClockMapRecord,
  type Compression,
  type EndRecord,
  type GametapeError,
  type GapRecord,
  NO_BLOCK,
  type ProducerContext,
  type RecordingMeta,
  type RoomRecord,
  type TimelineEntry,
} from '@gametape/shared';
import { closedFragment, type FlushMark, OpenBlocks } from '../audience/open-blocks.ts';
import type { Appended, Journal, Sealed } from '../journal/journal.ts';
import { persist } from '../patience.ts';
import type { SealBacklog } from './seal-backlog.ts';

/** A block is sealed after this much, or after this long while the room changes (D4). */
const SEAL_BYTES = 256 * 1024;
const SEAL_ENTRIES = 8_192;
const SEAL_AGE_US = 30_000_000;
/** What waits for the next flush may be no more than this: a block must stay one that readers take (S2). */
const FLUSH_BYTES = 2 * 1024 * 1024;
const FLUSH_ENTRIES = 16_384;

/** The latest contexts, and how the room stands beside them (J3). */
export interface BlockOpening {
  readonly contexts: Iterable<ProducerContext>;
  readonly room: RoomRecord;
}

export interface RoomJournalOptions {
  readonly journal: Journal;
  readonly meta: RecordingMeta;
  readonly epoch: number;
  readonly headSeq: number;
  readonly compression: Compression;
  /** What a self-contained block has to open with, now. */
  readonly opening: () => BlockOpening;
  /** Last block of the recording's unfinished file, undefined while there is none. */
  readonly lastSealed: BlockLink | undefined;
  /** What goes into the next ones, when the room comes back. */
  readonly sealing: UnsealedPart | undefined;
  readonly backlog: SealBacklog;
  /** A seal has failed and is tried again (J5). */
  readonly onTrouble: (error: GametapeError) => void;
  /** Room time, in microseconds. @default 0 */
  readonly now?: number;
}

/** What a room ends without, stated in its last block (W6). */
export interface LeftOut {
  /** Those of whom nothing is there but what is missing. */
  readonly producers: readonly ProducerContext[];
  readonly gaps: readonly GapRecord[];
}

/** What only a recording's last block has. */
export interface Closing extends LeftOut {
  readonly end: EndRecord;
}

/** What a journal has of a room and its unfinished file has not. */
export interface UnsealedPart {
  /** Blocks that follow the last sealed one. */
  readonly closed: readonly UnsealedBlock[];
  readonly rest: BlockBuilder;
}

export interface UnsealedBlock {
  readonly bytes: Uint8Array;
  readonly lastSeq: number;
}

/**
 * What one room writes: small blocks into the journal that all rooms share, at every flush; and from time to time one
 * self-contained block of everything since the last, sealed into its own unfinished recording. A seal that fails is tried again
 * for as long as the room lasts: its content lives on in the log meanwhile (J5).
 */
export class RoomJournal {
  /** The newest of its self-contained blocks, for those who watch. */
  readonly blocks: OpenBlocks;
  /** But for what came back with the room: that is sealed, and would stay in memory. */
  readonly #options: Omit<RoomJournalOptions, 'sealing'>;
  readonly #entries: BlockBuilder;
  readonly #stopping = new AbortController();
  /** Resolves when what came back from an earlier life is stable: it may only have been in the page cache. */
  readonly #grounding = deferred();
  readonly #inTrouble = deferred();
  #isGrounded = false;
  #sealing: BlockBuilder;
  #previousSealed: BlockLink;
  #lastSeq: number;
  #sealedAt = 0;
  #changed = false;
  #sealFault: GametapeError | undefined;
  #sealChain: Promise<Sealed> = Promise.resolve({ stable: Promise.resolve() });

  constructor({ sealing, ...options }: RoomJournalOptions) {
    this.#options = options;
    this.#lastSeq = options.headSeq;
    const { meta, epoch, compression, lastSealed } = options;
    this.#entries = new BlockBuilder(meta.recordingId, epoch, compression);
    this.#sealing = sealing?.rest ?? new BlockBuilder(meta.recordingId, epoch, compression);
    this.#previousSealed = lastSealed ?? NO_BLOCK;
    const closed = sealing?.closed ?? [];
    for (const { bytes, lastSeq } of closed) this.#sealNext(bytes, lastSeq);
    if (!sealing) {
      this.#isGrounded = true;
      this.#entries.meta(meta);
      this.#sealing.meta(meta);
      this.#sealing.open([]);
    }
    const { headSeq, now: at = 0 } = options;
    const before = closed.map(({ bytes }) => closedFragment(bytes, compression, this.#sealChain));
    this.blocks = new OpenBlocks(before, this.#sealing, this.#previousSealed, { headSeq, at });
  }

  /** Nothing waits to be appended. */
  get isFlushed(): boolean {
    return !this.#changed;
  }

  /** So much waits to be appended that it has to be now. */
  get isFull(): boolean {
    const { entries, contentBytes } = this.#entries;
    return entries >= FLUSH_ENTRIES || contentBytes >= FLUSH_BYTES;
  }

  addProducer(context: ProducerContext): void {
    this.#each((builder) => builder.producer(context));
  }

  add(entry: TimelineEntry): void {
    this.#each((builder) => builder.add(entry));
    this.#lastSeq = entry.seq;
  }

  addCheckpoint(checkpoint: CheckpointRecord): void {
    this.#each((builder) => builder.checkpoint(checkpoint));
  }

  addClockMap(map: ClockMapRecord): void {
    this.#each((builder) => builder.clockMap(map));
  }

  addGap(gap: GapRecord): void {
    this.#each((builder) => builder.gap(gap));
  }

  /** Why the last seal failed, while it is tried again. */
  get sealFault(): GametapeError | undefined {
    return this.#sealFault;
  }

  /** More waits to be sealed, and cannot be, than may be kept in memory. */
  get isOverfull(): boolean {
    return this.#sealFault !== undefined && this.#options.backlog.isFull;
  }

  /** Appends everything since the last flush as one block. */
  flush(): Appended {
    this.#changed = false;
    const { bytes } = this.#entries.close(NO_BLOCK, { compress: false });
    const { accepted, stable } = this.#options.journal.append(this.#options.meta.recordingId, bytes, this.#lastSeq);
    if (this.#isGrounded) return { accepted, stable };
    // Acks are cumulative: this one would also be about what came back (W3).
    return { accepted, stable: Promise.all([stable, this.#grounding.promise]).then(() => undefined) };
  }

  /** Everything that was added has been written. `now` is room time. */
  mark(now: number): FlushMark {
    return this.blocks.mark(this.#lastSeq, now);
  }

  /** Seals if it is time. `now` is room time. The promise rejects as that of `seal` does. */
  sealIfDue(now: number): Promise<Sealed> | undefined {
    const isOld = this.#sealing.contentBytes > 0 && now - this.#sealedAt > SEAL_AGE_US;
    if (!isLarge(this.#sealing) && !isOld) return undefined;
    this.#sealedAt = now;
    return this.seal();
  }

  /**
   * Seals everything that was flushed, if there is anything. With `closing` it is the recording's last block. Resolves when that is
   * done, however often it has to be tried; rejects when the room is stopped, or somewhere else, before.
   */
  seal(closing?: Closing): Promise<Sealed> {
    if (closing) this.#close(closing);
    if (closing || this.#sealing.contentBytes > 0) return this.sealStanding();
    if (!this.#isGrounded) this.#groundWith(this.#sealChain);
    return this.#sealChain;
  }

  /** The same when there is nothing: a block that says how the room stands. */
  sealStanding(): Promise<Sealed> {
    // It stays as it is: spectators may be shown less of it for a while.
    const block = this.#sealing.closeUpTo(this.#sealing.extent, this.#previousSealed, { compress: false });
    this.#previousSealed = block.link;
    const { meta, epoch, compression, opening } = this.#options;
    // What came back from an earlier epoch has gone into a block of that epoch.
    this.#sealing = new BlockBuilder(meta.recordingId, epoch, compression);
    openSealed(this.#sealing, meta, opening());
    this.#sealNext(block.bytes, this.#lastSeq);
    this.blocks.close(block, this.#sealChain, this.#sealing, this.#lastSeq);
    if (!this.#isGrounded) this.#groundWith(this.#sealChain);
    return this.#sealChain;
  }

  /** Resolves when a seal has failed for the first time. */
  get inTrouble(): Promise<void> {
    return this.#inTrouble.promise;
  }

  /** Nothing is sealed any more. What waits for it rejects with `reason`. */
  stop(reason: GametapeError): void {
    this.#stopping.abort(reason);
    this.#grounding.reject(reason);
  }

  #close({ producers, gaps, end }: Closing): void {
    for (const producer of producers) this.#sealing.producer(producer);
    for (const gap of gaps) this.#sealing.gap(gap);
    this.#sealing.end(end);
  }

  #sealNext(bytes: Uint8Array, lastSeq: number): void {
    this.#sealChain = this.#sealAfter(this.#sealChain, bytes, lastSeq);
    this.#sealChain.catch(ignore);
  }

  async #sealAfter(earlier: Promise<Sealed>, bytes: Uint8Array, lastSeq: number): Promise<Sealed> {
    const { journal, meta, backlog } = this.#options;
    backlog.bytes += bytes.length;
    try {
      await earlier;
      const patience = { signal: this.#stopping.signal, onTrouble: (error: GametapeError) => this.#suffer(error) };
      const sealed = await persist(() => journal.seal(meta.recordingId, bytes, lastSeq), patience);
      this.#sealFault = undefined;
      return sealed;
    } finally {
      backlog.bytes -= bytes.length;
    }
  }

  #suffer(error: GametapeError): void {
    if (this.#sealFault?.message !== error.message) this.#options.onTrouble(error);
    this.#sealFault = error;
    this.#inTrouble.resolve();
  }

  #groundWith(sealing: Promise<Sealed>): void {
    sealing
      .then(({ stable }) => stable)
      .then(() => {
        this.#isGrounded = true;
        this.#grounding.resolve();
      })
      .catch(this.#grounding.reject);
  }

  #each(put: (builder: BlockBuilder) => void): void {
    this.#changed = true;
    put(this.#entries);
    put(this.#sealing);
  }
}

/** It holds so much that it has to be sealed. */
export function isLarge({ entries, contentBytes }: BlockBuilder): boolean {
  return entries >= SEAL_ENTRIES || contentBytes >= SEAL_BYTES;
}

/** Opens a block that a recovery can start from: it says again what recording it is of (J3). */
export function openSealed(builder: BlockBuilder, meta: RecordingMeta, { contexts, room }: BlockOpening): void {
  builder.meta(meta);
  builder.room(room);
  builder.open(contexts);
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let settle: [resolve: () => void, reject: (error: unknown) => void] = [ignore, ignore];
  const promise = new Promise<void>((...both) => {
    settle = both;
  });
  // Most rooms never wait for it.
  promise.catch(ignore);
  return { promise, resolve: settle[0], reject: settle[1] };
}

function ignore(): void {}
