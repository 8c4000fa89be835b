import { GametapeError } from '@gametape/shared';

const MINUTE_US = 60_000_000;
/** What is done with states counts once more for each part of them of this size. */
const BYTES_PER_ONE = 256 * 1024;

/** So many a minute, all at once if need be (S2): a bucket that holds a minute's worth and fills evenly. Times are in microseconds. */
export class RateLimit {
  readonly #perMinute: number;
  #left: number;
  #filledAt: number;

  constructor(perMinute: number, now: number) {
    this.#perMinute = perMinute;
    this.#left = perMinute;
    this.#filledAt = now;
  }

  /**
   * Takes one.
   *
   * @param what is refused, as the message begins
   * @throws GametapeError `LIMIT_EXCEEDED` with `retryAfterS` while there is none left; then none is taken
   */
  take(what: string, now: number): void {
    const filled = this.#left + ((now - this.#filledAt) / MINUTE_US) * this.#perMinute;
    this.#left = Math.min(this.#perMinute, filled);
    this.#filledAt = now;
    if (this.#left < 1) {
      const retryAfterS = Math.ceil(((1 - this.#left) / this.#perMinute) * 60);
      const message = `${what}: a room may have ${this.#perMinute} a minute, and no more; try again in ${retryAfterS} s`;
      throw new GametapeError('LIMIT_EXCEEDED', message, { retryAfterS });
    }
    this.#left--;
  }

  /** What was taken one for does something with so many bytes of states: the next waits for that. */
  charge(stateBytes: number): void {
    this.#left -= stateBytes / BYTES_PER_ONE;
  }
}
