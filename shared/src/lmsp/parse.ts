import type * as z from 'zod';
import { type ErrorCode, GametapeError, isGametapeError } from '../errors.ts';
import { captureJson, isJsonObject, type Json, type JsonObject } from '../values/json.ts';
import {
  anyEventSchema,
  anyStateSchema,
  type Checkpoint,
  checkpointSchema,
  type GameState,
  gameEventSchema,
  gameStateSchema,
  type LmspGameEvent,
  type RecordedEvent,
  type Recording,
  type RecordingFields,
  recordingFieldsSchema,
  timestampSchema,
} from './schema.ts';

/** How much of a wrong value an error shows. */
const SHOWN_LENGTH = 60;

/**
 * The parsers of L4: each returns a copy of what it is given, checked, with the seed's defaults filled in, and throws one
 * readable line that says which field is wrong, what was expected and what was found. `where` comes before the field.
 *
 * @throws GametapeError `BAD_EVENT`; `LIMIT_EXCEEDED` past the depth and nodes of `LIMITS`, as all of them do.
 */
export function parseGameEvent(value: unknown, where = ''): LmspGameEvent {
  return parse(gameEventSchema, value, { code: 'BAD_EVENT', where, path: 'event' });
}

/** @throws GametapeError `BAD_STATE` */
export function parseGameState(value: unknown, where = '', path = 'game_state'): GameState {
  return parse(gameStateSchema, value, { code: 'BAD_STATE', where, path });
}

/** @throws GametapeError `BAD_RECORDING`, `BAD_STATE` */
export function parseCheckpoint(value: unknown, where = ''): Checkpoint {
  return parse(checkpointSchema, value, { code: 'BAD_RECORDING', where, path: 'checkpoint' });
}

/** @throws GametapeError `BAD_RECORDING`, `BAD_EVENT`, `BAD_STATE` */
export function parseRecordedEvent(value: unknown, where = ''): RecordedEvent {
  const { timestamp, event, game_state } = parts(value, where);
  return {
    timestamp: parseTimestamp(timestamp, where),
    event: parseGameEvent(event, where),
    game_state: parseGameState(game_state, where),
  };
}

/** The same for a game that is not LMSP (L5): events of any type, states of any shape. */
export function parseAnyRecordedEvent(
  value: unknown,
  where = '',
): { timestamp: number; event: AnyEvent; game_state: JsonObject } {
  const { timestamp, event, game_state } = parts(value, where);
  return {
    timestamp: parseTimestamp(timestamp, where),
    event: parseAnyGameEvent(event, where),
    game_state: parse(anyStateSchema, game_state, { code: 'BAD_STATE', where, path: 'game_state' }),
  };
}

export function parseAnyGameEvent(value: unknown, where = ''): AnyEvent {
  return parse(anyEventSchema, value, { code: 'BAD_EVENT', where, path: 'event' });
}

export type AnyEvent = z.infer<typeof anyEventSchema>;

/** The top level of a recording with `eventCount` events. @throws GametapeError `BAD_RECORDING` */
export function parseRecordingFields(value: JsonObject, eventCount: number): RecordingFields {
  // Checkpoints may be many, and may have names that other maps must not: nothing but their own check looks at them.
  const { checkpoints, ...rest } = value;
  const schema = recordingFieldsSchema.omit({ checkpoints: true });
  const fields = parse(schema, rest, { code: 'BAD_RECORDING', where: '', path: 'recording' });
  return { ...fields, checkpoints: checkCheckpoints(checkpoints, eventCount) };
}

function checkCheckpoints(value: Json | undefined, eventCount: number): Record<string, number> {
  if (!isJsonObject(value)) throw bad('BAD_RECORDING', 'recording.checkpoints', 'a map', value);
  for (const [name, index] of Object.entries(value)) {
    if (Number.isSafeInteger(index) && (index as number) >= 0 && (index as number) < eventCount) continue;
    const place = `recording.checkpoints[${JSON.stringify(name.slice(0, SHOWN_LENGTH))}]`;
    throw bad('BAD_RECORDING', place, `the index of one of ${eventCount} events`, index);
  }
  return { ...value } as Record<string, number>;
}

/** A whole recording in memory, such as what `Recorder.export()` makes. */
export function parseRecording(value: unknown): Recording {
  if (!isJsonObject(value as Json)) throw bad('BAD_RECORDING', 'recording', 'a map', value);
  const { events, ...rest } = value as JsonObject;
  if (!Array.isArray(events)) throw bad('BAD_RECORDING', 'recording.events', 'an array', events);
  const fields = parseRecordingFields(rest, events.length);
  return { ...fields, events: events.map((event: Json, index) => parseRecordedEvent(event, `event ${index}`)) };
}

/** @throws GametapeError `BAD_RECORDING` */
export function parseTimestamp(value: unknown, where: string): number {
  return check(timestampSchema, value, { code: 'BAD_RECORDING', where, path: 'timestamp' });
}

export interface Place {
  readonly code: ErrorCode;
  readonly where: string;
  readonly path: string;
}

/** `value` as the schema has it, or an error about the first field that is not. Does not look into values of any shape. */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown, place: Place): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path ?? [];
  const at = path.reduce<string>((text, step) => `${text}${pathStep(step)}`, place.path);
  const found = path.reduce<unknown>(
    (inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step],
    value,
  );
  throw bad(place.code, joined(place.where, at), issue ? expectation(issue) : 'something else', found);
}

/** One line: where, what was expected, what was found. */
export function bad(code: ErrorCode, where: string, expected: string, found: unknown): GametapeError {
  return new GametapeError(code, `${where}: expected ${expected}, found ${shown(found)}`);
}

/** `check` of a copy that is JSON within `LIMITS`. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, place: Place): z.infer<Schema> {
  return check(schema, value === undefined ? undefined : capture(value, place), place);
}

function capture(value: unknown, { code, where, path }: Place): Json {
  try {
    return captureJson(value, joined(where, path));
  } catch (error) {
    if (!isGametapeError(error, 'BAD_VALUE')) throw error;
    throw new GametapeError(code, error.message, { cause: error });
  }
}

function parts(value: unknown, where: string): JsonObject {
  if (isJsonObject(value as Json)) return value as JsonObject;
  throw bad('BAD_RECORDING', where || 'event', 'a map with timestamp, event and game_state', value);
}

function joined(where: string, path: string): string {
  return where === '' ? path : `${where}: ${path}`;
}

function pathStep(step: PropertyKey): string {
  return typeof step === 'number' ? `[${step}]` : `.${String(step)}`;
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return EXPECTED[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.length > 4 ? `one of the ${issue.values.length} event types` : issue.values.join(' or ');
    case 'too_small':
      return issue.origin === 'array' ? `${issue.minimum} items` : `at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array' ? `${issue.maximum} items` : `at most ${issue.maximum}`;
    case 'invalid_union':
      return 'another value';
    default:
      return issue.message.replace(/^expected /, '');
  }
}

/** What zod calls types, in the words of JSON. */
const EXPECTED: Readonly<Record<string, string>> = {
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'an array',
  tuple: 'an array of two',
  object: 'a map',
  record: 'a map',
};

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH).toWellFormed()}…` : text;
}
