import {
  BLOCK_HEADER_BYTES,
  BlockKind,
  type BlockLink,
  type BlockRow,
  type Compression,
  chainFault,
  decodeBlockHeader,
  decodeIndex,
  linkOf,
  type RecordingReader,
} from '@gametape/shared';
import type { Problems } from './problems.ts';

/** Where the block after the last one starts, and what it must say of that one. */
export interface ChainEnd {
  readonly offset: number;
  readonly link: BlockLink;
}

/**
 * Checks the indexes on the way that lie between `end` and `limit`: that they are in the chain, and list what the last one
 * lists. Resolves with the end of the last one, `end` itself if there is none.
 *
 * @throws GametapeError `DAMAGED` naming what is there instead
 */
export async function passIndexes(
  reader: RecordingReader,
  end: ChainEnd,
  { limit, problems, compression }: { limit: number; problems: Problems; compression: Compression },
): Promise<ChainEnd> {
  const rows = new Map(reader.blocks.map((row) => [row.offset, row]));
  let { offset, link } = end;
  while (offset + BLOCK_HEADER_BYTES <= limit) {
    const header = decodeBlockHeader(await reader.source.read(offset, BLOCK_HEADER_BYTES), 0, compression);
    const own = linkOf(header);
    if (header.kind !== BlockKind.Index || offset + own.length > limit) break;
    const where = `index on the way at byte ${offset}`;
    const fault = chainFault(header, link);
    if (fault) problems.add(where, fault);
    const index = decodeIndex(await reader.source.read(offset, own.length), offset, compression);
    const stranger = index.blocks.find((row) => !isSameRow(row, rows.get(row.offset)));
    if (stranger) problems.add(where, `it lists a block at byte ${stranger.offset} that the last index does not`);
    link = own;
    offset += own.length;
  }
  return { offset, link };
}

function isSameRow(row: BlockRow, other: BlockRow | undefined): boolean {
  return other !== undefined && JSON.stringify(row) === JSON.stringify(other);
}
