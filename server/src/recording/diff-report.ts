import type { Json, JsonObject } from '@gametape/shared';

/** Texts are shown around the place where they start to differ: so much before it, and so much in all. */
const SHOWN_BEFORE = 20;
const SHOWN_LENGTH = 60;

/** One event of a recording: its number among the events there, its play time in seconds, its type. */
export interface EventPlace {
  readonly index: number;
  readonly timeS: number;
  readonly type: string;
}

/** Two values of one name, as JSON text that is cut around its first difference; null where there is none. */
export interface ValueDifference {
  readonly key: string;
  readonly a: string | null;
  readonly b: string | null;
  /** Of two texts: the first UTF-16 code unit that differs. */
  readonly at?: number;
}

/** One place where two recordings part. What follows from it is counted in it, not listed. */
export type Difference =
  | ({ readonly kind: 'header' } & ValueDifference)
  /** Events that only a has (removed) or only b (added): the first, and how many there are up to where both agree again. */
  | {
      readonly kind: 'removed' | 'added';
      readonly player: string;
      readonly event: EventPlace & { readonly data: JsonObject };
      events: number;
      untilS: number;
    }
  /** The same place in the player's order, another type or data. */
  | {
      readonly kind: 'changed';
      readonly player: string;
      readonly a: EventPlace;
      readonly b: EventPlace;
      readonly fields: readonly ValueDifference[];
    }
  /** The same event at another time: the first, how many in a row, and how much later b has them. */
  | {
      readonly kind: 'time';
      readonly player: string;
      readonly a: EventPlace;
      readonly b: EventPlace;
      events: number;
      minS: number;
      maxS: number;
    }
  /** Keys of the player's state that differ from this event on, until an event after which all are the same again. */
  | {
      readonly kind: 'state';
      readonly player: string;
      readonly a: EventPlace;
      readonly b: EventPlace;
      readonly keys: readonly ValueDifference[];
      until: EventPlace | null;
    }
  /** What a player's state is in the end, where no difference before says so. */
  | { readonly kind: 'final'; readonly player: string; readonly keys: readonly ValueDifference[] }
  /** Each player's order is the same, that of events of different players is not. */
  | { readonly kind: 'order'; readonly events: number };

/** Lists the first differences and counts the rest, so that memory does not grow with them (R6). */
export class DifferenceList {
  readonly listed: Difference[] = [];
  count = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `make` is only called for what is going to be listed. Returns what was listed. */
  add<Kind extends Difference>(make: () => Kind): Kind | undefined {
    this.count++;
    if (this.listed.length >= this.#limit) return undefined;
    const difference = make();
    this.listed.push(difference);
    return difference;
  }
}

export function valueDifference(key: string, a: Json | undefined, b: Json | undefined): ValueDifference {
  if (typeof a === 'string' && typeof b === 'string') {
    const at = firstDifference(a, b);
    return { key, a: excerpt(a, at), b: excerpt(b, at), at };
  }
  const [textA, textB] = [textOf(a), textOf(b)];
  const at = firstDifference(textA ?? '', textB ?? '');
  return { key, a: textA && cut(textA, at), b: textB && cut(textB, at) };
}

function textOf(value: Json | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function firstDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a.charCodeAt(at) !== b.charCodeAt(at)) return at;
  return length;
}

/** The text itself in quotes, with dots where it was cut. */
function excerpt(text: string, at: number): string {
  const [from, to] = shownRange(text, at);
  return `${from > 0 ? '…' : ''}${JSON.stringify(text.slice(from, to).toWellFormed())}${to < text.length ? '…' : ''}`;
}

function cut(json: string, at: number): string {
  const [from, to] = shownRange(json, at);
  return `${from > 0 ? '…' : ''}${json.slice(from, to).toWellFormed()}${to < json.length ? '…' : ''}`;
}

function shownRange(text: string, at: number): [from: number, to: number] {
  const from = text.length <= SHOWN_LENGTH ? 0 : Math.max(0, Math.min(at - SHOWN_BEFORE, text.length - SHOWN_LENGTH));
  return [from, Math.min(text.length, from + SHOWN_LENGTH)];
}
