import { type Planned, TimeHeap } from '../../support/time-heap.ts';

/** What is to happen, one thing after another. Nothing waits for a promise: that is what makes it fast. */
export class Agenda {
  readonly #heap = new TimeHeap<Planned & { readonly run: () => void }>();
  #order = 0;
  #now = 0;

  get now(): number {
    return this.#now;
  }

  plan(at: number, run: () => void): void {
    this.#heap.push({ at: Math.max(at, this.#now), order: this.#order++, run });
  }

  /** Lets everything happen until nothing is planned any more. */
  run(): void {
    for (let item = this.#heap.pop(); item; item = this.#heap.pop()) {
      this.#now = item.at;
      item.run();
    }
  }
}
