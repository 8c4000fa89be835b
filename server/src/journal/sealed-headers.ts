import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type ByteSource,
  type Compression,
  decodeBlockHeader,
  isGametapeError,
  linkOf,
} from '@gametape/shared';
import { scanLog } from './log-scan.ts';

/** A block header and where in its file the block is. */
export interface PlacedHeader {
  readonly offset: number;
  readonly header: BlockHeader;
}

/**
 * The headers of the blocks of a file from `from` on, of which nothing else is read. From one on that is not intact, what
 * comes after it has to be looked for, and is read whole.
 */
export async function* placedHeaders(
  source: ByteSource,
  from: number,
  end: number,
  compression: Compression,
): AsyncGenerator<PlacedHeader> {
  for (let offset = from; offset < end; ) {
    const header = await headerAt(source, offset, end, compression);
    if (!header) {
      for await (const scanned of scanLog(source, offset, end, compression)) {
        if (scanned.kind === 'block') yield { offset: scanned.offset, header: scanned.header };
      }
      return;
    }
    yield { offset, header };
    offset += linkOf(header).length;
  }
}

async function headerAt(
  source: ByteSource,
  offset: number,
  end: number,
  compression: Compression,
): Promise<BlockHeader | undefined> {
  const bytes = await source.read(offset, Math.min(BLOCK_HEADER_BYTES, end - offset));
  try {
    const header = decodeBlockHeader(bytes, 0, compression);
    return offset + linkOf(header).length <= end ? header : undefined;
  } catch (error) {
    if (isGametapeError(error, 'DAMAGED')) return undefined;
    throw error;
  }
}
