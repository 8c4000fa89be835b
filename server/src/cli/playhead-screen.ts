import { isJsonObject, type JsonObject, type State } from '@gametape/shared';
import { dataText } from './event-line.ts';
import { columnsOf, fitted, harmless, lineWithCursor } from './screen-text.ts';
import { formatTime } from './table.ts';
import { paintData } from './terminal.ts';

/** All that the screen shows. Times are play time in seconds. */
export interface ScreenModel {
  readonly title: string;
  readonly columns: number;
  readonly rows: number;
  readonly time: number;
  readonly duration: number;
  readonly rate: number;
  readonly isPaused: boolean;
  /** Undefined for a recording. */
  readonly isLive: boolean | undefined;
  readonly note: string;
  readonly players: readonly string[];
  /** Whose code is shown. */
  readonly player: string | undefined;
  /** Who has just done something. */
  readonly typing: ReadonlySet<string>;
  readonly state: State | undefined;
  readonly event:
    | { readonly player: string; readonly type: string; readonly data: JsonObject; readonly late: boolean }
    | undefined;
  readonly checkpoints: readonly { readonly name: string; readonly time: number }[];
}

/** What fits is shown: how to get out comes first. */
const KEYS = 'q quit  space play  ←→ 5 s  n p event  c checkpoint  + - speed  tab player  g end';
/** Lines that are not code. */
const OTHER_ROWS = 5;

/** The lines of the screen, each exactly as wide as it is, or shorter. */
export function screenLines(model: ScreenModel): string[] {
  const { columns, rows } = model;
  const code = codeLines(model, Math.max(1, rows - OTHER_ROWS));
  return [titleLine(model), playersLine(model), ...code, eventLine(model), barLine(model), fitted(KEYS, columns)]
    .slice(0, rows)
    .map((line, at) => (at === rows - 1 && rows >= OTHER_ROWS ? paintData('dim', line) : line));
}

function titleLine({ title, note, columns }: ScreenModel): string {
  const left = harmless(title);
  const right = harmless(note);
  const gap = Math.max(2, columns - columnsOf(left) - columnsOf(right));
  return paintData('bold', fitted(`${left}${' '.repeat(gap)}${right}`, columns));
}

function playersLine({ players, player, typing, columns }: ScreenModel): string {
  const names = players.map((id) => `${id === player ? '▸' : ' '}${harmless(id)}${typing.has(id) ? ' ✎' : '  '}`);
  return paintData('cyan', fitted(names.join(' ') || 'nobody is there', columns));
}

function codeLines({ state, columns }: ScreenModel, height: number): string[] {
  const { text, cursor } = textOf(state);
  const lines = text.split('\n');
  const middle = cursor?.[0] ?? 0;
  const first = Math.max(0, Math.min(middle - Math.floor(height / 2), lines.length - height));
  const digits = String(lines.length).length;
  return Array.from({ length: height }, (_, row) => {
    const at = first + row;
    const line = lines[at];
    if (line === undefined) return '';
    const number = `${String(at + 1).padStart(digits)} `;
    const width = Math.max(1, columns - number.length);
    const shown = cursor?.[0] === at ? lineWithCursor(line, cursor[1], width) : fitted(harmless(line), width).trimEnd();
    return `${paintData('dim', number)}${shown}`;
  });
}

/** The code of an LMSP state with its cursor, else the longest text, else the whole state. */
function textOf(state: State | undefined): { text: string; cursor?: readonly [line: number, column: number] } {
  if (!state) return { text: 'no state at this time' };
  if (typeof state.current_code === 'string') {
    const [line, column] = Array.isArray(state.cursor_position) ? state.cursor_position : [];
    const hasCursor = Number.isSafeInteger(line) && Number.isSafeInteger(column);
    return { text: state.current_code, ...(hasCursor && { cursor: [line as number, column as number] as const }) };
  }
  const texts = Object.values(state).filter((value) => typeof value === 'string');
  const longest = texts.reduce((one, other) => (other.length > one.length ? other : one), '');
  return { text: longest.includes('\n') || longest.length > 20 ? longest : JSON.stringify(state, null, 2) };
}

function eventLine({ event, columns }: ScreenModel): string {
  if (!event) return '';
  const { player, type, data, late } = event;
  const text = `${late ? 'late ' : ''}${player} ${type} ${isJsonObject(data) ? dataText(data) : ''}`;
  return paintData('dim', fitted(harmless(text), columns));
}

function barLine({ time, duration, rate, isPaused, isLive, checkpoints, columns }: ScreenModel): string {
  const sign = isPaused ? '❚❚' : '▶ ';
  const where = isLive === undefined ? '' : isLive ? ' ● live' : ` ${formatTime(Math.max(0, duration - time))} behind`;
  const right = ` ${formatTime(time)} / ${formatTime(duration)} ${rate}×${where}`;
  const width = Math.max(4, columns - columnsOf(right) - 3);
  const placeOf = (at: number) => Math.round((duration > 0 ? Math.min(1, at / duration) : 1) * (width - 1));
  const bar: string[] = Array.from({ length: width }, (_, at) => (at < placeOf(time) ? '━' : '─'));
  for (const checkpoint of checkpoints) bar[placeOf(checkpoint.time)] = '◆';
  bar[placeOf(time)] = '●';
  return fitted(`${sign} ${bar.join('')}${right}`, columns);
}
