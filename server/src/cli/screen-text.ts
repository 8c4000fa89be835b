import { styleText } from 'node:util';
import stringWidth from 'string-width';

const TAB = '    ';
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** A text as a terminal may be sent it: what is recorded must not move its cursor, or ring its bell. */
export function harmless(text: string): string {
  return text.replaceAll('\t', TAB).replace(CONTROL, '\ufffd');
}

/** Cut or padded to `width` columns. Without control characters. */
export function fitted(text: string, width: number): string {
  let fit = '';
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) {
    const wide = stringWidth(segment);
    if (columns + wide > width) break;
    fit += segment;
    columns += wide;
  }
  return fit + ' '.repeat(Math.max(0, width - columns));
}

export function columnsOf(text: string): number {
  return stringWidth(text);
}

/** A line of code with the cursor on its code point `column`, scrolled so that the cursor is in sight. */
export function lineWithCursor(line: string, column: number, width: number): string {
  const points = [...line];
  const before = harmless(points.slice(0, column).join(''));
  const at = harmless(points[column] ?? ' ');
  const after = harmless(points.slice(column + 1).join(''));
  const over = Math.max(0, columnsOf(before) + columnsOf(at) - width);
  const start = over === 0 ? before : cutStart(before, over);
  const rest = fitted(after, Math.max(0, width - columnsOf(start) - columnsOf(at)));
  // Inverse is no colour: NO_COLOR may not hide where the cursor is.
  return `${start}${styleText('inverse', at, { validateStream: false })}${rest}`;
}

/** Without at least so many columns of its start. */
function cutStart(text: string, columns: number): string {
  let cut = 0;
  let at = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (cut >= columns) break;
    cut += stringWidth(segment);
    at += segment.length;
  }
  return text.slice(at);
}
