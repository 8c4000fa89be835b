interface Interval {
  from: number;
  to: number;
}

/** Which seqs are there: as intervals, of which there are few. */
export class SeqSet {
  readonly #byStart = new Map<number, Interval>();
  readonly #byEnd = new Map<number, Interval>();

  add(seq: number): void {
    const [before, after] = [this.#byEnd.get(seq - 1), this.#byStart.get(seq + 1)];
    const interval = { from: before?.from ?? seq, to: after?.to ?? seq };
    if (before) this.#remove(before);
    if (after) this.#remove(after);
    this.#byStart.set(interval.from, interval);
    this.#byEnd.set(interval.to, interval);
  }

  /** The lowest and the highest, or undefined of none. */
  get range(): readonly [lowest: number, highest: number] | undefined {
    const intervals = this.#inOrder();
    const [first, last] = [intervals[0], intervals.at(-1)];
    return first && last && [first.from, last.to];
  }

  /** The intervals from `first` to `last` that are not there. */
  missing(first: number, last: number): (readonly [from: number, to: number])[] {
    const missing: (readonly [number, number])[] = [];
    let next = first;
    for (const { from, to } of this.#inOrder()) {
      if (from > next) missing.push([next, Math.min(from - 1, last)]);
      next = Math.max(next, to + 1);
    }
    if (next <= last) missing.push([next, last]);
    return missing.filter(([from, to]) => from <= to);
  }

  #inOrder(): Interval[] {
    return [...this.#byStart.values()].sort((a, b) => a.from - b.from);
  }

  #remove({ from, to }: Interval): void {
    this.#byStart.delete(from);
    this.#byEnd.delete(to);
  }
}
