const BUCKET_US = 5_000_000;
const WINDOW_US = 300_000_000;
/** As many buckets are kept however old they are: what was recorded while away is fitted from both sides. */
const KEPT = 12;
const MAX_DRIFT = 200e-6;
/** How much clocks drift, typically: what few buckets say about it counts as much as it is more certain than that. */
const USUAL_DRIFT = 100e-6;
/** No drift stays the same for minutes. */
const LEAST_DRIFT_ERROR = 2e-6;
/** Of the best delay, buckets may be this much worse, or this share of it. */
const SPREAD_US = 2_000;
const SPREAD_SHARE = 0.25;
/** What a bucket is off by even where all are as fast. */
const NOISE_US = 100;

/** One probe that was answered. All in microseconds, `clock` by the client's clock, `at` by the relay's. */
export interface OffsetSample {
  readonly at: number;
  readonly clock: number;
  /** Room time minus clock, if the way there took no time, and if the way back took none: it lies between them. */
  readonly lowest: number;
  readonly highest: number;
}

/** Room time minus client clock at `clock`, how fast it grows, and how far buckets lie from it, typically. */
export interface OffsetFit {
  readonly clock: number;
  readonly offset: number;
  /** Microseconds a microsecond. */
  readonly drift: number;
  readonly typicalUs: number;
}

/** The fastest way there and the fastest way back of five seconds, both as of one moment of the client's clock. */
interface Bucket {
  readonly number: number;
  readonly clock: number;
  lowest: number;
  highest: number;
}

/** The offset and drift of a client's clock from what was fastest in every five seconds of the last five minutes (T2). */
export class ClockFilter {
  /** Oldest first. */
  #buckets: Bucket[] = [];
  #drift = 0;

  get isEmpty(): boolean {
    return this.#buckets.length === 0;
  }

  add({ at, clock, lowest, highest }: OffsetSample): void {
    const number = Math.floor(at / BUCKET_US);
    const last = this.#buckets.at(-1);
    if (last?.number === number) {
      // The clock has drifted since the bucket was begun, as far as is known.
      const drifted = (clock - last.clock) * this.#drift;
      last.lowest = Math.max(last.lowest, lowest - drifted);
      last.highest = Math.min(last.highest, highest - drifted);
      return;
    }
    this.#buckets.push({ number, clock, lowest, highest });
    const fresh = this.#buckets.findIndex((bucket) => (number - bucket.number) * BUCKET_US < WINDOW_US);
    const surplus = this.#buckets.length - KEPT;
    if (fresh > 0 && surplus > 0) this.#buckets = this.#buckets.slice(Math.min(fresh, surplus));
  }

  /** Undefined without any sample. */
  fit(): OffsetFit | undefined {
    if (this.#buckets.length === 0) return undefined;
    const least = this.#buckets.reduce((best, bucket) => Math.min(best, delayOf(bucket)), Number.POSITIVE_INFINITY);
    const most = least + Math.max(SPREAD_US, SPREAD_SHARE * least);
    const trend = regression(
      this.#buckets.filter((bucket) => delayOf(bucket) <= most),
      least,
    );
    this.#drift = trend.drift;
    return { ...this.#tightest(trend), drift: trend.drift, typicalUs: trend.typicalUs };
  }

  /** The middle of what all buckets leave, each less certain by what the drift since then is not known by. */
  #tightest({ drift, driftError }: Trend): Pick<OffsetFit, 'clock' | 'offset'> {
    const { clock } = this.#buckets.at(-1) as Bucket;
    let [lowest, highest] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const bucket of this.#buckets) {
      const passed = clock - bucket.clock;
      lowest = Math.max(lowest, bucket.lowest + passed * (drift - driftError));
      highest = Math.min(highest, bucket.highest + passed * (drift + driftError));
    }
    return { clock, offset: (lowest + highest) / 2 };
  }
}

/** How fast a clock drifts, and how wrong that can be, typically. */
interface Trend {
  readonly drift: number;
  readonly driftError: number;
  readonly typicalUs: number;
}

/** Least squares, in which a bucket that was slow counts little, and a drift has to be shown. */
function regression(buckets: readonly Bucket[], least: number): Trend {
  const [origin] = buckets as [Bucket];
  const start = offsetOf(origin);
  let [sum, clocks, offsets, excesses] = [0, 0, 0, 0];
  for (const bucket of buckets) {
    const weight = weightOf(bucket, least);
    sum += weight;
    // Relative to the first: what is squared here would not be exact otherwise.
    clocks += weight * (bucket.clock - origin.clock);
    offsets += weight * (offsetOf(bucket) - start);
    excesses += weight * (delayOf(bucket) - least);
  }
  const [clock, offset] = [origin.clock + clocks / sum, start + offsets / sum];
  const noise = NOISE_US + excesses / sum / 2;
  let [spread, slope] = [(noise / USUAL_DRIFT) ** 2, 0];
  for (const bucket of buckets) {
    const weight = weightOf(bucket, least);
    spread += weight * (bucket.clock - clock) ** 2;
    slope += weight * (bucket.clock - clock) * (offsetOf(bucket) - offset);
  }
  const drift = Math.max(-MAX_DRIFT, Math.min(MAX_DRIFT, slope / spread));
  let squares = 0;
  for (const bucket of buckets) {
    squares += weightOf(bucket, least) * (offsetOf(bucket) - offset - (bucket.clock - clock) * drift) ** 2;
  }
  const typicalUs = Math.max(NOISE_US, Math.sqrt(squares / sum));
  return { drift, driftError: LEAST_DRIFT_ERROR + typicalUs / Math.sqrt(spread), typicalUs };
}

function offsetOf({ lowest, highest }: Bucket): number {
  return (lowest + highest) / 2;
}

function delayOf({ lowest, highest }: Bucket): number {
  return Math.max(0, highest - lowest);
}

function weightOf(bucket: Bucket, least: number): number {
  return 1 / (1 + ((delayOf(bucket) - least) / SPREAD_US) ** 2);
}
