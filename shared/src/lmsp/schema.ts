import * as z from 'zod';
import { EventType } from '../event.ts';
import { LMSP_PROFILE } from '../profile/profile.ts';
import { isJsonObject, type Json, type JsonObject } from '../values/json.ts';

/** Block and entry times are zigzags of microseconds: this many seconds fit, and so does any time since 1970. */
const MAX_TIMESTAMP_S = 2 ** 51 / 1_000_000;

const json = z.custom<Json>((value) => value !== undefined, 'expected a JSON value');
const whole = z.custom<number>((value) => Number.isSafeInteger(value), 'expected a whole number');
const jsonObject = z.custom<JsonObject>((value) => isJsonObject(value as Json), 'expected a map');

/** The seed's GameEvent (L1): one of its 21 types, and data of any shape. */
export const gameEventSchema = z.object({ type: z.enum(EventType), player_id: z.string(), data: jsonObject });

/** An event of a game that is not LMSP (L5): any type. */
export const anyEventSchema = z.object({ ...gameEventSchema.shape, type: z.string() });

/**
 * The seed's GameState (L1), in the order of its `to_dict`; tuples are arrays. `ast_tree`, `current_emotion` and
 * `other_players` may be left out, with the seed's defaults. Keys that the seed does not know are kept.
 */
export const gameStateSchema = z
  .object({
    current_code: z.string(),
    cursor_position: z.tuple([whole, whole]),
    ast_tree: jsonObject.nullable().default(null),
    challenge_id: z.string(),
    challenge_started_at: z.number(),
    tests_passing: whole,
    tests_total: whole,
    hints_used: whole,
    player_id: z.string(),
    mastery_levels: z.record(z.string(), whole),
    current_emotion: z.tuple([z.string(), z.number()]).nullable().default(null),
    session_duration: z.number(),
    challenges_completed: z.array(z.string()),
    concepts_mastered: z.array(z.string()),
    other_players: z.array(jsonObject).default(() => []),
  })
  .catchall(json);

/** State of a game that is not LMSP (L5). */
export const anyStateSchema = jsonObject;

export const timestampSchema = z.number().min(0).max(MAX_TIMESTAMP_S);

export const recordedEventSchema = z.object({
  timestamp: timestampSchema,
  event: gameEventSchema,
  game_state: gameStateSchema,
});

/** The top level of a recording but its events. Keys that the seed does not know are kept. */
export const recordingFieldsSchema = z
  .object({
    version: z.string(),
    player_id: z.string(),
    challenge_id: z.string(),
    created_at: z.number(),
    checkpoints: z.record(z.string(), whole),
    duration: z.number(),
    success: z.boolean(),
    final_code: z.string(),
    final_time: z.number(),
  })
  .catchall(json);

export const checkpointSchema = z.object({
  name: z.string(),
  event_index: whole,
  timestamp: timestampSchema,
  state: gameStateSchema,
});

export type LmspGameEvent = z.infer<typeof gameEventSchema>;
export type GameState = z.infer<typeof gameStateSchema>;
export type RecordedEvent = z.infer<typeof recordedEventSchema>;
export type RecordingFields = z.infer<typeof recordingFieldsSchema>;
export type Recording = RecordingFields & { events: RecordedEvent[] };
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** The state of a player who has not done anything yet. */
export function emptyGameState(playerId: string): GameState {
  return gameStateSchema.parse(LMSP_PROFILE.initialState?.(playerId));
}
