/** How fast a map of a clock may change its mind, in microseconds a second (T2). */
const SLEW_PPM = 500;

/**
 * One piece of the map from a producer's clock to room time. It starts where the piece before has led to, and goes over to
 * its target, at most 500 µs a second faster or slower than the clock itself. Whole microseconds; the drift in parts per billion.
 */
export interface ClockLine {
  /** The stamp that it starts at, and the room time there. */
  readonly stamp: number;
  readonly time: number;
  /** Room time minus stamp, of the target at `stamp`. */
  readonly offset: number;
  /** How much faster room time passes. */
  readonly drift: number;
}

/** Room time of a stamp, in whole microseconds; the same for whoever asks. */
export function timeOnLine({ stamp: from, time, offset, drift }: ClockLine, stamp: number): number {
  const passed = stamp - from;
  const slew = (Math.max(0, passed) * SLEW_PPM) / 1e6;
  const error = offset - (time - from);
  const correction = Math.max(-slew, Math.min(slew, error));
  return time + passed + Math.round((passed * drift) / 1e9 + correction);
}

/** Room time minus stamp that a line has as its target, at a stamp. */
export function targetOffset({ stamp: from, offset, drift }: ClockLine, stamp: number): number {
  return offset + ((stamp - from) * drift) / 1e9;
}
