/** No clock that is one drifts more than this, in microseconds a microsecond. */
const DRIFT = 200e-6;

interface Bounds {
  readonly clock: number;
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Between what the offset from a client's clock to room time is for certain, whatever the path: a message left before it
 * arrived. What was known a while ago counts less by what the clock may have drifted since. All in microseconds.
 */
export class HardBounds {
  #clock = 0;
  #lowest = Number.NEGATIVE_INFINITY;
  #highest = Number.POSITIVE_INFINITY;
  /** What was known before the client was away: for what it recorded meanwhile, both sides count. */
  #before: Bounds | undefined;

  /** Remembers how things stand now: the client was away. */
  bridge(): void {
    this.#before = { clock: this.#clock, lowest: this.#lowest, highest: this.#highest };
  }

  /**
   * Takes over what is certain at a moment of the client's clock.
   *
   * @returns by how much it contradicts what was certain before; then it alone is believed
   */
  narrow(clock: number, lowest: number, highest: number): number {
    // What an event proves comes late, if it waited: it is of a moment that is past.
    const at = Math.max(clock, this.#clock);
    const aged = (at - clock) * DRIFT;
    const [low, high] = [lowest - aged, highest + aged];
    const [lowestBefore, highestBefore] = [this.lowestAt(at), this.highestAt(at)];
    const contradiction = Math.max(low - highestBefore, lowestBefore - high, 0);
    const isSound = contradiction === 0;
    // What knows one side only must not make us forget the other.
    const aloneLow = low === Number.NEGATIVE_INFINITY ? high - contradiction : low;
    const aloneHigh = high === Number.POSITIVE_INFINITY ? low + contradiction : high;
    this.#lowest = isSound ? Math.max(low, lowestBefore) : aloneLow;
    this.#highest = isSound ? Math.min(high, highestBefore) : aloneHigh;
    this.#clock = at;
    if (!isSound) this.#before = undefined;
    return contradiction;
  }

  lowestAt(clock: number): number {
    const lowest = this.#lowest - Math.abs(clock - this.#clock) * DRIFT;
    const before = this.#before;
    return before ? Math.max(lowest, before.lowest - Math.abs(clock - before.clock) * DRIFT) : lowest;
  }

  highestAt(clock: number): number {
    const highest = this.#highest + Math.abs(clock - this.#clock) * DRIFT;
    const before = this.#before;
    return before ? Math.min(highest, before.highest + Math.abs(clock - before.clock) * DRIFT) : highest;
  }
}
