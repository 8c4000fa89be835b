import type { ProducerContext } from '../body/producer-context.ts';
import { GametapeError, located } from '../errors.ts';
import { BLOCK_HEADER_BYTES, type BlockHeader, decodeBlockHeader } from './block.ts';
import { BlockCache } from './block-cache.ts';
import { ENTRY_FIELDS, type EntryPlace } from './block-entries.ts';
import { type EventBlock, readEventBlock } from './block-reader.ts';
import { BlockReplay, contextsBefore, type TimelineStep } from './block-replay.ts';
import { type ByteSource, type Compression, PORTABLE_COMPRESSION } from './byte-io.ts';
import { type BlockRow, checkFileHeader, decodeFooter, FILE_HEADER_BYTES, FOOTER_BYTES } from './index-block.ts';
import type { MarkerRecord } from './markers.ts';
import { PlayClock } from './play-clock.ts';
import { RecordingContents } from './recording-contents.ts';
import { decodeIndex } from './recording-index.ts';
import type {
  CheckpointRecord,
  GapRecord,
  ProducerRecord,
  RecordingMeta,
  RecordingSummary,
  UnknownRecord,
} from './records.ts';
import { TimelineCursor } from './timeline-cursor.ts';
import { readFurther, readUnfinished } from './unfinished.ts';

/** Read at once from the end: footer and index of all but very long recordings. */
const TAIL_BYTES = 64 * 1024;

/** What a decoded entry takes in memory. */
const ENTRY_BYTES = ENTRY_FIELDS * 8 + 4;

/** Where a block of the file starts and what it holds. */
export interface LoadedBlock {
  readonly header: BlockHeader;
  readonly content: EventBlock;
}

/** Every producer as the last entry that was due left it, and how many entries of that block were due. */
export interface SoughtBlock {
  readonly contexts: ReadonlyMap<number, ProducerContext>;
  readonly due: number;
}

/**
 * Reads a recording through its index: two reads to open, one more per seek (R2), a block in memory at a time (R6). A file
 * without an intact footer, still being written or cut off, is opened from its end as far as it is intact.
 */
export class RecordingReader {
  readonly source: ByteSource;
  #bytes: number;
  #contents: RecordingContents;
  /** For seeks: reading from front to back needs no block twice. */
  readonly #cache = new BlockCache<EventBlock>();
  readonly #compression: Compression;

  private constructor(source: ByteSource, bytes: number, contents: RecordingContents, compression: Compression) {
    this.source = source;
    this.#bytes = bytes;
    this.#contents = contents;
    this.#compression = compression;
  }

  /** @throws GametapeError `BAD_RECORDING` when it is none, `VERSION_UNKNOWN`, `DAMAGED`. */
  static async open(source: ByteSource, compression: Compression = PORTABLE_COMPRESSION): Promise<RecordingReader> {
    try {
      const size = await source.size();
      const tailOffset = Math.max(0, size - TAIL_BYTES);
      const tail = await source.read(tailOffset, size - tailOffset);
      if (tailOffset === 0) checkFileHeader(tail, compression);
      const finished = await readFinished(source, { size, tail }, compression);
      if (finished) return new RecordingReader(source, size, finished, compression);
      if (tailOffset > 0) checkFileHeader(await source.read(0, FILE_HEADER_BYTES), compression);
      return new RecordingReader(source, size, await readUnfinished(source, size, compression), compression);
    } catch (error) {
      throw located(source.name, error);
    }
  }

  get meta(): RecordingMeta {
    return this.#contents.identity.meta;
  }

  get producers(): ReadonlyMap<number, ProducerRecord> {
    return this.#contents.identity.producers;
  }

  get checkpoints(): readonly CheckpointRecord[] {
    return this.#contents.checkpoints;
  }

  get gaps(): readonly GapRecord[] {
    return this.#contents.gaps;
  }

  /** Events of the types that the profile calls markers, the first `MAX_MARKERS` of them. */
  get markers(): readonly MarkerRecord[] {
    return this.#contents.markers;
  }

  get blocks(): readonly BlockRow[] {
    return this.#contents.blocks;
  }

  /** Undefined in a file that was never finished. */
  get summary(): RecordingSummary | undefined {
    return this.#contents.summary;
  }

  /** Records of its index that this version does not know (R5). */
  get unknown(): readonly UnknownRecord[] {
    return this.#contents.unknown;
  }

  /** Length of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Play time of the recording in microseconds; up to its last entry when it was never finished. */
  get durationUs(): number {
    return this.summary?.durationUs ?? this.#contents.clock.playTime(this.blocks.at(-1)?.lastTime ?? 0);
  }

  /** Knows every pause of a finished recording, and those so far of an unfinished one. */
  playClock(): PlayClock {
    const { pauses, paused, changes } = this.#contents.clock.told;
    return new PlayClock(pauses, paused, changes);
  }

