import { createHash } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Compression } from '@gametape/shared';

const MIN_CHUNK_BYTES = 64;

/** Compression by node:zlib. `inflate` never returns more than `rawLength` bytes: it throws instead. */
export const NODE_COMPRESSION: Compression = {
  crc32: (bytes, before = 0) => crc32(bytes, before),
  deflate: (bytes) => plain(deflateRawSync(bytes, { level: 6 })),
  inflate: (bytes, rawLength) => {
    // One buffer for all, and a byte more, so that zlib does not ask for another when it is full.
    const chunkSize = Math.max(rawLength + 1, MIN_CHUNK_BYTES);
    // zlib refuses a limit of 0; the caller compares lengths anyway.
    return plain(inflateRawSync(bytes, { chunkSize, maxOutputLength: Math.max(rawLength, 1) }));
  },
  sha256: (bytes) => createHash('sha256').update(bytes).digest(),
};

/** A Buffer's `slice` shares memory where a Uint8Array's copies: the rest of gametape expects the latter. */
function plain({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
