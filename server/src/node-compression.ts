import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Compression } from '@gametape/shared';

/** zlib's output buffers: one is enough for most blocks. */
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES = 256 * 1024;

/** Compression by node:zlib. `inflate` never returns more than `rawLength` bytes: it throws instead. */
export const NODE_COMPRESSION: Compression = {
  crc32: (bytes, before = 0) => crc32(bytes, before),
  deflate: (bytes) => plain(deflateRawSync(bytes, { level: 6 })),
  inflate: (bytes, rawLength) => {
    const chunkSize = Math.min(Math.max(rawLength, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES);
    // zlib refuses a limit of 0; the caller compares lengths anyway.
    return plain(inflateRawSync(bytes, { chunkSize, maxOutputLength: Math.max(rawLength, 1) }));
  },
};

/** A Buffer's `slice` shares memory where a Uint8Array's copies: the rest of gametape expects the latter. */
function plain({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
