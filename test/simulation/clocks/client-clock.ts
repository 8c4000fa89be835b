/** What a clock is like. Times are microseconds. */
export interface ClockKind {
  /** What it reads when the room is opened. */
  readonly startUs: number;
  /** How much faster than true time it goes, in parts per million. */
  readonly driftPpm: number;
  /** It shows multiples of this. */
  readonly tickUs: number;
}

/** A client's monotonic clock beside true time, which the simulation knows and nobody else. */
export class ClientClock {
  readonly tickUs: number;
  readonly #rate: number;
  /** What it read at a moment of true time: from there it goes on. */
  #since = 0;
  #reading: number;

  constructor({ startUs, driftPpm, tickUs }: ClockKind) {
    this.tickUs = tickUs;
    this.#rate = 1 + driftPpm / 1e6;
    this.#reading = startUs;
  }

  /** As an SDK reads it, at a moment of true time that is not before the last change. */
  read(time: number): number {
    const exact = this.#reading + (time - this.#since) * this.#rate;
    return Math.floor(exact / this.tickUs) * this.tickUs;
  }

  /** It stands still between two moments: the device sleeps. */
  sleep(from: number, to: number): void {
    this.jump(from, 0);
    this.#since = to;
  }

  jump(at: number, byUs: number): void {
    this.#reading += (at - this.#since) * this.#rate + byUs;
    this.#since = at;
  }
}
