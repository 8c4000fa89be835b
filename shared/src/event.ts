import type { Json, JsonObject } from './values/json.ts';

/** The 21 event types of LMSP (L1), under the names the seed gives them. */
export const EventType = {
  KEYSTROKE: 'keystroke',
  BUTTON_PRESS: 'button_press',
  BUTTON_RELEASE: 'button_release',
  TRIGGER_PRESSURE: 'trigger_pressure',
  STICK_MOVE: 'stick_move',
  CHALLENGE_START: 'challenge_start',
  CHALLENGE_COMPLETE: 'challenge_complete',
  TEST_RUN: 'test_run',
  TEST_PASS: 'test_pass',
  TEST_FAIL: 'test_fail',
  EMOTIONAL_PROMPT: 'emotional_prompt',
  EMOTIONAL_RESPONSE: 'emotional_response',
  RECOMMENDATION: 'recommendation',
  CONCEPT_UNLOCK: 'concept_unlock',
  MASTERY_LEVEL_UP: 'mastery_level_up',
  PLAYER_JOIN: 'player_join',
  PLAYER_LEAVE: 'player_leave',
  PLAYER_MESSAGE: 'player_message',
  CHECKPOINT: 'checkpoint',
  REWIND: 'rewind',
  SPEED_CHANGE: 'speed_change',
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

/** What a player did: a type and data that goes with it. */
export interface GameEvent<Type extends string = string> {
  readonly type: Type;
  readonly data: JsonObject;
}

/** A player's state: a flat map from keys to JSON values (D1). */
export type State = JsonObject;

/** One change of a text: at `at`, `remove` UTF-16 code units go and `insert` comes. */
export interface TextChange {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

/** One step of a delta. Positions are UTF-16 code units of the text as the ops before left it. */
export type DeltaOp =
  | { readonly op: 'set'; readonly key: string; readonly value: Json }
  | { readonly op: 'delete'; readonly key: string }
  | ({ readonly op: 'splice'; readonly key: string } & TextChange)
  | { readonly op: 'add'; readonly key: string; readonly by: readonly number[] }
  | { readonly op: 'nest'; readonly key: string; readonly path: Path; readonly change: NestedChange };

export type Path = readonly (string | number)[];

export type NestedChange =
  | { readonly op: 'set'; readonly value: Json }
  | { readonly op: 'delete' }
  | { readonly op: 'splice'; readonly at: number; readonly remove: number; readonly insert: readonly Json[] };

export type StateChange =
  | { readonly form: 'delta'; readonly ops: readonly DeltaOp[]; readonly check?: number }
  | { readonly form: 'keyframe'; readonly entries: readonly (readonly [key: string, value: Json])[] };

/** What an SDK encodes once (W7): what happened, what changed. At least one of the two is there. */
export interface Body {
  readonly event?: GameEvent;
  readonly change?: StateChange;
}

/**
 * One entry of a room's timeline: a body, and where it stands in it. Times are microseconds of room time; `stamp` is the
 * producer's own clock, in microseconds since it started, null for entries that the relay made.
 */
export interface TimelineEntry {
  readonly seq: number;
  /** Index of the producer in the recording. */
  readonly producer: number;
  /** The producer's number for it, from 1; 0 for entries that the relay made about this producer. */
  readonly pseq: number;
  readonly time: number;
  /** Tells entries of one time apart: the counter of the hybrid logical clock (T3). */
  readonly hlc: number;
  readonly stamp: number | null;
  /** The timestamp in seconds where microseconds would round it: imports only. */
  readonly exact?: number;
  readonly body: Uint8Array;
}

/** T3: (time, hybrid logical counter, producer, pseq), a total order that does not depend on arrival. */
export function compareEntries(a: TimelineEntry, b: TimelineEntry): number {
  return a.time - b.time || a.hlc - b.hlc || a.producer - b.producer || a.pseq - b.pseq || a.seq - b.seq;
}
