/** Seconds from any origin, never going back: `() => performance.now() / 1000`. */
export type SecondsClock = () => number;

/** The seed's TimestampManager (L1): seconds since `start`, without the pauses. */
export class TimestampManager {
  readonly #clock: SecondsClock;
  #startTime = 0;
  #pausedDuration = 0;
  #pauseStart: number | undefined;

  constructor(clock: SecondsClock) {
    this.#clock = clock;
  }

  get startTime(): number {
    return this.#startTime;
  }

  get pausedDuration(): number {
    return this.#pausedDuration;
  }

  get isPaused(): boolean {
    return this.#pauseStart !== undefined;
  }

  start(): void {
    this.#startTime = this.#clock();
  }

  /** Does nothing while paused. */
  pause(): void {
    this.#pauseStart ??= this.#clock();
  }

  /** Does nothing while running. */
  resume(): void {
    if (this.#pauseStart === undefined) return;
    this.#pausedDuration += this.#clock() - this.#pauseStart;
    this.#pauseStart = undefined;
  }

  currentTimestamp(): number {
    return (this.#pauseStart ?? this.#clock()) - this.#startTime - this.#pausedDuration;
  }
}

/** The seed's PrecisionTimer (L1): marks, in seconds since it was made. */
export class PrecisionTimer {
  readonly #clock: SecondsClock;
  readonly #start: number;
  readonly #offsets: number[] = [];

  constructor(clock: SecondsClock) {
    this.#clock = clock;
    this.#start = clock();
  }

  get offsets(): readonly number[] {
    return this.#offsets;
  }

  mark(): number {
    const offset = this.#clock() - this.#start;
    this.#offsets.push(offset);
    return offset;
  }

  /** Seconds from one mark to another, by their numbers from 0. */
  delta(from: number, to: number): number {
    const [start, end] = [this.#offsets[from], this.#offsets[to]];
    if (start === undefined || end === undefined) {
      throw new TypeError(`marks ${from} and ${to} of ${this.#offsets.length}`);
    }
    return end - start;
  }
}
