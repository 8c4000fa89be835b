import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// What happens to be garbage says nothing: how much of that there is depends on how busy the machine is.
setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Less than this is no news. */
const NOISE = 64 * 1024;

/** Bytes that this process holds on to, in the heap and in buffers. */
export function keptBytes(): number {
  // Buffers are given back by another thread after a collection, and counted until then: a busy machine takes its time.
  for (let before = Number.POSITIVE_INFINITY; ; ) {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    const kept = heapUsed + arrayBuffers;
    if (before - kept < NOISE) return kept;
    before = kept;
  }
}
