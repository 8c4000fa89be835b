import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// What happens to be garbage says nothing: how much of that there is depends on how busy the machine is.
setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Bytes that this process holds on to, in the heap and in buffers. */
export function keptBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
