import { isJsonObject, type Json, type State } from '@gametape/shared';
import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';

/** Colours that tell players apart: `--player-0` and up in the style sheet. */
const COLOURS = 8;

/** Whether a player is there. A recording tells only whether there was a state yet. */
type Presence = 'connected' | 'dropped' | 'recorded' | 'not there yet';

interface Emotion {
  readonly dimension: string;
  readonly value: number;
}

/** One player as the page shows it. What is derived from the state changes only when its own value does. */
export interface PlayerModel {
  readonly id: string;
  readonly colour: number;
  readonly name: Signal<string>;
  readonly presence: Signal<Presence>;
  /** Its times are right to within this, in seconds; undefined where that is not known (T2). */
  readonly clockErrorS: Signal<number | undefined>;
  readonly state: Signal<State | undefined>;
  readonly code: ReadonlySignal<string | undefined>;
  readonly testsPassing: ReadonlySignal<number>;
  readonly testsTotal: ReadonlySignal<number>;
  readonly emotion: ReadonlySignal<Emotion | undefined>;
}

/** The players of a room or a recording, in the order in which they were first seen. */
export class PlayerBoard {
  readonly players = signal<readonly PlayerModel[]>([]);
  /** Somebody else says who is there: in a recording only states tell. */
  readonly knowsPresence: boolean;
  readonly #byId = new Map<string, PlayerModel>();

  constructor({ knowsPresence = false }: { knowsPresence?: boolean } = {}) {
    this.knowsPresence = knowsPresence;
  }

  /** The model of a player, made when there is none yet. */
  player(id: string): PlayerModel {
    const known = this.#byId.get(id);
    if (known) return known;
    const model = newModel(id, this.#byId.size % COLOURS);
    this.#byId.set(id, model);
    this.players.value = [...this.#byId.values()];
    return model;
  }
}

/** Where the cursor of an LMSP state is: line and column, from 0, the column in code points. */
export function cursorOf(state: State | undefined): readonly [line: number, column: number] | undefined {
  const position = state?.cursor_position;
  if (!Array.isArray(position)) return undefined;
  const [line, column] = position as readonly Json[];
  return typeof line === 'number' && typeof column === 'number' ? [line, column] : undefined;
}

function newModel(id: string, colour: number): PlayerModel {
  const state = signal<State | undefined>(undefined);
  const dimension = computed(() => emotionOf(state.value)?.dimension);
  const strength = computed(() => emotionOf(state.value)?.value ?? 0);
  return {
    id,
    colour,
    name: signal(id),
    presence: signal<Presence>('not there yet'),
    clockErrorS: signal<number | undefined>(undefined),
    state,
    code: computed(() => textOf(state.value?.current_code)),
    testsPassing: computed(() => numberOf(state.value?.tests_passing)),
    testsTotal: computed(() => numberOf(state.value?.tests_total)),
    emotion: computed(() =>
      dimension.value === undefined ? undefined : { dimension: dimension.value, value: strength.value },
    ),
  };
}

/** `[dimension, value]` in LMSP; `{dimension, value}` is understood too. */
function emotionOf(state: State | undefined): Emotion | undefined {
  const emotion = state?.current_emotion;
  const [dimension, value] = Array.isArray(emotion)
    ? (emotion as readonly Json[])
    : isJsonObject(emotion)
      ? [emotion.dimension, emotion.value]
      : [];
  return typeof dimension === 'string' && typeof value === 'number' ? { dimension, value } : undefined;
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: Json | undefined): number {
  return typeof value === 'number' ? value : 0;
}
