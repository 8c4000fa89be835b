/** Newest events that count. */
const SAMPLES = 512;
/** What comes later than this was sent again: no hold would wait for it. */
const RESENT_US = 2_000_000;
const LEAST_MS = 50;
const MOST_MS = 500;
const PERCENTILE = 0.99;

/**
 * How long viewers hold events back, so that nearly all of them are there when their time has come: the 99th percentile of how
 * long recent ones took from where they were placed to spectators (T6).
 */
export class Hold {
  readonly #lags = new Float64Array(SAMPLES);
  #count = 0;

  /** An event was ready to be shown so many microseconds after the time it was placed at. */
  add(lagUs: number): void {
    if (lagUs > RESENT_US) return;
    this.#lags[this.#count % SAMPLES] = lagUs;
    this.#count++;
  }

  /** With so many milliseconds that it may wait besides. */
  ms(waitMs: number): number {
    const sorted = this.#lags.slice(0, Math.min(this.#count, SAMPLES)).sort();
    const lagUs = sorted[Math.ceil(sorted.length * PERCENTILE) - 1] ?? 0;
    return Math.round(Math.min(MOST_MS, Math.max(LEAST_MS, lagUs / 1_000 + waitMs)));
  }
}
