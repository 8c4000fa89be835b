/** Room time: microseconds since the room was opened, by a clock that never goes back. */
export class RoomClock {
  readonly #anchorUs: number;
  readonly #offsetUs: number;

  /** `nowUs` is the room time right now: 0 for a new room, later for one that comes back after a restart. */
  constructor(nowUs: number) {
    this.#anchorUs = monotonicUs();
    this.#offsetUs = nowUs;
  }

  now(): number {
    return this.at(performance.now());
  }

  /** Room time at a moment of performance.now(). */
  at(milliseconds: number): number {
    return Math.round(milliseconds * 1_000 - this.#anchorUs + this.#offsetUs);
  }
}

function monotonicUs(): number {
  return performance.now() * 1_000;
}
