import type { GapRecord } from '@gametape/shared';

interface ProducerGaps {
  /** By their first number. */
  readonly gaps: GapRecord[];
  /** How many of them were taken. */
  taken: number;
}

/** Numbers of producers that are missing and said to be: what is stated once is not stated again. */
export class StatedGaps {
  readonly #producers = new Map<number, ProducerGaps>();

  constructor(gaps: Iterable<GapRecord>) {
    const known = new Set<string>();
    for (const gap of gaps) {
      const { producer, firstPseq, lastPseq } = gap;
      const name = `${producer} ${firstPseq} ${lastPseq}`;
      if (known.has(name)) continue;
      known.add(name);
      const own = this.#producers.get(producer);
      if (own) own.gaps.push(gap);
      else this.#producers.set(producer, { gaps: [gap], taken: 0 });
    }
    for (const { gaps: own } of this.#producers.values()) own.sort((a, b) => a.firstPseq - b.firstPseq);
  }

  /** The parts of `first` to `last` that no gap states. */
  unstated(producer: number, first: number, last: number): (readonly [first: number, last: number])[] {
    const ranges: (readonly [number, number])[] = [];
    let next = first;
    for (const { firstPseq, lastPseq } of this.#producers.get(producer)?.gaps ?? []) {
      if (firstPseq > last) break;
      if (firstPseq > next) ranges.push([next, firstPseq - 1]);
      next = Math.max(next, lastPseq + 1);
    }
    if (next <= last) ranges.push([next, last]);
    return ranges;
  }

  /** Those of a producer that end before `pseq` and were not taken yet, in order. */
  *takeBefore(producer: number, pseq: number): Generator<GapRecord> {
    const own = this.#producers.get(producer);
    if (!own) return;
    for (let gap = own.gaps[own.taken]; gap && gap.lastPseq < pseq; gap = own.gaps[own.taken]) {
      own.taken++;
      yield gap;
    }
  }

  /** Those that were not taken. */
  *rest(): Generator<GapRecord> {
    for (const { gaps, taken } of this.#producers.values()) yield* gaps.slice(taken);
  }
}
