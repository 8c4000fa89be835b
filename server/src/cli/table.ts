import type { Json } from '@gametape/shared';

/** Names from a file are cut to this many characters. */
const MAX_NAME = 32;
const BARS = '▁▂▃▄▅▆▇█';
const ELLIPSIS = '…';
/** What a terminal may obey, or show as something else; joiners, of which emoji and whole scripts are made, only join. */
const CONTROL = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029]/gu;

export interface Column {
  readonly title: string;
  /** @default 'right' */
  readonly align?: 'left' | 'right';
}

/** Lines of a table, columns two spaces apart. A column whose cells are all empty is left out. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const used = columns.map((_, at) => rows.some((row) => (row[at] ?? '') !== ''));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)));
  const toLine = (cells: readonly string[]) => {
    const padded = columns.map(({ align }, at) => {
      const cell = cells[at] ?? '';
      return align === 'left' ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0);
    });
    return padded
      .filter((_, at) => used[at])
      .join('  ')
      .trimEnd();
  };
  return [toLine(columns.map(({ title }) => title)), ...rows.map(toLine)];
}

/** A text of a file, fit to be shown: nothing in it moves the cursor or colours the screen. */
export function plainText(text: string, maxLength = MAX_NAME): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - 1).toWellFormed()}${ELLIPSIS}` : text;
  return cut.replace(CONTROL, '\ufffd');
}

/** The same for a text of any length, in which lines and tabs are meant. */
export function plainLines(text: string): string {
  return text.replace(CONTROL, (char) => (char === '\n' || char === '\t' ? char : '\ufffd'));
}

/** A value of a file as JSON, fit to be shown: JSON itself leaves half of those characters as they are. */
export function plainJson(value: Json): string {
  return JSON.stringify(value).replace(CONTROL, (char) =>
    char.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}

/** A curve as a row of bars, the highest for `max`; values are taken at even distances when there are too many. */
export function sparkline(values: readonly number[], { width, max }: { width: number; max?: number }): string {
  const top = max ?? values.reduce((highest, value) => Math.max(highest, value), 0);
  const count = Math.min(width, values.length);
  let line = '';
  for (let at = 0; at < count; at++) {
    const value = values[Math.floor((at * values.length) / count)] ?? 0;
    const level = top > 0 ? Math.round((Math.max(0, value) / top) * (BARS.length - 1)) : 0;
    line += BARS[Math.min(BARS.length - 1, level)];
  }
  return line;
}

/** 1,234 */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** 12.345 s, or 1:02:03 from a minute on. */
export function formatTime(seconds: number): string {
  if (seconds < 59.9995) return `${seconds.toFixed(3)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`;
  return hours > 0 ? `${hours}:${tail}` : tail;
}
