import type { ClockEstimate } from './clock-estimate.ts';
import { isLater, type Key, ORIGIN } from './key.ts';
import { RememberedKeys } from './remembered-keys.ts';

export interface Placing {
  /** Key of the same producer's event before. */
  readonly previous: Key;
  readonly estimate: ClockEstimate;
  readonly pseq: number;
  /** Not before that of the event before; how far it really lies before that one is `wentBackUs`. */
  readonly stamp: number;
  readonly wentBackUs?: number;
  /** Room time of arrival. */
  readonly arrival: number;
  /** Last seq that the producer had been shown when it made the event; 0 if none. */
  readonly shown: number;
}

/**
 * Places events on the one timeline of a room by hybrid logical clock keys: after the producer's event before (T3), after
 * whatever its player had been shown (T4), never after its arrival (T5). A clock that wants something else is overruled, and
 * that is counted.
 */
export class Timeline {
  readonly #keys = new RememberedKeys();

  place({ previous, estimate, pseq, stamp, wentBackUs = 0, arrival, shown }: Placing): Key {
    const cause = this.#keys.of(shown) ?? ORIGIN;
    const floor = isLater(cause, previous) ? cause : previous;
    const mapped = estimate.roomTime(pseq, stamp, arrival, wentBackUs);
    const time = Math.min(Math.max(mapped, floor.time), Math.max(arrival, floor.time));
    const isHeld = mapped < floor.time;
    estimate.placed({
      stamp,
      time,
      arrival,
      causeTime: cause.time,
      wasAhead: mapped > arrival,
      wasEarly: isHeld && floor === cause,
      wasBefore: isHeld && floor !== cause,
    });
    return { time, hlc: time === floor.time ? floor.hlc + 1 : 0 };
  }

  /** Places an event that the relay itself makes now. */
  placeOwn(previous: Key, now: number): Key {
    const time = Math.max(now, previous.time);
    return { time, hlc: time === previous.time ? previous.hlc + 1 : 0 };
  }

  remember(seq: number, key: Key): void {
    this.#keys.add(seq, key);
  }
}
