interface Item {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** What is to happen, by time, and in the order it was planned where that is the same. */
export class Agenda {
  readonly #heap: Item[] = [];
  #order = 0;
  #now = 0;

  get now(): number {
    return this.#now;
  }

  plan(at: number, run: () => void): void {
    const item = { at: Math.max(at, this.#now), order: this.#order++, run };
    const heap = this.#heap;
    let slot = heap.length;
    heap.push(item);
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      const above = heap[parent] as Item;
      if (isBefore(above, item)) break;
      heap[slot] = above;
      slot = parent;
    }
    heap[slot] = item;
  }

  /** Lets everything happen until nothing is planned any more. */
  run(): void {
    for (let item = this.#next(); item; item = this.#next()) {
      this.#now = item.at;
      item.run();
    }
  }

  #next(): Item | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let slot = 0;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Item, heap[child] as Item)) child++;
      if (isBefore(last, heap[child] as Item)) break;
      heap[slot] = heap[child] as Item;
      slot = child;
    }
    heap[slot] = last;
    return first;
  }
}

function isBefore(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
