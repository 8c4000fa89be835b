import { GametapeError } from '../errors.ts';
import { EventType, type State } from '../event.ts';

/** What a room's events and states look like (L5). It starts vocabularies off; its order is part of the format. */
export interface Profile {
  readonly name: string;
  /** Event types with the keys of their data, known from the start. */
  readonly templates: readonly Template[];
  /** State keys known from the start. */
  readonly names: readonly string[];
  /** Keys that follow the player's clock, in seconds (D5). */
  readonly clockKeys: ReadonlySet<string>;
  /** Events that whoever looks through a recording jumps to: its index lists them. */
  readonly markerTypes: ReadonlySet<string>;
  /** The only types allowed, or undefined when any is. */
  readonly eventTypes?: ReadonlySet<string>;
  /** The state of a player that comes without one; undefined where it may have none. */
  readonly initialState?: (player: string) => State;
}

export interface Template {
  readonly type: string;
  readonly keys: readonly string[];
}

/** What every room has, whatever its game. First in every profile: the relay makes events from these alone. */
const COMMON_TEMPLATES: readonly Template[] = [
  { type: EventType.KEYSTROKE, keys: ['char', 'modifiers'] },
  { type: EventType.PLAYER_JOIN, keys: ['name'] },
  { type: EventType.PLAYER_LEAVE, keys: ['reason'] },
  { type: EventType.PLAYER_MESSAGE, keys: ['message'] },
  { type: EventType.CHECKPOINT, keys: ['name'] },
  { type: EventType.REWIND, keys: ['name'] },
  { type: EventType.SPEED_CHANGE, keys: ['speed'] },
  { type: EventType.BUTTON_PRESS, keys: ['button'] },
  { type: EventType.BUTTON_RELEASE, keys: ['button'] },
  { type: EventType.TRIGGER_PRESSURE, keys: ['trigger', 'pressure'] },
  { type: EventType.STICK_MOVE, keys: ['stick', 'x', 'y'] },
];

const COMMON_MARKERS: readonly string[] = [
  EventType.PLAYER_JOIN,
  EventType.PLAYER_LEAVE,
  EventType.REWIND,
  EventType.SPEED_CHANGE,
];

/** Records any JSON-like event and state. */
export const JSON_PROFILE: Profile = {
  name: 'json',
  templates: COMMON_TEMPLATES,
  names: [],
  clockKeys: new Set(),
  markerTypes: new Set(COMMON_MARKERS),
};

/** The game that teaches programming: 21 event types and the GameState of the seed document (L1). */
export const LMSP_PROFILE: Profile = {
  name: 'lmsp',
  templates: [
    ...COMMON_TEMPLATES,
    { type: EventType.CHALLENGE_START, keys: ['challenge_id'] },
    { type: EventType.CHALLENGE_COMPLETE, keys: ['challenge_id', 'success'] },
    { type: EventType.TEST_RUN, keys: ['tests_total'] },
    { type: EventType.TEST_PASS, keys: ['tests_passing', 'tests_total'] },
    { type: EventType.TEST_FAIL, keys: ['tests_passing', 'tests_total'] },
    { type: EventType.EMOTIONAL_PROMPT, keys: ['dimension'] },
    { type: EventType.EMOTIONAL_RESPONSE, keys: ['dimension', 'value'] },
    { type: EventType.RECOMMENDATION, keys: ['challenge_id'] },
    { type: EventType.CONCEPT_UNLOCK, keys: ['concept_id'] },
    { type: EventType.MASTERY_LEVEL_UP, keys: ['concept_id', 'level'] },
  ],
  names: [
    'current_code',
    'cursor_position',
    'tests_passing',
    'session_duration',
    'tests_total',
    'hints_used',
    'current_emotion',
    'challenge_id',
    'challenge_started_at',
    'mastery_levels',
    'challenges_completed',
    'concepts_mastered',
    'other_players',
    'ast_tree',
    'player_id',
  ],
  clockKeys: new Set(['session_duration']),
  markerTypes: new Set([
    ...COMMON_MARKERS,
    EventType.CHALLENGE_START,
    EventType.CHALLENGE_COMPLETE,
    EventType.CONCEPT_UNLOCK,
    EventType.MASTERY_LEVEL_UP,
  ]),
  eventTypes: new Set(Object.values(EventType)),
  initialState: (player) => ({
    current_code: '',
    cursor_position: [0, 0],
    ast_tree: null,
    challenge_id: '',
    challenge_started_at: 0,
    tests_passing: 0,
    tests_total: 0,
    hints_used: 0,
    player_id: player,
    mastery_levels: {},
    current_emotion: null,
    session_duration: 0,
    challenges_completed: [],
    concepts_mastered: [],
    other_players: [],
  }),
};

export type ProfileName = 'lmsp' | 'json';

/** @throws GametapeError `PROFILE_MISMATCH` for a name that this version does not know. */
export function profileNamed(name: string): Profile {
  if (name === LMSP_PROFILE.name) return LMSP_PROFILE;
  if (name === JSON_PROFILE.name) return JSON_PROFILE;
  throw new GametapeError('PROFILE_MISMATCH', `profile: expected "lmsp" or "json", found ${JSON.stringify(name)}`);
}
