/** Intervals that are kept at most. A recording has few: it counts its seqs without holes, but for what it lost. */
const MAX_INTERVALS = 100_000;

/** Which seqs there were so far, as intervals in their order: finds those that are there twice. */
export class SeenSeqs {
  #intervals: (readonly [from: number, to: number])[] = [];

  /** Adds those of a block. Returns one that was there already, or is in it twice. */
  add(seqs: readonly number[]): number | undefined {
    // Numbers sort fastest in an array that holds nothing else.
    const added = intervalsOf(Float64Array.from(seqs).sort());
    let repeated: number | undefined;
    const merged: [from: number, to: number][] = [];
    for (const [from, to] of inOrder(this.#intervals, added)) {
      const last = merged.at(-1);
      if (last && from <= last[1]) repeated ??= from;
      if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
      else merged.push([from, to]);
    }
    // Past that it is no recording of a room, and not worth the memory.
    if (merged.length <= MAX_INTERVALS) this.#intervals = merged;
    return repeated;
  }
}

function intervalsOf(sorted: Float64Array): (readonly [number, number])[] {
  const intervals: [number, number][] = [];
  for (const seq of sorted) {
    const last = intervals.at(-1);
    if (last && seq === last[1] + 1) last[1] = seq;
    else intervals.push([seq, seq]);
  }
  return intervals;
}

function* inOrder<Interval extends readonly [number, number]>(
  one: readonly Interval[],
  two: readonly Interval[],
): Generator<Interval> {
  let [i, j] = [0, 0];
  while (i < one.length || j < two.length) {
    const [a, b] = [one[i], two[j]];
    if (a && (!b || a[0] <= b[0])) {
      yield a;
      i++;
    } else if (b) {
      yield b;
      j++;
    }
  }
}
