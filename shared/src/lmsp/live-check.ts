import type * as z from 'zod';
import { GametapeError } from '../errors.ts';
import type { GameEvent, StateChange } from '../event.ts';
import { LMSP_PROFILE } from '../profile/profile.ts';
import type { LiveState } from '../state/live-state.ts';
import type { Json } from '../values/json.ts';
import { bad, check } from './parse.ts';
import { gameStateSchema } from './schema.ts';

const KEY_SCHEMAS: ReadonlyMap<string, z.ZodType> = new Map(Object.entries(gameStateSchema.shape));
/** The keys without a default. */
const REQUIRED_KEYS = [...KEY_SCHEMAS.keys()].filter((key) => !KEY_SCHEMAS.get(key)?.safeParse(undefined).success);

/** What the relay asks of an event in a room of the LMSP profile (L4). @throws GametapeError `BAD_EVENT` */
export function checkLmspEvent({ type }: GameEvent): void {
  if (LMSP_PROFILE.eventTypes?.has(type)) return;
  throw bad('BAD_EVENT', 'event.type', `one of the ${LMSP_PROFILE.eventTypes?.size} event types`, type);
}

/**
 * What the relay asks of a change in such a room (L4): a keyframe is checked whole, a delta by the keys it changes. `state`
 * is the state after `change`, and was valid before it. Typing costs no schema.
 *
 * @throws GametapeError `BAD_STATE`
 */
export function checkLmspChange(change: StateChange, state: LiveState): void {
  if (change.form === 'keyframe') {
    check(gameStateSchema, Object.fromEntries(change.entries), { code: 'BAD_STATE', where: '', path: 'state' });
    return;
  }
  let mayBeFirst = false;
  for (const { op, key } of change.ops) {
    // A text stays a text: whatever else a splice finds, `apply` has refused.
    if (op === 'splice') continue;
    mayBeFirst ||= op === 'set';
    checkKey(key, state);
  }
  // Deltas on a state that never was have to set all of it.
  if (mayBeFirst) for (const key of REQUIRED_KEYS) if (!state.has(key)) throw missing(key);
}

function checkKey(key: string, state: LiveState): void {
  const schema = KEY_SCHEMAS.get(key);
  if (!schema) return;
  const value = state.get(key);
  if (value === undefined) {
    if (REQUIRED_KEYS.includes(key)) throw missing(key);
    return;
  }
  if (key === 'cursor_position' && isPosition(value)) return;
  check(schema, value, { code: 'BAD_STATE', where: '', path: `state.${key}` });
}

function isPosition(value: Json): boolean {
  return Array.isArray(value) && value.length === 2 && Number.isSafeInteger(value[0]) && Number.isSafeInteger(value[1]);
}

function missing(key: string): GametapeError {
  return new GametapeError('BAD_STATE', `state.${key}: expected a value, found nothing; LMSP requires it`);
}
