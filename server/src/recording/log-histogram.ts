/** Bins per doubling: neighbours are 1.1 % apart, so a quantile is at most 0.6 % off. */
const BINS_PER_DOUBLING = 64;

/**
 * Quantiles of any number of values, none of them kept: the same for the same values in any order, in memory that is bounded
 * by the range of the values (R6).
 */
export class LogHistogram {
  readonly #bins = new Map<number, number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** `value` is a positive number; anything below 1 counts as 1. */
  add(value: number): void {
    const bin = Math.floor(Math.log2(Math.max(1, value)) * BINS_PER_DOUBLING);
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
    this.#count++;
  }

  /** The value that `fraction` of all values do not exceed; null when there is none. */
  quantile(fraction: number): number | null {
    let left = Math.max(1, Math.ceil(this.#count * fraction));
    for (const [bin, count] of [...this.#bins].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return 2 ** ((bin + 0.5) / BINS_PER_DOUBLING);
    }
    return null;
  }
}
