import { GametapeError, isId } from '@gametape/shared';
import type { SpectateFrom } from './api.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
/** A timer that was given more would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What a caller can get wrong is said before anything is sent: the relay would only see a hello that makes no sense. */
export function checkId(what: 'room' | 'player' | 'spectator', id: unknown): void {
  if (!isId(id)) throw new GametapeError('BAD_ID', `${what}: ${JSON.stringify(id)} is no id`);
}

/** How long to wait for the first connection. @throws TypeError unless it is a time; infinite for ever */
export function timeoutOf(timeoutMs: number = DEFAULT_TIMEOUT_MS): number {
  if (typeof timeoutMs === 'number' && timeoutMs >= 0) return Math.min(timeoutMs, LONGEST_TIMER_MS);
  throw new TypeError(`timeoutMs: expected milliseconds from 0, found ${timeoutMs}`);
}

/** @throws TypeError unless it says where watching begins */
export function checkFrom(from: SpectateFrom): void {
  if (from === 'live' || from === 'start') return;
  if (typeof from === 'object') {
    if ('time' in from && typeof from.time === 'number' && !Number.isNaN(from.time)) return;
    if ('checkpoint' in from && typeof from.checkpoint === 'string') return;
  }
  const found = JSON.stringify(from, (_, value) => (Number.isNaN(value) ? 'NaN' : value));
  throw new TypeError(`from: expected 'live', 'start', {time} or {checkpoint}, found ${found}`);
}
