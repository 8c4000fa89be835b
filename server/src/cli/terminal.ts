import { once } from 'node:events';
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const PROGRESS_INTERVAL_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/** Data, on stdout. Resolves when more may follow. */
export async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** One line of data. */
export async function printLine(line: string): Promise<void> {
  await print(`${line}\n`);
}

/** One line of talk, on stderr. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Colours for stderr; none where it is no terminal or NO_COLOR is set. */
export function paint(style: Style, text: string): string {
  return paintFor(process.stderr, style, text);
}

/** The same for stdout. */
export function paintData(style: Style, text: string): string {
  return paintFor(process.stdout, style, text);
}

/** A line of stderr that is written over and over; nothing at all where stderr is no terminal. */
export class ProgressLine {
  readonly #isShown = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  #shownAt = Number.NEGATIVE_INFINITY;

  /** `text` is only asked for when it is time to show it. */
  update(text: () => string): void {
    if (!this.#isShown || performance.now() - this.#shownAt < PROGRESS_INTERVAL_MS) return;
    this.#shownAt = performance.now();
    process.stderr.write(`${CLEAR_LINE}${text()}`);
  }

  /** Takes the line away, so that what follows starts a new one. */
  clear(): void {
    if (this.#isShown && this.#shownAt > 0) process.stderr.write(CLEAR_LINE);
    this.#shownAt = Number.NEGATIVE_INFINITY;
  }
}

function paintFor(stream: NodeJS.WriteStream, style: Style, text: string): string {
  if (!stream.isTTY || (process.env.NO_COLOR ?? '') !== '') return text;
  return styleText(style, text);
}
