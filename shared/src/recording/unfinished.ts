import { GametapeError, isGametapeError } from '../errors.ts';
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  BlockKind,
  decodeBlockHeader,
  isBlockHeader,
  linkOf,
  SYNC_MARKER,
} from './block.ts';
import { readEventBlock } from './block-reader.ts';
import { BlockReplay } from './block-replay.ts';
import { walkBlocks } from './block-walk.ts';
import type { ByteSource, Compression } from './byte-io.ts';
import { FILE_HEADER_BYTES } from './index-block.ts';
import { RecordingContents } from './recording-contents.ts';
import { INDEX_EVERY_BYTES } from './recording-file-writer.ts';
import { decodeIndex, type RecordingIndex } from './recording-index.ts';

const LOOK_BACK_BYTES = 2 * INDEX_EVERY_BYTES;
const FIRST_WINDOW_BYTES = 256 * 1024;
/** Index blocks that may turn out damaged until all blocks are read instead. */
const MAX_TRIES = 4;

/**
 * What a file without an intact footer says: the indexes that were written on the way, found from its end, and the blocks
 * after the last of them. Without such an index all blocks are read from the start. It stops at the first damage.
 *
 * @throws GametapeError `DAMAGED` when there is no intact block
 */
export async function readUnfinished(
  source: ByteSource,
  size: number,
  compression: Compression,
): Promise<RecordingContents> {
  const contents = (await readPartIndexes(source, size, compression)) ?? new RecordingContents(FILE_HEADER_BYTES);
  await readFurther(source, size, contents, compression);
  if (!contents.identity.isKnown) throw new GametapeError('DAMAGED', 'it has no footer and no intact block');
  return contents;
}

/** Adds the intact blocks after those that are known. Resolves true when there was one. */
export async function readFurther(
  source: ByteSource,
  size: number,
  contents: RecordingContents,
  compression: Compression,
): Promise<boolean> {
  const { identity } = contents;
  const before = contents.end;
  for await (const { header, offset, stored } of walkBlocks(source, contents.end, size, compression)) {
    if (header.kind === BlockKind.Events) {
      const content = readEventBlock(header, stored, identity, compression);
      if (header.recordingId !== identity.meta.recordingId) {
        throw new GametapeError('DAMAGED', `the block at byte ${offset} belongs to another recording`);
      }
      const index = contents.blocks.length;
      const replay = new BlockReplay({ index, content, contexts: new Map(), identity, crc32: compression.crc32 });
      contents.addBlock(replay, { offset, length: linkOf(header).length });
    } else if (header.kind === BlockKind.Index) contents.end = offset + linkOf(header).length;
    else return contents.end > before;
  }
  return contents.end > before;
}

/** All indexes on the way, or undefined where one of them is missing: then the blocks themselves have to tell. */
async function readPartIndexes(
  source: ByteSource,
  size: number,
  compression: Compression,
): Promise<RecordingContents | undefined> {
  try {
    const last = await findLastIndex(source, size, compression);
    if (!last) return undefined;
    const parts: RecordingIndex[] = [last.index];
    // One of a finished file whose footer alone is gone lists everything.
    let offset = last.index.summary ? undefined : last.index.previousOffset;
    while (offset !== undefined) {
      const { index } = await readIndexAt(source, offset, compression);
      parts.unshift(index);
      offset = index.previousOffset;
    }
    const contents = new RecordingContents(last.end);
    for (const part of parts) contents.addIndex(part);
    return contents;
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    return undefined;
  }
}

interface FoundIndex {
  readonly index: RecordingIndex;
  /** Where it ends in the file. */
  readonly end: number;
}

async function findLastIndex(
  source: ByteSource,
  size: number,
  compression: Compression,
): Promise<FoundIndex | undefined> {
  for (let window = FIRST_WINDOW_BYTES; ; window *= 4) {
    const length = Math.min(window, LOOK_BACK_BYTES, size);
    const start = size - length;
    const bytes = await source.read(start, length);
    let tries = 0;
    for (const at of indexBlocksBackwards(bytes, compression)) {
      if (tries++ === MAX_TRIES) return undefined;
      try {
        return await readIndexAt(source, start + at, compression);
      } catch (error) {
        // A damaged one: the one before it may be intact.
        if (!isGametapeError(error, 'DAMAGED')) throw error;
      }
    }
    if (length === size || length === LOOK_BACK_BYTES) return undefined;
  }
}

function* indexBlocksBackwards(bytes: Uint8Array, compression: Compression): Generator<number> {
  const first = SYNC_MARKER[0] as number;
  for (let at = bytes.lastIndexOf(first); at >= 0; at = at > 0 ? bytes.lastIndexOf(first, at - 1) : -1) {
    const isIndex = isBlockHeader(bytes, at, compression) && headerAt(bytes, at, compression)?.kind === BlockKind.Index;
    if (isIndex) yield at;
  }
}

function headerAt(bytes: Uint8Array, at: number, compression: Compression): BlockHeader | undefined {
  try {
    return decodeBlockHeader(bytes, at, compression);
  } catch {
    // A sync marker that something else holds by chance, or a damaged header.
    return undefined;
  }
}

async function readIndexAt(source: ByteSource, offset: number, compression: Compression): Promise<FoundIndex> {
  const header = decodeBlockHeader(await source.read(offset, BLOCK_HEADER_BYTES), 0, compression);
  const { length } = linkOf(header);
  return { index: decodeIndex(await source.read(offset, length), offset, compression), end: offset + length };
}
