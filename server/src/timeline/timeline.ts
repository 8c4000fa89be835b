import type { ClockEstimate } from './clock-estimate.ts';

/** Keys of this many events are remembered, to place effects after their causes (T4). */
const REMEMBERED = 1_024;

/** Where an event stands: room time in microseconds, and a counter that tells events of one time apart (T3). */
export interface Key {
  readonly time: number;
  readonly hlc: number;
}

export const ORIGIN: Key = { time: 0, hlc: 0 };

export interface Placing {
  /** Key of the same producer's event before. */
  readonly previous: Key;
  readonly estimate: ClockEstimate;
  readonly stamp: number;
  /** Room time of arrival. */
  readonly arrival: number;
  /** Last seq that the producer had been shown when it made the event; 0 if none. */
  readonly shown: number;
}

/**
 * Places events on the one timeline of a room by hybrid logical clock keys: after the producer's event before (T3), after
 * whatever its player had been shown (T4), never after its arrival (T5).
 */
export class Timeline {
  readonly #times = new Float64Array(REMEMBERED);
  readonly #hlcs = new Uint32Array(REMEMBERED);
  readonly #seqs = new Float64Array(REMEMBERED);

  place({ previous, estimate, stamp, arrival, shown }: Placing): Key {
    const cause = this.#keyOf(shown);
    const floor = cause && isLater(cause, previous) ? cause : previous;
    const time = Math.min(Math.max(estimate.roomTime(stamp), floor.time), Math.max(arrival, floor.time));
    return { time, hlc: time === floor.time ? floor.hlc + 1 : 0 };
  }

  /** Places an event that the relay itself makes now. */
  placeOwn(previous: Key, now: number): Key {
    const time = Math.max(now, previous.time);
    return { time, hlc: time === previous.time ? previous.hlc + 1 : 0 };
  }

  remember(seq: number, { time, hlc }: Key): void {
    const slot = seq % REMEMBERED;
    this.#seqs[slot] = seq;
    this.#times[slot] = time;
    this.#hlcs[slot] = hlc;
  }

  /** An event that is forgotten is long past: nothing that arrives now could be placed before it. */
  #keyOf(seq: number): Key | undefined {
    const slot = seq % REMEMBERED;
    if (seq === 0 || this.#seqs[slot] !== seq) return undefined;
    return { time: this.#times[slot] as number, hlc: this.#hlcs[slot] as number };
  }
}

export function isLater(a: Key, b: Key): boolean {
  return a.time > b.time || (a.time === b.time && a.hlc > b.hlc);
}
