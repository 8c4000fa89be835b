import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type Compression,
  decodeBlockHeader,
  GametapeError,
  isGametapeError,
} from '@gametape/shared';

/**
 * A block that was read where one with that header is said to be.
 *
 * @throws GametapeError `NOT_FOUND` when another is there, `DAMAGED` when it is not intact
 */
export function checkedBlock(bytes: Uint8Array, wanted: BlockHeader, compression: Compression): Uint8Array {
  const name = `recording ${wanted.recordingId}: block ${wanted.firstSeq}-${wanted.lastSeq}`;
  let header: BlockHeader;
  try {
    header = decodeBlockHeader(bytes, 0, compression);
  } catch (error) {
    if (isGametapeError(error, 'DAMAGED')) throw new GametapeError('DAMAGED', `${name}: ${error.message}`);
    throw error;
  }
  if (header.headerCrc !== wanted.headerCrc) throw new GametapeError('NOT_FOUND', `${name}: it is not there any more`);
  if (compression.crc32(bytes.subarray(BLOCK_HEADER_BYTES)) !== header.storedCrc) {
    throw new GametapeError('DAMAGED', `${name}: it does not have the crc that its header names`);
  }
  return bytes;
}
