/**
 * When a client comes, comes back, or its clock has jumped: so many probes this far apart, then so many that far. The last of them
 * show how the clock drifts while nothing is known of that yet: without them times of the first minute are off by up to
 * 1.7 times as much.
 */
const FIRST = { count: 8, everyUs: 50_000 } as const;
const SECOND = { count: 8, everyUs: 250_000 } as const;
const THIRD = { count: 32, everyUs: 500_000 } as const;
const LATER_US = 2_000_000;
const SPREAD = 0.25;
/** Multiples of it modulo 1 are spread evenly, and never repeat. */
const GOLDEN = 0.6180339887498949;
const TIMEOUT_US = 5_000_000;
/** What was recorded while away waits for this many answers, so that the map it is placed by has two sides (T6). */
const ENOUGH_ANSWERS = 3;
/** Id of a ping that is no probe: nothing is learned from its answer. */
export const NO_PROBE = 0;

/**
 * The clock probes of one peer: which one is under way, and when the next is due (T2). One at a time, so that none waits
 * behind another. In microseconds of room time.
 */
export class Probes {
  #open: { readonly id: number; readonly sentAt: number } | undefined;
  #sent = 0;
  #inBurst = 0;
  #answered = 0;
  #seed = 0;
  #dueAt = Number.NEGATIVE_INFINITY;

  /** When there is something to do: to send the next probe, or to give the last one up. */
  get dueAt(): number {
    return this.#open ? this.#open.sentAt + TIMEOUT_US : this.#dueAt;
  }

  /** The burst has told enough to place what waited for it. */
  get hasEnough(): boolean {
    return this.#answered >= ENOUGH_ANSWERS;
  }

  /**
   * The clock is a new one, or was away: the probes start over with a burst.
   *
   * @param seed another for every peer of a room: those that came together are not probed together for ever
   */
  begin(now: number, seed: number): void {
    this.#seed = seed;
    this.#inBurst = 0;
    this.#answered = 0;
    this.#dueAt = Math.min(now, this.#dueAt);
  }

  /** The id of the next probe if it may be sent now. One that is under way and not answered in time is given up. */
  next(now: number): number | undefined {
    if (now < this.dueAt) return undefined;
    this.#open = undefined;
    return this.#sent + 1;
  }

  /** The probe of that id is written to the socket at `now`. */
  sent(id: number, now: number): void {
    this.#sent = id;
    this.#open = { id, sentAt: now };
    this.#inBurst++;
    this.#dueAt = now + this.#pauseUs();
  }

  /** The socket still holds bytes back: a probe behind them would measure them. */
  postpone(now: number): void {
    this.#dueAt = now + FIRST.everyUs;
  }

  /** When that probe was sent; undefined for one that is not under way. */
  answer(id: number): number | undefined {
    if (this.#open?.id !== id) return undefined;
    const { sentAt } = this.#open;
    this.#open = undefined;
    this.#answered++;
    return sentAt;
  }

  #pauseUs(): number {
    if (this.#inBurst < FIRST.count) return FIRST.everyUs;
    if (this.#inBurst < FIRST.count + SECOND.count) return SECOND.everyUs;
    if (this.#inBurst < FIRST.count + SECOND.count + THIRD.count) return THIRD.everyUs;
    return LATER_US * (1 + SPREAD * (2 * ((this.#sent * GOLDEN + this.#seed * GOLDEN ** 2) % 1) - 1));
  }
}
