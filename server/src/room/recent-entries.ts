import type { TimelineEntry } from '@gametape/shared';

/** What a reconnecting peer may have missed (W4): a minute or 4 MiB of events, whichever is less. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_AGE_US = 60_000_000;
/** Bytes of an entry beside its body, roughly. */
const OVERHEAD = 120;

export interface RecentEntry {
  readonly entry: TimelineEntry;
  /** The producer's vocabulary started over with this entry: whoever follows it has to be told (D3). */
  readonly restarts: boolean;
  /** The relay made it, and the player that it is about is to be shown it as well (T8). */
  readonly isForOwner: boolean;
  /** Room time of arrival, in microseconds. */
  readonly arrival: number;
}

/** The newest entries of a room, by consecutive seq. */
export class RecentEntries {
  #items: RecentEntry[] = [];
  #start = 0;
  #bytes = 0;
  #firstSeq: number;

  /** `headSeq` is the last seq before the first entry that will be added. */
  constructor(headSeq: number) {
    this.#firstSeq = headSeq + 1;
  }

  /** As a room comes back with them at that room time. They end with `headSeq`. */
  static restored(items: readonly Omit<RecentEntry, 'arrival'>[], headSeq: number, now: number): RecentEntries {
    const recent = new RecentEntries(headSeq - items.length);
    for (const item of items) recent.add({ ...item, arrival: now });
    recent.trim(headSeq);
    return recent;
  }

  add(item: RecentEntry): void {
    this.#items.push(item);
    this.#bytes += item.entry.body.length + OVERHEAD;
  }

  /** Forgets what is too old or too much, of the entries up to `shownSeq`: the others nobody has been shown yet. */
  trim(shownSeq: number): void {
    const newest = this.#items.at(-1)?.arrival ?? 0;
    while (this.#firstSeq <= shownSeq) {
      const { entry, arrival } = this.#items[this.#start] as RecentEntry;
      if (this.#bytes <= MAX_BYTES && newest - arrival <= MAX_AGE_US) break;
      this.#bytes -= entry.body.length + OVERHEAD;
      this.#start++;
      this.#firstSeq++;
    }
    if (this.#start > 1_024 && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
  }

  /** True when nothing after `seq` is missing. */
  covers(seq: number): boolean {
    return seq + 1 >= this.#firstSeq;
  }

  /** Entries after `seq` up to and including `upTo`. */
  *between(seq: number, upTo: number): Generator<RecentEntry> {
    for (let at = Math.max(seq + 1, this.#firstSeq); at <= upTo; at++) {
      const item = this.#items[this.#start + at - this.#firstSeq];
      if (!item) return;
      yield item;
    }
  }
}
