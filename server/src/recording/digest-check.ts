import {
  BLOCK_HEADER_BYTES,
  BlockDigest,
  type Compression,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  type RecordingReader,
  walkBlocks,
} from '@gametape/shared';
import type { Problems } from './problems.ts';

/** Computes the digest of all blocks before the last index again, and compares it with the one in the summary (R4). */
export async function checkDigest(
  reader: RecordingReader,
  problems: Problems,
  compression: Compression,
): Promise<void> {
  const { source, summary } = reader;
  if (summary?.digest === undefined) return;
  const digest = new BlockDigest(compression);
  const end = reader.bytes - FOOTER_BYTES;
  let passed = FILE_HEADER_BYTES;
  for await (const { offset, header } of walkBlocks(source, FILE_HEADER_BYTES, end, compression)) {
    const length = BLOCK_HEADER_BYTES + header.storedLength;
    passed = offset + length;
    if (passed < end) await digest.add(await source.read(offset, length));
  }
  // Where the walk ends early, damage does: it is reported already.
  if (passed === end && digest.hex !== summary.digest) {
    problems.add('index', `its digest is ${summary.digest}, the one of the blocks before it is ${digest.hex}`);
  }
}
