const MAX_BUCKETS = 60;

/** How many events there were in each stretch of time. Times are seconds. */
export interface Activity {
  readonly fromS: number;
  /** Width of a bucket: a power of two. */
  readonly bucketS: number;
  readonly events: readonly number[];
}

/** Counts events over time in at most 60 buckets, which get twice as wide whenever the time outgrows them (R6). */
export class ActivityCurve {
  readonly #from: number;
  #width = 1;
  #counts: number[] = [];

  constructor(fromS: number) {
    this.#from = fromS;
  }

  add(timeS: number): void {
    const offset = Math.max(0, timeS - this.#from);
    while (offset / this.#width >= MAX_BUCKETS) this.#widen();
    const bucket = Math.floor(offset / this.#width);
    while (this.#counts.length <= bucket) this.#counts.push(0);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  toJson(): Activity {
    return { fromS: this.#from, bucketS: this.#width, events: [...this.#counts] };
  }

  #widen(): void {
    const wider: number[] = [];
    for (let i = 0; i < this.#counts.length; i += 2) wider.push((this.#counts[i] ?? 0) + (this.#counts[i + 1] ?? 0));
    this.#counts = wider;
    this.#width *= 2;
  }
}
