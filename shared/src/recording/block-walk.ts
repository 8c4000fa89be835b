import { isGametapeError } from '../errors.ts';
import { BLOCK_HEADER_BYTES, type BlockHeader, type BlockLink, decodeBlockHeader, linkOf } from './block.ts';
import type { ByteSource, Compression } from './byte-io.ts';

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
      if (at + BLOCK_HEADER_BYTES + header.storedLength > end) return;
      stored = await source.read(at + BLOCK_HEADER_BYTES, header.storedLength);
      if (stored.length < header.storedLength || compression.crc32(stored) !== header.storedCrc) return;
    } catch (error) {
      // Not a block, or one of a later version: everything before it is intact. A server that is gone is another matter.
      if (!isGametapeError(error, 'DAMAGED') && !isGametapeError(error, 'VERSION_UNKNOWN')) throw error;
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
