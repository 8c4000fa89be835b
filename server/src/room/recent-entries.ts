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
  /** Forgotten up to `#start`: cut off when that pays. */
  #items: (RecentEntry | undefined)[] = [];
  #start = 0;
  /** Of those that have been shown, and of those that have not. */
  #bytes = 0;
  #waitingBytes = 0;
  #firstSeq: number;
  #shownSeq: number;

  /** `headSeq` is the last seq before the first entry that will be added. */
  constructor(headSeq: number) {
    this.#firstSeq = headSeq + 1;
    this.#shownSeq = headSeq;
  }

  /** As a room comes back with them at that room time. They end with `headSeq`. */
  static restored(items: readonly Omit<RecentEntry, 'arrival'>[], headSeq: number, now: number): RecentEntries {
    const recent = new RecentEntries(headSeq - items.length);
    for (const item of items) recent.add({ ...item, arrival: now });
    recent.trim(headSeq);
    return recent;
  }

  /** Bytes of the entries that spectators have not been shown, roughly. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  add(item: RecentEntry): void {
    this.#items.push(item);
    this.#waitingBytes += item.entry.body.length + OVERHEAD;
  }

  /**
   * Everything up to `shownSeq` has been shown to all: forgets what of it is too old or too much. The others, players or
   * spectators have still to be shown.
   */
  trim(shownSeq: number): void {
    for (const { entry } of this.between(this.#shownSeq, shownSeq)) {
      this.#waitingBytes -= entry.body.length + OVERHEAD;
      this.#bytes += entry.body.length + OVERHEAD;
      this.#shownSeq = entry.seq;
    }
    const newest = this.#items[this.#start + this.#shownSeq - this.#firstSeq]?.arrival ?? 0;
    while (this.#firstSeq <= this.#shownSeq) {
      const { entry, arrival } = this.#items[this.#start] as RecentEntry;
      if (this.#bytes <= MAX_BYTES && newest - arrival <= MAX_AGE_US) break;
      this.#bytes -= entry.body.length + OVERHEAD;
      this.#items[this.#start] = undefined;
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

  /** Bytes of the same entries, without what is beside their bodies. */
  bytesBetween(seq: number, upTo: number): number {
    let bytes = 0;
    for (const { entry } of this.between(seq, upTo)) bytes += entry.body.length;
    return bytes;
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
