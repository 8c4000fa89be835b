import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { isForbiddenKey } from '../values/json.ts';

const encoder = new TextEncoder();

/** Refuses what cannot be a state's key. @throws GametapeError `BAD_VALUE` for a forbidden name, `LIMIT_EXCEEDED`. */
export function checkStateKey(key: string): void {
  if (isForbiddenKey(key)) throw new GametapeError('BAD_VALUE', `state key ${key}: this name is not allowed`);
  // UTF-8 takes at most 3 bytes for each UTF-16 code unit: most keys need no counting.
  if (key.length * 3 > LIMITS.keyBytes && encoder.encode(key).length > LIMITS.keyBytes) {
    throw new GametapeError(
      'LIMIT_EXCEEDED',
      `state key ${JSON.stringify(key.slice(0, 80))}: expected at most ${LIMITS.keyBytes} bytes`,
    );
  }
}
