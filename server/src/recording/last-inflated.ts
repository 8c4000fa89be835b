import type { Compression } from '@gametape/shared';

/** Shorter payloads are inflated again. */
const WORTH_KEEPING = 1024 * 1024;

/**
 * Remembers the last large payload. A damaged file is looked at several times over, and each time a block of tens of
 * megabytes would be held anew until the next garbage collection.
 */
export function rememberLastInflated(compression: Compression): Compression {
  let last: { readonly stored: Uint8Array; readonly payload: Uint8Array } | undefined;
  return {
    ...compression,
    inflate: (stored, rawLength) => {
      if (rawLength < WORTH_KEEPING) return compression.inflate(stored, rawLength);
      if (last?.payload.length === rawLength && Buffer.compare(last.stored, stored) === 0) return last.payload;
      last = undefined;
      const payload = compression.inflate(stored, rawLength);
      last = { stored: stored.slice(), payload };
      return payload;
    },
  };
}
