const NANOSECONDS = 1e9;
const MICROSECONDS = 1_000_000;

/** A time moved by whole microseconds, back or forth; one of up to nanoseconds is the same when it is moved back. */
export function shiftSeconds(seconds: number, byUs: number): number {
  if (byUs === 0) return seconds;
  const by = byUs / MICROSECONDS;
  const moved = seconds + by;
  const rounded = Math.round(moved * NANOSECONDS) / NANOSECONDS;
  const error = Number.EPSILON * Math.max(Math.abs(moved), Math.abs(seconds), Math.abs(by));
  return Math.abs(rounded - moved) <= 2 * error ? rounded : moved;
}

/**
 * Timestamps of imports are doubles of any precision, and adding takes back what subtracting did only up to the last bit. So
 * `secondsBefore` takes of the doubles nearest to the difference the one from which `secondsAfter` gets the same bits again.
 */
export function secondsBefore(seconds: number, byUs: number): number {
  const nearest = seconds - byUs / MICROSECONDS;
  const candidates = [nearest, neighbour(nearest, -1), neighbour(nearest, 1)];
  return candidates.find((candidate) => secondsAfter(candidate, byUs) === seconds) ?? nearest;
}

/** Rounds ties up, where `+` would round them to even and so leave out every other double. */
export function secondsAfter(seconds: number, byUs: number): number {
  const by = byUs / MICROSECONDS;
  const sum = seconds + by;
  const kept = sum - seconds;
  const rest = seconds - (sum - kept) + (by - kept);
  const next = neighbour(sum, 1);
  return rest > 0 && next - sum === 2 * rest ? next : sum;
}

const double = new Float64Array(1);
const bits = new BigInt64Array(double.buffer);

/** The next double up or down. */
function neighbour(number: number, step: 1 | -1): number {
  if (number === 0) return step * Number.MIN_VALUE;
  double[0] = number;
  bits[0] = (bits[0] as bigint) + BigInt(number > 0 ? step : -step);
  return double[0];
}
