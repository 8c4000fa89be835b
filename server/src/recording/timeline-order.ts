import { compareEntries, type TimelineEntry } from '@gametape/shared';

/**
 * Entries of many blocks in timeline order (T3), in runs. Blocks may hold entries in any order and overlap in time;
 * each is read when nothing earlier can come from the others, so that only blocks that overlap are in memory together
 * (R6).
 *
 * @param blocks what each block says of itself: the lowest time inside, in microseconds
 */
export async function* timelineOrder<Block extends { readonly firstTime: number }, Entry extends TimelineEntry>(
  blocks: readonly Block[],
  read: (block: Block) => Promise<readonly Entry[]>,
): AsyncGenerator<readonly Entry[]> {
  const inOrder = [...blocks].sort((a, b) => a.firstTime - b.firstTime);
  let waiting: Entry[] = [];
  for (const [index, block] of inOrder.entries()) {
    // Both parts are nearly in order, which is what this sort is fast at.
    waiting = waiting.concat(await read(block)).sort(compareEntries);
    const nextTime = inOrder[index + 1]?.firstTime ?? Number.POSITIVE_INFINITY;
    const end = countBefore(waiting, nextTime);
    if (end > 0) yield waiting.slice(0, end);
    waiting = waiting.slice(end);
  }
}

/**
 * How many of `entries`, which are in order, have a time below `time`: none of an unread block can come before them.
 */
function countBefore(entries: readonly TimelineEntry[], time: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as TimelineEntry).time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
