import { compareEntries, type TimelineEntry } from '@gametape/shared';

/** Entries that wait for those before them may take this much, in bytes. */
const MOST_BYTES = 32 * 1024 * 1024;
/** What an entry takes beside its body, roughly. */
const ENTRY_BYTES = 200;

export interface TimelineOrderOptions {
  /** @default 32 MiB */
  readonly mostBytes?: number;
}

/** A block that is to be read: whole, or the part of it that there was no room for. */
interface Reading<Block> {
  readonly block: Block;
  readonly firstTime: number;
  /** The first entry that is still wanted; undefined for the whole block. */
  readonly from: TimelineEntry | undefined;
}

/**
 * Entries of many blocks in timeline order (T3), in runs. Blocks may hold entries in any order and overlap in time;
 * each is read when nothing earlier can come from the others, so that only blocks that overlap are in memory together
 * (R6). Where too many do, as behind a clock that stands still, the last of what waits is let go, and read again later.
 *
 * @param blocks what each block says of itself: the lowest time inside, in microseconds
 * @param read what a block holds; `isAgain` after the first time
 */
export async function* timelineOrder<Block extends { readonly firstTime: number }, Entry extends TimelineEntry>(
  blocks: readonly Block[],
  read: (block: Block, isAgain: boolean) => Promise<readonly Entry[]>,
  { mostBytes = MOST_BYTES }: TimelineOrderOptions = {},
): AsyncGenerator<readonly Entry[]> {
  const readings = blocks.map((block): Reading<Block> => ({ block, firstTime: block.firstTime, from: undefined }));
  readings.sort(compareReadings);
  let waiting: Entry[] = [];
  let open: OpenBlock<Block, Entry>[] = [];
  for (let reading = readings.shift(); reading; reading = readings.shift()) {
    const { block, from } = reading;
    const all = await read(block, from !== undefined);
    const entries = from ? all.filter((entry) => compareEntries(entry, from) >= 0) : all;
    open.push({ block, entries, last: entries.reduce(laterOf, entries[0]) });
    // Both parts are nearly in order, which is what this sort is fast at.
    waiting = waiting.concat(entries).sort(compareEntries);
    const end = countBefore(waiting, readings[0]);
    if (end > 0) yield waiting.slice(0, end);
    waiting = waiting.slice(end);
    const [first] = waiting;
    open = open.filter(({ last }) => first && last && compareEntries(last, first) >= 0);
    const kept = countWithin(waiting, mostBytes);
    const letGo = waiting[kept];
    if (!letGo) continue;
    for (const { block, entries } of open) {
      const late = entries.filter((entry) => compareEntries(entry, letGo) >= 0);
      const from = late.reduce(earlierOf, late[0]);
      if (!from) continue;
      // What there was no room for before comes with it.
      const pending = readings.findIndex((reading) => reading.block === block);
      if (pending >= 0) readings.splice(pending, 1);
      readings.push({ block, firstTime: from.time, from: { ...from, body: NOTHING } });
    }
    readings.sort(compareReadings);
    // What is kept is copied: a body keeps its whole block in memory.
    const copies = new Map(waiting.slice(0, kept).map((entry) => [entry, { ...entry, body: entry.body.slice() }]));
    waiting = [...copies.values()];
    open = open.map(({ block, entries }) => {
      const left = entries.flatMap((entry) => copies.get(entry) ?? []);
      return { block, entries: left, last: left.reduce(laterOf, left[0]) };
    });
  }
}

/** A block that entries wait of: what was read of it, and the last of that. */
interface OpenBlock<Block, Entry> {
  readonly block: Block;
  readonly entries: readonly Entry[];
  readonly last: Entry | undefined;
}

const NOTHING = new Uint8Array(0);

/** Whole blocks come first: what is in them is not known yet. */
function compareReadings(a: Reading<unknown>, b: Reading<unknown>): number {
  if (a.firstTime !== b.firstTime) return a.firstTime - b.firstTime;
  if (a.from && b.from) return compareEntries(a.from, b.from);
  return (a.from ? 1 : 0) - (b.from ? 1 : 0);
}

function earlierOf<Entry extends TimelineEntry>(a: Entry | undefined, b: Entry): Entry {
  return a && compareEntries(a, b) <= 0 ? a : b;
}

function laterOf<Entry extends TimelineEntry>(a: Entry | undefined, b: Entry): Entry {
  return a && compareEntries(a, b) >= 0 ? a : b;
}

/** How many of `entries`, which are in order, come before all that is left to be read. */
function countBefore(entries: readonly TimelineEntry[], next: Reading<unknown> | undefined): number {
  if (!next) return entries.length;
  const { firstTime, from } = next;
  return countWhile(
    entries,
    (entry) => entry.time < firstTime || (from !== undefined && compareEntries(entry, from) < 0),
  );
}

/** How many of them may wait: one at least, or nothing would ever come of it. */
function countWithin(entries: readonly TimelineEntry[], mostBytes: number): number {
  let bytes = 0;
  const over = entries.findIndex(({ body }, index) => {
    bytes += ENTRY_BYTES + body.length;
    return bytes > mostBytes && index > 0;
  });
  return over < 0 ? entries.length : over;
}

function countWhile(entries: readonly TimelineEntry[], isDue: (entry: TimelineEntry) => boolean): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isDue(entries[middle] as TimelineEntry)) low = middle + 1;
    else high = middle;
  }
  return low;
}