  /**
   * Looks for what was appended to an unfinished file since it was opened or refreshed. Resolves true when there is more: new
   * blocks, or the index that finishes it.
   */
  async refresh(): Promise<boolean> {
    if (this.summary) return false;
    const size = await this.source.size();
    if (size <= this.#bytes) return false;
    const tail = await this.source.read(Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
    try {
      const finished = await readFinished(this.source, { size, tail }, this.#compression);
      const isNew = finished ? true : await readFurther(this.source, size, this.#contents, this.#compression);
      if (finished) this.#contents = finished;
      this.#bytes = size;
      return isNew;
    } catch (error) {
      throw located(this.source.name, error);
    }
  }

  /** One block, whole. @throws GametapeError `DAMAGED` naming the block and its offset. */
  async readBlock(index: number): Promise<LoadedBlock> {
    const row = this.blocks[index];
    if (!row) throw new TypeError(`block ${index} of ${this.blocks.length}`);
    try {
      const bytes = await this.source.read(row.offset, row.length);
      const header = decodeBlockHeader(bytes, 0, this.#compression);
      if (header.headerCrc !== row.headerCrc)
        throw new GametapeError('DAMAGED', 'it is not the block that the index lists');
      if (header.recordingId !== this.meta.recordingId)
        throw new GametapeError('DAMAGED', 'it belongs to another recording');
      const stored = bytes.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.storedLength);
      return { header, content: readEventBlock(header, stored, this.#contents.identity, this.#compression) };
    } catch (error) {
      throw located(this.#placeOf(index), error);
    }
  }

  /** Steps through the entries from the start of a block on, in timeline order. */
  async *steps(fromBlock = 0): AsyncGenerator<TimelineStep> {
    for await (const block of this.replayBlocks(fromBlock)) yield* block.steps();
  }

  /** The same a block at a time: before its steps, `contexts` is as its keyframes say. */
  async *replayBlocks(fromBlock = 0): AsyncGenerator<BlockReplay> {
    const contexts = new Map<number, ProducerContext>();
    const { identity } = this.#contents;
    for (let index = fromBlock; index < this.blocks.length; index++) {
      const { content } = await this.readBlock(index);
      yield new BlockReplay({ index, content, contexts, identity, crc32: this.#compression.crc32 });
    }
  }

  /**
   * Every producer as it is when the entries of one block that are due have passed: one read, and a replay from the nearest
   * keyframes (R2, V3). Due are all entries before the first that is not.
   */
  async seek(block: number, isDue: (entry: EntryPlace) => boolean): Promise<SoughtBlock> {
    const content = await this.#cached(block);
    const { rows } = content;
    let due = 0;
    while (due < rows.length && isDue(rows.placeAt(due))) due++;
    const { identity } = this.#contents;
    try {
      return { due, contexts: contextsBefore(due, { content, identity, crc32: this.#compression.crc32 }) };
    } catch (error) {
      throw located(this.#placeOf(block), error);
    }
  }

  /** A cursor where `seek` with the same `sought` has ended: its contexts belong to the cursor from now on. */
  async cursorAt(block: number, { contexts, due }: SoughtBlock): Promise<TimelineCursor> {
    return new TimelineCursor({
      block,
      content: await this.#cached(block),
      passed: due,
      contexts: new Map(contexts),
      identity: this.#contents.identity,
      crc32: this.#compression.crc32,
      load: (index) => (index < this.blocks.length ? this.#cached(index) : undefined),
    });
  }

  async #cached(block: number): Promise<EventBlock> {
    return await this.#cache.load(block, async () => {
      const { header, content } = await this.readBlock(block);
      return { block: content, rawLength: header.rawLength + header.events * ENTRY_BYTES };
    });
  }

  #placeOf(index: number): string {
    return `${this.source.name}: block ${index} at byte ${this.blocks[index]?.offset}`;
  }
}

/** What the index of a finished file says, or undefined if its end has no intact footer. */
async function readFinished(
  source: ByteSource,
  { size, tail }: { size: number; tail: Uint8Array },
  compression: Compression,
): Promise<RecordingContents | undefined> {
  const footer = decodeFooter(tail, compression);
  if (!footer) return undefined;
  const { indexOffset, indexLength } = footer;
  const end = indexOffset + indexLength;
  if (end !== size - FOOTER_BYTES) {
    throw new GametapeError('DAMAGED', 'the footer does not point at the index before it');
  }
  const tailOffset = size - tail.length;
  const isInTail = indexOffset >= tailOffset;
  const bytes = isInTail
    ? tail.subarray(indexOffset - tailOffset, end - tailOffset)
    : await source.read(indexOffset, indexLength);
  const index = decodeIndex(bytes, indexOffset, compression);
  if (!index.summary) throw new GametapeError('DAMAGED', 'the index has no summary');
  const contents = new RecordingContents(end);
  contents.addIndex(index);
  return contents;
}
