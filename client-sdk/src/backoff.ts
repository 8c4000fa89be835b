const FIRST_MS = 200;
const LONGEST_MS = 5_000;

/** How long to wait before attempt `attempt` (from 0) to connect again: full jitter, so that a crowd does not return as one. */
export function backoffMs(attempt: number, random: number, longestMs = LONGEST_MS): number {
  return random * Math.min(longestMs, FIRST_MS * 2 ** attempt);
}
