import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type BlockRow,
  type ByteSource,
  type Compression,
  decodeBlockHeader,
  isGametapeError,
  linkOf,
} from '@gametape/shared';

/**
 * What is lost with a damaged block, in words. Seqs of one block may lie among those of the next: only its own header says how
 * far they go, where that is intact.
 */
export async function lostWith(row: BlockRow, source: ByteSource, compression: Compression): Promise<string> {
  const { entries, firstSeq, firstTime, lastTime } = row;
  const header = await headerOf(row, source, compression);
  const seqs = header ? `${firstSeq} to ${header.lastSeq}` : `from ${firstSeq} on`;
  return `lost: ${entries} entries, events ${seqs}, seconds ${seconds(firstTime)} to ${seconds(lastTime)}`;
}

async function headerOf(
  { offset, headerCrc }: BlockRow,
  source: ByteSource,
  compression: Compression,
): Promise<BlockHeader | undefined> {
  try {
    const header = decodeBlockHeader(await source.read(offset, BLOCK_HEADER_BYTES), 0, compression);
    return linkOf(header).headerCrc === headerCrc ? header : undefined;
  } catch (error) {
    if (!isGametapeError(error)) throw error;
    return undefined;
  }
}

function seconds(time: number): string {
  return (time / 1_000_000).toFixed(3);
}
