import { type DeltaOp, diffText, type GameEvent, GametapeError, type State, type StateChange } from '@gametape/shared';
import { IdSet } from './id-set.ts';
import { keyNameOf } from './key-names.ts';
import type { TextMatcher } from './text-matcher.ts';
import { TrackedText } from './tracked-text.ts';

const MAX_ID = 2 ** 32 - 1;
/** What was typed longer ago than this many code units is not looked at together with what is typed now. */
const SEQUENCE_UNITS = 4_096;

/** Text that came into a player's hands at one place: its code units are numbered from `firstId` on. */
export interface Piece {
  readonly key: string;
  readonly text: string;
  readonly firstId: number;
}

/**
 * Gives out numbers for code units, in the order they come, and keeps those that have to go: in a first pass it finds them, in a
 * second one, which comes by the same units in the same order, it knows them. Its memory grows with what is found.
 */
export class TextMarks {
  readonly marked = new IdSet();
  #next = 0;

  /** The next pass counts from the start again. */
  rewind(): void {
    this.#next = 0;
  }

  /** @throws GametapeError `LIMIT_EXCEEDED` */
  take(units: number): number {
    const first = this.#next;
    this.#next += units;
    if (this.#next <= MAX_ID) return first;
    throw new GametapeError('LIMIT_EXCEEDED', `redaction: more than ${MAX_ID} characters of text`, {
      hint: 'Cut the recording into parts with `gametape cut`, redact those, and `gametape merge` them.',
    });
  }
}

/** Follows the texts of one producer's state: every top-level key that is one. */
export class StateTrail {
  readonly #texts = new Map<string, TrackedText>();
  readonly #marks: TextMarks;
  /** Undefined in a pass that only follows. */
  readonly #matcher: TextMatcher | undefined;

  constructor(marks: TextMarks, matcher: TextMatcher | undefined) {
    this.#marks = marks;
    this.#matcher = matcher;
  }

  text(key: string): TrackedText | undefined {
    return this.#texts.get(key);
  }

  /** The whole state is this now. */
  load(state: State): Piece[] {
    return this.apply({ form: 'keyframe', entries: Object.entries(state) });
  }

  /** What the change inserts, in the order of its ops; one piece for each splice and each text that is set. */
  apply(change: StateChange): Piece[] {
    if (change.form === 'delta') return change.ops.flatMap((op) => this.#applyOp(op));
    const keys = new Set(change.entries.map(([key]) => key));
    for (const key of this.#texts.keys()) if (!keys.has(key)) this.#texts.delete(key);
    return change.entries.flatMap(([key, value]) => this.#set(key, value));
  }

  #applyOp(op: DeltaOp): Piece[] {
    switch (op.op) {
      case 'set':
        return this.#set(op.key, op.value);
      case 'delete':
        this.#texts.delete(op.key);
        return [];
      case 'splice':
        return [this.#splice(op.key, op.at, op.remove, op.insert)];
      default:
        return [];
    }
  }

  /** What a text has in common with the one before keeps its numbers: it is still what was typed. */
  #set(key: string, value: unknown): Piece[] {
    if (typeof value !== 'string') {
      this.#texts.delete(key);
      return [];
    }
    const before = this.#texts.get(key);
    const change = diffText(before?.slice() ?? '', value) ?? { at: 0, remove: 0, insert: '' };
    return [this.#splice(key, change.at, change.remove, change.insert)];
  }

  #splice(key: string, at: number, remove: number, insert: string): Piece {
    const text = this.#texts.get(key) ?? new TrackedText();
    this.#texts.set(key, text);
    const firstId = this.#marks.take(insert.length);
    text.splice(at, remove, insert, firstId);
    if (this.#matcher) markMatches(text, { at, length: insert.length }, this.#matcher, this.#marks.marked);
    return { key, text: insert, firstId };
  }
}

/**
 * Follows the texts that a player's events say one after another, by type and key of the data: letter by letter they may say
 * what none of them says alone, with what Backspace takes back and without.
 */
export class EventTrail {
  readonly #sequences = new Map<string, { readonly all: TrackedText; readonly left: TrackedText }>();
  readonly #marks: TextMarks;
  readonly #matcher: TextMatcher | undefined;

  constructor(marks: TextMarks, matcher: TextMatcher | undefined) {
    this.#marks = marks;
    this.#matcher = matcher;
  }

  /** Two pieces for each text of the event: what stands for it in either sequence. */
  follow({ type, data }: GameEvent): Piece[] {
    const pieces: Piece[] = [];
    for (const [key, value] of Object.entries(data)) {
      if (typeof value !== 'string') continue;
      const name = JSON.stringify([type, key]);
      const sequences = this.#sequences.get(name) ?? { all: new TrackedText(), left: new TrackedText() };
      this.#sequences.set(name, sequences);
      const { isKey, text } = keyNameOf(value);
      if (value === 'Backspace') backspace(sequences.left);
      const said = isKey ? (text ?? '') : value;
      for (const sequence of Object.values(sequences)) {
        const firstId = this.#append(sequence, said);
        if (said === value) pieces.push({ key, text: value, firstId });
      }
    }
    return pieces;
  }

  #append(sequence: TrackedText, text: string): number {
    const firstId = this.#marks.take(text.length);
    const at = sequence.length;
    sequence.splice(at, 0, text, firstId);
    if (this.#matcher) markMatches(sequence, { at, length: text.length }, this.#matcher, this.#marks.marked);
    const tooMany = sequence.length - Math.max(SEQUENCE_UNITS, text.length);
    if (tooMany > SEQUENCE_UNITS) sequence.splice(0, tooMany, '', 0);
    return firstId;
  }
}

function backspace(text: TrackedText): void {
  const { length } = text;
  if (length === 0) return;
  const isPair = (text.slice(Math.max(0, length - 2)).codePointAt(0) ?? 0) > 0xffff;
  const remove = isPair ? 2 : 1;
  text.splice(length - remove, remove, '', 0);
}

function markMatches(
  text: TrackedText,
  edit: { readonly at: number; readonly length: number },
  matcher: TextMatcher,
  marked: IdSet,
): void {
  if (matcher.isEmpty) return;
  const from = Math.max(0, edit.at - matcher.reach);
  const to = Math.min(text.length, edit.at + edit.length + matcher.reach);
  for (const [start, end] of matcher.ranges(text.slice(from, to))) {
    text.eachId([from + start, from + end], (id) => marked.add(id));
  }
}
