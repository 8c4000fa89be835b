/** Something that is to happen: by time, and in the order it was planned where that is the same. */
export interface Planned {
  readonly at: number;
  readonly order: number;
}

/** Gives out what is planned, the next first. */
export class TimeHeap<Item extends Planned> {
  readonly #items: Item[] = [];

  push(item: Item): void {
    const items = this.#items;
    let slot = items.length;
    items.push(item);
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      const above = items[parent] as Item;
      if (isBefore(above, item)) break;
      items[slot] = above;
      slot = parent;
    }
    items[slot] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (!first || !last || items.length === 0) return first;
    let slot = 0;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1] as Item, items[child] as Item)) child++;
      if (isBefore(last, items[child] as Item)) break;
      items[slot] = items[child] as Item;
      slot = child;
    }
    items[slot] = last;
    return first;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
