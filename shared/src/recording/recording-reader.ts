import type { ProducerContext } from '../body/producer-context.ts';
import { ProducerContext as Context } from '../body/producer-context.ts';
import { GametapeError, located } from '../errors.ts';
import type { Body, TimelineEntry } from '../event.ts';
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  BlockKind,
  type BlockLink,
  decodeBlockHeader,
  decodeBlockPayload,
  linkOf,
} from './block.ts';
import { type EventBlock, RecordingIdentity, readEventBlock } from './block-reader.ts';
import { type ByteSource, type Compression, PORTABLE_COMPRESSION } from './byte-io.ts';
import {
  type BlockRow,
  checkFileHeader,
  decodeFooter,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  readBlockRows,
} from './index-block.ts';
import { PlayClock } from './play-clock.ts';
import {
  type CheckpointRecord,
  type GapRecord,
  type ProducerRecord,
  type RecordingMeta,
  type RecordingSummary,
  RecordType,
  readCheckpoint,
  readGap,
  readRecords,
  readSummary,
} from './records.ts';

/** Read at once from the end: footer and index of all but very long recordings. */
const TAIL_BYTES = 64 * 1024;

/** One step of a replay: an entry, what it says, and its producer after it. */
export interface TimelineStep {
  readonly entry: TimelineEntry;
  readonly body: Body;
  /** Changes with the next step: take what you need of it. */
  readonly context: ProducerContext;
}

/** Where a block of the file starts and what it holds. */
export interface LoadedBlock {
  readonly header: BlockHeader;
  readonly content: EventBlock;
}

/**
 * Reads a finished recording through its index: two reads to open, one more per seek (R2), a block in memory at a time (R6).
 * A file without an intact footer is opened by walking its block headers, and is never complete.
 */
export class RecordingReader {
  readonly source: ByteSource;
  readonly meta: RecordingMeta;
  readonly producers: ReadonlyMap<number, ProducerRecord>;
  readonly checkpoints: readonly CheckpointRecord[];
  readonly gaps: readonly GapRecord[];
  readonly blocks: readonly BlockRow[];
  /** Undefined in a file that was never finished. */
  readonly summary: RecordingSummary | undefined;
  readonly bytes: number;
  readonly #identity: RecordingIdentity;
  readonly #compression: Compression;

  private constructor(source: ByteSource, bytes: number, contents: Contents, compression: Compression) {
    this.source = source;
    this.bytes = bytes;
    this.#identity = contents.identity;
    this.meta = contents.identity.meta;
    this.producers = contents.identity.producers;
    this.checkpoints = contents.checkpoints;
    this.gaps = contents.gaps;
    this.blocks = contents.blocks;
    this.summary = contents.summary;
    this.#compression = compression;
  }

  /** @throws GametapeError `BAD_RECORDING` when it is none, `VERSION_UNKNOWN`, `DAMAGED`. */
  static async open(source: ByteSource, compression: Compression = PORTABLE_COMPRESSION): Promise<RecordingReader> {
    try {
      const size = await source.size();
      const tailOffset = Math.max(0, size - TAIL_BYTES);
      const tail = await source.read(tailOffset, size - tailOffset);
      if (tailOffset === 0) checkFileHeader(tail, compression);
      const footer = decodeFooter(tail, compression);
      if (!footer) {
        if (tailOffset > 0) checkFileHeader(await source.read(0, FILE_HEADER_BYTES), compression);
        return new RecordingReader(source, size, await scan(source, size, compression), compression);
      }
      const end = footer.indexOffset + footer.indexLength;
      if (end !== size - FOOTER_BYTES)
        throw new GametapeError('DAMAGED', 'the footer does not point at the index before it');
      const index =
        footer.indexOffset >= tailOffset
          ? tail.subarray(footer.indexOffset - tailOffset, end - tailOffset)
          : await source.read(footer.indexOffset, footer.indexLength);
      return new RecordingReader(source, size, readIndex(index, footer.indexOffset, compression), compression);
    } catch (error) {
      throw located(source.name, error);
    }
  }

  /** Play time of the recording in microseconds; 0 when it was never finished. */
  get durationUs(): number {
    return this.summary?.durationUs ?? 0;
  }

  playClock(): PlayClock {
    return new PlayClock(this.summary?.pauses);
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
      return { header, content: readEventBlock(header, stored, this.#identity, this.#compression) };
    } catch (error) {
      throw located(`${this.source.name}: block ${index} at byte ${row.offset}`, error);
    }
  }

  /** Index of the block that a replay to `time` starts from: the last one that begins at or before it. */
  blockAt(time: number): number {
    let at = 0;
    for (const [index, row] of this.blocks.entries()) {
      if (row.firstTime > time) break;
      at = index;
    }
    return at;
  }

  /** Steps through the entries from the start of a block on, in timeline order. */
  async *steps(fromBlock = 0): AsyncGenerator<TimelineStep> {
    for await (const block of this.replayBlocks(fromBlock)) yield* block.steps();
  }

  /** The same a block at a time: before its steps, `contexts` is as its keyframes say. */
  async *replayBlocks(fromBlock = 0): AsyncGenerator<BlockReplay> {
    const contexts = new Map<number, ProducerContext>();
    for (let index = fromBlock; index < this.blocks.length; index++) {
      const { header, content } = await this.readBlock(index);
      yield new BlockReplay({
        index,
        header,
        content,
        contexts,
        identity: this.#identity,
        compression: this.#compression,
      });
    }
  }
}

/** A block about to be replayed. */
export class BlockReplay {
  readonly index: number;
  readonly header: BlockHeader;
  readonly content: EventBlock;
  readonly contexts: Map<number, ProducerContext>;
  readonly #identity: RecordingIdentity;
  readonly #compression: Compression;

