import type { Json, RecordingReader, State } from '@gametape/shared';
import { type LmspEvent, lmspEvents } from '@gametape/shared/lmsp';

/** A column of the tables that a recording is exported as. Cells that have no value are null. */
export interface TableColumn {
  readonly name: string;
  /** `whole` is an integer within 2^53, `number` a double; `json` any JSON value. */
  readonly type: 'whole' | 'number' | 'text' | 'json';
  readonly cell: (event: LmspEvent) => Json;
}

export interface TableOptions {
  /** A last column `state` with the player's whole state after the event. @default false */
  readonly state?: boolean;
}

/** What every recording has. */
const EVENT_COLUMNS: readonly TableColumn[] = [
  { name: 'index', type: 'whole', cell: ({ index }) => index },
  { name: 'seq', type: 'whole', cell: ({ seq }) => seq },
  { name: 'timestamp', type: 'number', cell: ({ timestamp }) => timestamp },
  { name: 'player', type: 'text', cell: ({ event }) => event.player_id },
  { name: 'type', type: 'text', cell: ({ event }) => event.type },
  { name: 'data', type: 'json', cell: ({ event }) => event.data },
];

/** What a game of LMSP is analysed by: the state after the event, without the text itself. */
const LMSP_COLUMNS: readonly TableColumn[] = [
  stateColumn('challenge_id', 'text', (state) => state.challenge_id),
  stateColumn('tests_passing', 'whole', (state) => state.tests_passing),
  stateColumn('tests_total', 'whole', (state) => state.tests_total),
  stateColumn('hints_used', 'whole', (state) => state.hints_used),
  stateColumn('cursor_line', 'whole', (state) => itemOf(state.cursor_position, 0)),
  stateColumn('cursor_column', 'whole', (state) => itemOf(state.cursor_position, 1)),
  stateColumn('code_length', 'whole', ({ current_code: code }) => (typeof code === 'string' ? codePoints(code) : null)),
  stateColumn('emotion', 'text', (state) => itemOf(state.current_emotion, 0)),
  stateColumn('emotion_value', 'number', (state) => itemOf(state.current_emotion, 1)),
  stateColumn('session_duration', 'number', (state) => state.session_duration),
];

const STATE_COLUMN: TableColumn = { name: 'state', type: 'json', cell: ({ game_state }) => game_state };

/** The columns of a recording: those of its events, for LMSP rooms those of the state, `state` if it is asked for. */
export function tableColumns(reader: RecordingReader, { state = false }: TableOptions = {}): readonly TableColumn[] {
  const own = reader.meta.profile === 'lmsp' ? LMSP_COLUMNS : [];
  return [...EVENT_COLUMNS, ...own, ...(state ? [STATE_COLUMN] : [])];
}

/** One row an event, in the order of the timeline; cells in the order of `columns`. One row in memory at a time (R6). */
export async function* tableRows(reader: RecordingReader, columns: readonly TableColumn[]): AsyncGenerator<Json[]> {
  for await (const event of lmspEvents(reader)) yield columns.map(({ cell }) => cell(event));
}

/** States of a recording are not validated when it is read: what is of another type is left out. */
function stateColumn(name: string, type: TableColumn['type'], value: (state: State) => Json | undefined): TableColumn {
  return {
    name,
    type,
    cell: ({ game_state }) => {
      const found = value(game_state);
      return found !== undefined && FITS[type](found) ? found : null;
    },
  };
}

const FITS: Readonly<Record<TableColumn['type'], (value: Json) => boolean>> = {
  whole: (value) => Number.isSafeInteger(value),
  number: (value) => typeof value === 'number',
  text: (value) => typeof value === 'string',
  json: () => true,
};

function itemOf(value: Json | undefined, index: number): Json | undefined {
  return Array.isArray(value) ? (value as readonly Json[])[index] : undefined;
}

/** The length that Python tells. */
function codePoints(text: string): number {
  let pairs = 0;
  for (let at = 0; at < text.length; at++) {
    // The second half of a pair: texts of recordings are well-formed.
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) pairs++;
  }
  return text.length - pairs;
}
