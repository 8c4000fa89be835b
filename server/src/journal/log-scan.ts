import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type ByteSource,
  type Compression,
  decodeBlockHeader,
  isGametapeError,
  linkOf,
  SYNC_MARKER,
} from '@gametape/shared';

const SEARCH_BYTES = 64 * 1024;

export type Scanned = ScannedBlock | ScannedDamage;

export interface ScannedBlock {
  readonly kind: 'block';
  readonly offset: number;
  readonly header: BlockHeader;
  readonly stored: Uint8Array;
}

/** Bytes that are no intact block. */
export interface ScannedDamage {
  readonly kind: 'damage';
  readonly offset: number;
  readonly length: number;
  /** Nothing intact comes after it. */
  readonly isTail: boolean;
  /** It is the start of a block that was being written when the process stopped. */
  readonly isTorn: boolean;
  readonly reason: string;
  /** What its header says, where that is intact. */
  readonly header?: BlockHeader;
}

/**
 * All that lies between `from` and `end`, in order: intact blocks, and what is between them (J6). After damage it goes
 * on at the next sync marker that starts an intact block.
 *
 * @throws GametapeError `VERSION_UNKNOWN` for an intact block of a later version: that is no damage.
 */
export async function* scanLog(
  source: ByteSource,
  from: number,
  end: number,
  compression: Compression,
): AsyncGenerator<Scanned> {
  let at = from;
  while (at < end) {
    const found = await blockAt(source, at, end, compression);
    if ('kind' in found) {
      yield found;
      at += linkOf(found.header).length;
      continue;
    }
    const next = await nextBlock(source, at + 1, end, compression);
    const isTail = next === undefined;
    const { isTorn, ...fault } = found;
    yield { kind: 'damage', offset: at, length: (next ?? end) - at, isTail, isTorn: isTail && isTorn, ...fault };
    at = next ?? end;
  }
}

interface Fault {
  readonly reason: string;
  readonly isTorn: boolean;
  readonly header?: BlockHeader;
}

async function blockAt(
  source: ByteSource,
  offset: number,
  end: number,
  compression: Compression,
): Promise<ScannedBlock | Fault> {
  const start = await source.read(offset, Math.min(BLOCK_HEADER_BYTES, end - offset));
  if (start.length < BLOCK_HEADER_BYTES) return { reason: 'the block header is cut off', isTorn: mayBeTorn(start) };
  let header: BlockHeader;
  try {
    header = decodeBlockHeader(start, 0, compression);
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    return { reason: error.message, isTorn: isZero(start) };
  }
  if (offset + linkOf(header).length > end) return { reason: 'the block is cut off', isTorn: true, header };
  const stored = await source.read(offset + BLOCK_HEADER_BYTES, header.storedLength);
  if (compression.crc32(stored) !== header.storedCrc) {
    return { reason: 'the block does not have the crc that its header names', isTorn: false, header };
  }
  return { kind: 'block', offset, header, stored };
}

/** Offset of the first intact block at or after `from`. */
async function nextBlock(
  source: ByteSource,
  from: number,
  end: number,
  compression: Compression,
): Promise<number | undefined> {
  let at = from;
  while (at + BLOCK_HEADER_BYTES <= end) {
    const bytes = await source.read(at, Math.min(SEARCH_BYTES, end - at));
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(SYNC_MARKER);
    if (found < 0) {
      // The marker may lie across the end of what was read.
      at += Math.max(1, bytes.length - SYNC_MARKER.length + 1);
      continue;
    }
    at += found;
    if ('kind' in (await blockAt(source, at, end, compression))) return at;
    at++;
  }
  return undefined;
}

function mayBeTorn(start: Uint8Array): boolean {
  return isZero(start) || SYNC_MARKER.every((byte, i) => i >= start.length || start[i] === byte);
}

/** A file system that lost power may have made the file longer without its bytes. */
function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