  constructor(options: {
    index: number;
    header: BlockHeader;
    content: EventBlock;
    contexts: Map<number, ProducerContext>;
    identity: RecordingIdentity;
    compression: Compression;
  }) {
    this.index = options.index;
    this.header = options.header;
    this.content = options.content;
    this.contexts = options.contexts;
    this.#identity = options.identity;
    this.#compression = options.compression;
    for (const keyframe of this.content.keyframes) this.contexts.set(keyframe.index, keyframe);
  }

  /** Up to the first entry that is not due, which is left as it is. @throws GametapeError `DAMAGED` or `BAD_DELTA`. */
  *steps(isDue: (entry: TimelineEntry) => boolean = () => true): Generator<TimelineStep> {
    for (const entry of this.content.entries) {
      if (!isDue(entry)) return;
      const context = this.contexts.get(entry.producer) ?? this.#newContext(entry);
      yield { entry, body: context.advance(entry, 'DAMAGED', this.#compression.crc32), context };
    }
  }

  #newContext(entry: TimelineEntry): ProducerContext {
    const producer = this.#identity.producers.get(entry.producer);
    if (!producer) throw new GametapeError('DAMAGED', `event ${entry.seq}: undeclared producer ${entry.producer}`);
    const context = new Context(this.#identity.profile, producer);
    this.contexts.set(context.index, context);
    return context;
  }
}

interface Contents {
  readonly identity: RecordingIdentity;
  readonly checkpoints: readonly CheckpointRecord[];
  readonly gaps: readonly GapRecord[];
  readonly blocks: readonly BlockRow[];
  readonly summary: RecordingSummary | undefined;
}

function readIndex(bytes: Uint8Array, offset: number, compression: Compression): Contents {
  const header = decodeBlockHeader(bytes, 0, compression);
  if (header.kind !== BlockKind.Index)
    throw new GametapeError('DAMAGED', 'the footer does not point at an index block');
  const stored = bytes.subarray(BLOCK_HEADER_BYTES);
  const identity = new RecordingIdentity();
  const checkpoints: CheckpointRecord[] = [];
  const gaps: GapRecord[] = [];
  let blocks: readonly BlockRow[] = [];
  let summary: RecordingSummary | undefined;
  for (const record of readRecords(decodeBlockPayload(header, stored, compression))) {
    if (identity.learn(record)) continue;
    if (record.type === RecordType.Checkpoint) checkpoints.push(readCheckpoint(record.reader));
    else if (record.type === RecordType.Gap) gaps.push(readGap(record.reader));
    else if (record.type === RecordType.Summary) summary = readSummary(record.reader);
    else if (record.type === RecordType.Blocks) blocks = readBlockRows(record.reader, offset);
  }
  if (identity.meta.recordingId !== header.recordingId) {
    throw new GametapeError('DAMAGED', 'the index names another recording than its header');
  }
  if (!summary) throw new GametapeError('DAMAGED', 'the index has no summary');
  return { identity, checkpoints, gaps, blocks, summary };
}

/** What the blocks themselves say, for a file without an index. Stops at the first block that is not intact. */
async function scan(source: ByteSource, size: number, compression: Compression): Promise<Contents> {
  const identity = new RecordingIdentity();
  const checkpoints: CheckpointRecord[] = [];
  const gaps: GapRecord[] = [];
  const blocks: BlockRow[] = [];
  for await (const { header, offset, stored } of walkBlocks(source, FILE_HEADER_BYTES, size, compression)) {
    if (header.kind !== BlockKind.Events) continue;
    const block = readEventBlock(header, stored, identity, compression);
    if (header.recordingId !== identity.meta.recordingId) {
      throw new GametapeError('DAMAGED', `the block at byte ${offset} belongs to another recording`);
    }
    checkpoints.push(...block.checkpoints);
    gaps.push(...block.gaps);
    const { events: entries, firstSeq, firstTime, lastTime, headerCrc } = header;
    const length = BLOCK_HEADER_BYTES + header.storedLength;
    blocks.push({ offset, length, entries, events: entries, firstSeq, firstTime, lastTime, headerCrc });
  }
  if (!identity.isKnown) throw new GametapeError('DAMAGED', 'it has no footer and no intact block');
  return { identity, checkpoints, gaps, blocks, summary: undefined };
}

export interface WalkedBlock {
  readonly offset: number;
  readonly header: BlockHeader;
  readonly stored: Uint8Array;
}

/** The intact blocks from `offset` on, one after another, up to the first that is cut off or damaged: a torn tail (J6). */
export async function* walkBlocks(
  source: ByteSource,
  offset: number,
  end: number,
  compression: Compression,
): AsyncGenerator<WalkedBlock> {
  let at = offset;
  while (at + BLOCK_HEADER_BYTES <= end) {
    let header: BlockHeader;
    let stored: Uint8Array;
    try {
      header = decodeBlockHeader(await source.read(at, BLOCK_HEADER_BYTES), 0, compression);
      stored = await source.read(at + BLOCK_HEADER_BYTES, header.storedLength);
      if (stored.length < header.storedLength || compression.crc32(stored) !== header.storedCrc) return;
    } catch {
      // Not a block, or not a whole one: everything before it is intact.
      return;
    }
    yield { offset: at, header, stored };
    at += linkOf(header).length;
  }
}

/** Why a block does not follow the one before it, or undefined if it does (R4). */
export function chainFault(header: BlockHeader, previous: BlockLink): string | undefined {
  if (header.previous.headerCrc === previous.headerCrc && header.previous.length === previous.length) return undefined;
  return 'the block does not follow the one before it';
}
