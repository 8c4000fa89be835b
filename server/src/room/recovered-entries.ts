import type { RoomStart } from './room-start.ts';

/** What clients that come back may have missed is looked for in this many bytes of entries (W4). */
const RECENT_BYTES = 4 * 1024 * 1024;
const OVERHEAD = 120;

type Item = RoomStart['recent'][number];

/** The newest entries of a room that is being recovered. */
export class RecoveredEntries {
  items: Item[] = [];
  #bytes = 0;

  add(item: Item): void {
    this.items.push(item);
    this.#bytes += item.entry.body.length + OVERHEAD;
    if (this.#bytes > 2 * RECENT_BYTES) this.#keep(RECENT_BYTES);
  }

  clear(): void {
    this.#keep(0);
  }

  /** Keeps only the newest entries of at most that many bytes. */
  #keep(bytes: number): void {
    let from = 0;
    for (; this.#bytes > bytes && from < this.items.length; from++) {
      this.#bytes -= (this.items[from]?.entry.body.length ?? 0) + OVERHEAD;
    }
    this.items = this.items.slice(from);
  }
}
