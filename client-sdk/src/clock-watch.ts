/** Wall clocks are set right by a few milliseconds all the time; by this much they are set, or the device slept. */
const JUMP_US = 250_000;
/** Readings are enough to see a clock tick a few times if it does so every millisecond; else it takes too long to find out. */
const READINGS = 40_000;
const TICKS = 3;
/** Firefox against fingerprinting, and worse than any other. */
const COARSEST_US = 100_000;

/** Finds out when a clock stood still while time went on: `performance.now()` does so in most browsers while a device sleeps (T2). */
export class ClockWatch {
  readonly #now: () => number;
  readonly #wall: () => number;
  #offset: number;

  /** @param now the clock that is watched, and `wall` one that it is compared with, in microseconds */
  constructor(now: () => number, wall: () => number = () => Date.now() * 1_000) {
    this.#now = now;
    this.#wall = wall;
    this.#offset = wall() - now();
  }

  /** How much more time has passed than the clock shows, in microseconds, since it was last looked at; 0 while it is as it should be. */
  jumped(): number {
    const offset = this.#wall() - this.#now();
    const jump = offset - this.#offset;
    this.#offset = offset;
    return Math.abs(jump) > JUMP_US ? Math.round(jump) : 0;
  }
}

/** In what steps a clock ticks, in microseconds. Takes a few milliseconds at most. */
export function tickOf(now: () => number): number {
  let least = COARSEST_US;
  let ticks = 0;
  let last = now();
  for (let reading = 0; reading < READINGS && ticks < TICKS; reading++) {
    const next = now();
    if (next <= last) continue;
    // The first is cut short: nobody knows when the one before it was.
    if (ticks > 0) least = Math.min(least, next - last);
    ticks++;
    last = next;
  }
  return Math.max(1, Math.ceil(least));
}
