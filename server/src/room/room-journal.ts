import {
  BlockBuilder,
  type BlockLink,
  type CheckpointRecord,
  type Compression,
  type EndRecord,
  type GapRecord,
  NO_BLOCK,
  type ProducerContext,
  type RecordingMeta,
  type RoomRecord,
  type TimelineEntry,
} from '@gametape/shared';
import { type FlushMark, OpenBlocks } from '../audience/open-blocks.ts';
import type { Appended, Journal, Sealed } from '../journal/journal.ts';

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
  /** What goes into the next one, when the room comes back after a restart. */
  readonly sealing: BlockBuilder | undefined;
  /** Room time, in microseconds. @default 0 */
  readonly now?: number;
}

/**
 * What one room writes: small blocks into the journal that all rooms share, at every flush; and from time to time one
 * self-contained block of everything since the last, sealed into its own unfinished recording.
 */
export class RoomJournal {
  /** The newest of its self-contained blocks, for those who watch. */
  readonly blocks: OpenBlocks;
  readonly #options: RoomJournalOptions;
  readonly #entries: BlockBuilder;
  #sealing: BlockBuilder;
  #previousSealed: BlockLink;
  #lastSeq: number;
  #sealedAt = 0;
  #changed = false;
  #sealChain: Promise<Sealed> = Promise.resolve({ stable: Promise.resolve() });

  constructor(options: RoomJournalOptions) {
    this.#options = options;
    this.#lastSeq = options.headSeq;
    const { meta, epoch, compression, lastSealed, sealing } = options;
    this.#entries = new BlockBuilder(meta.recordingId, epoch, compression);
    this.#sealing = sealing ?? new BlockBuilder(meta.recordingId, epoch, compression);
    this.#previousSealed = lastSealed ?? NO_BLOCK;
    if (!sealing) {
      this.#entries.meta(meta);
      this.#sealing.meta(meta);
      this.#sealing.open([]);
    }
    const { headSeq, now: at = 0 } = options;
    this.blocks = new OpenBlocks(this.#sealing, this.#previousSealed, { headSeq, at });
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

  addGap(gap: GapRecord): void {
    this.#each((builder) => builder.gap(gap));
  }

  /** Appends everything since the last flush as one block. */
  flush(): Appended {
    this.#changed = false;
    const { bytes } = this.#entries.close(NO_BLOCK, { compress: false });
    return this.#options.journal.append(this.#options.meta.recordingId, bytes, this.#lastSeq);
  }

  /** Everything that was added has been written. `now` is room time. */
  mark(now: number): FlushMark {
    return this.blocks.mark(this.#lastSeq, now);
  }

  /** Seals if it is time. `now` is room time. The promise rejects when the journal fails. */
  sealIfDue(now: number): Promise<Sealed> | undefined {
    const { entries, contentBytes } = this.#sealing;
    const isOld = contentBytes > 0 && now - this.#sealedAt > SEAL_AGE_US;
    if (entries < SEAL_ENTRIES && contentBytes < SEAL_BYTES && !isOld) return undefined;
    this.#sealedAt = now;
    return this.seal();
  }

  /** Seals everything that was flushed. With `end` it is the recording's last block. */
  seal(end?: EndRecord): Promise<Sealed> {
    if (end) this.#sealing.end(end);
    else if (this.#sealing.contentBytes === 0) return this.#sealChain;
    // It stays as it is: spectators may be shown less of it for a while.
    const block = this.#sealing.closeUpTo(this.#sealing.extent, this.#previousSealed, { compress: false });
    this.#previousSealed = block.link;
    const { journal, meta, epoch, compression, opening } = this.#options;
    // What came back from an earlier epoch has gone into a block of that epoch.
    this.#sealing = new BlockBuilder(meta.recordingId, epoch, compression);
    openSealed(this.#sealing, meta, opening());
    const lastSeq = this.#lastSeq;
    this.#sealChain = this.#sealChain.then(() => journal.seal(meta.recordingId, block.bytes, lastSeq));
    this.blocks.close(block, this.#sealChain, this.#sealing, lastSeq);
    return this.#sealChain;
  }

  #each(put: (builder: BlockBuilder) => void): void {
    this.#changed = true;
    put(this.#entries);
    put(this.#sealing);
  }
}

/** Opens a block that a recovery can start from: it says again what recording it is of (J3). */
export function openSealed(builder: BlockBuilder, meta: RecordingMeta, { contexts, room }: BlockOpening): void {
  builder.meta(meta);
  builder.room(room);
  builder.open(contexts);
}
