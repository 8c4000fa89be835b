/** Places kept while an event before them still waits: far more than ever wait. */
const MAX_KEPT = 65_536;

/** Counts events that come after another in one recording and before it in the other, in bounded memory (R6). */
export class OrderCount {
  count = 0;
  /** Of what was told of already, place in b by place in a; null for an event that b does not have. */
  readonly #places = new Map<number, number | null>();
  #next = 0;
  #highest = -1;

  /** To be told of every event of a once, in any order. */
  observe(indexA: number, indexB: number | null): void {
    this.#places.set(indexA, indexB);
    if (this.#places.size > MAX_KEPT) this.#next = Math.min(...firstKeys(this.#places, MAX_KEPT / 2));
    for (let place = this.#places.get(this.#next); place !== undefined; place = this.#places.get(this.#next)) {
      this.#places.delete(this.#next++);
      if (place === null) continue;
      if (place < this.#highest) this.count++;
      else this.#highest = place;
    }
  }
}

function firstKeys(places: ReadonlyMap<number, unknown>, count: number): number[] {
  const keys: number[] = [];
  for (const key of places.keys()) {
    if (keys.length === count) break;
    keys.push(key);
  }
  return keys;
}
