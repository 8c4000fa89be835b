import type { GapRecord } from '@gametape/shared';

/** Gaps, each given out with the first entry of its producer that comes after it. */
export class GapQueue {
  readonly #waiting = new Map<number, GapRecord[]>();

  constructor(gaps: readonly GapRecord[]) {
    for (const gap of gaps) this.#waiting.set(gap.producer, [...(this.#waiting.get(gap.producer) ?? []), gap]);
  }

  passedBy({ producer, pseq }: { producer: number; pseq: number }): readonly GapRecord[] {
    const waiting = this.#waiting.get(producer);
    if (!waiting) return [];
    const count = waiting.filter(({ lastPseq }) => lastPseq < pseq).length;
    return waiting.splice(0, count);
  }

  rest(): readonly GapRecord[] {
    return [...this.#waiting.values()].flat();
  }
}
