import { type Crc32, crc32 as portableCrc32 } from '../bytes/crc32.ts';
import { GametapeError } from '../errors.ts';
import type { DeltaOp, State, StateChange, TextChange } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Profile } from '../profile/profile.ts';
import { canonicalJson, isForbiddenKey, type Json } from '../values/json.ts';
import { applyNested } from './nested.ts';
import { TextBuffer } from './text-buffer.ts';

/** Texts longer than this are kept in pieces once they are edited. */
const PIECED_TEXT = 512;
const MICROSECONDS = 1_000_000;
const encoder = new TextEncoder();

/** One key of a keyframe in a block: its value, where its last edit ended, whether it follows the clock. */
export interface StateEntry {
  readonly key: string;
  readonly value: Json;
  readonly editEnd: number;
  readonly followsClock: boolean;
}

type Value = Json | TextBuffer;

/**
 * One player's state as its deltas arrive. `apply` changes it in place, in time proportional to the edit; `toJson` and
 * `hash` make a snapshot. Keys of the profile that follow the clock are computed from the stamp (D5).
 */
export class LiveState {
  readonly #clockKeys: ReadonlySet<string>;
  readonly #values = new Map<string, Value>();
  readonly #editEnds = new Map<string, number>();
  /** Value and stamp, both in microseconds, from which a key follows the clock. */
  readonly #anchors = new Map<string, { value: number; stamp: number }>();
  #bytes = 0;
  #stamp = 0;

  constructor(profile: Profile) {
    this.#clockKeys = profile.clockKeys;
  }

  get size(): number {
    return this.#values.size;
  }

  /** The producer's clock, in microseconds, that clock keys show. */
  get stamp(): number {
    return this.#stamp;
  }

  set stamp(stamp: number) {
    this.#stamp = stamp;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  get(key: string): Json | undefined {
    const value = this.#values.get(key);
    if (value instanceof TextBuffer) return value.toString();
    const anchor = this.#anchors.get(key);
    if (anchor === undefined || anchor.stamp === this.#stamp) return value;
    return (anchor.value + this.#stamp - anchor.stamp) / MICROSECONDS;
  }

  /** Length of a text without making a string of it; undefined for anything else. */
  textLength(key: string): number | undefined {
    const value = this.#values.get(key);
    return typeof value === 'string' || value instanceof TextBuffer ? value.length : undefined;
  }

  /** True when both ends of the range lie inside the text and between code points (D2). */
  fitsText(key: string, { at, remove }: Omit<TextChange, 'insert'>): boolean {
    const value = this.#values.get(key);
    if (typeof value !== 'string' && !(value instanceof TextBuffer)) return false;
    const text = value instanceof TextBuffer ? value : new TextBuffer(value);
    return at >= 0 && remove >= 0 && at + remove <= text.length && text.isBoundary(at) && text.isBoundary(at + remove);
  }

  /** Where the last edit of a text ended: positions on the wire are relative to it. */
  editEnd(key: string): number {
    return this.#editEnds.get(key) ?? 0;
  }

  followsClock(key: string): boolean {
    return this.#anchors.has(key);
  }

  /** A snapshot: later changes do not reach it. Texts are shared, not copied. */
  toJson(): State {
    const state: Record<string, Json> = {};
    for (const key of this.#values.keys()) state[key] = this.get(key) as Json;
    return state;
  }

  /** All there is to know, for a keyframe in a block. */
  *entries(): Generator<StateEntry> {
    for (const key of this.#values.keys()) {
      yield { key, value: this.get(key) as Json, editEnd: this.editEnd(key), followsClock: this.followsClock(key) };
    }
  }

  /** CRC-32 of the canonical JSON (DELTA.md). */
  hash(crc32: Crc32 = portableCrc32): number {
    return crc32(encoder.encode(canonicalJson(this.toJson())));
  }

  /** Puts back what `entries` gave, as of `stamp`. */
  restore(entries: Iterable<StateEntry>, stamp: number): void {
    this.#clear();
    this.#stamp = stamp;
    for (const { key, value, editEnd, followsClock } of entries) {
      this.#set(key, value);
      if (editEnd > 0) this.#editEnds.set(key, editEnd);
      if (followsClock) this.#follow(key, value);
    }
  }

  /**
   * Applies a change made at `stamp`, whole or not at all (D3).
   *
   * @throws GametapeError `BAD_DELTA` when it does not fit this state, `LIMIT_EXCEEDED` when the state gets too large.
   */
  apply(change: StateChange, stamp: number, crc32?: Crc32): void {
    if (change.form === 'keyframe') {
      this.#applyKeyframe(change.entries, stamp);
      return;
    }
    const stampBefore = this.#stamp;
    const undo: (() => void)[] = [];
    this.#stamp = stamp;
    try {
      for (const op of change.ops) this.#applyOp(op, undo);
      this.#checkSize();
      if (change.check !== undefined && change.check !== this.hash(crc32)) {
        throw new GametapeError('BAD_DELTA', 'the state does not have the hash that its delta names');
      }
    } catch (error) {
      for (const step of undo.reverse()) step();
      this.#stamp = stampBefore;
      throw error;
    }
  }

  #applyKeyframe(entries: Extract<StateChange, { form: 'keyframe' }>['entries'], stamp: number): void {
    const bytes = entries.reduce((sum, [key, value]) => sum + weight(key, value), 0);
    if (bytes > LIMITS.stateBytes || entries.length > LIMITS.stateKeys) throw tooLarge(bytes, entries.length);
    for (const [key] of entries) checkKey(key);
    this.#clear();
    this.#stamp = stamp;
    for (const [key, value] of entries) {
      this.#set(key, value);
      if (this.#clockKeys.has(key)) this.#follow(key, value);
    }
  }

  #applyOp(op: DeltaOp, undo: (() => void)[]): void {
    const { key } = op;
    switch (op.op) {
      case 'set':
        checkKey(key);
        undo.push(this.#memory(key));
        this.#set(key, op.value);
        return;
      case 'delete':
        if (!this.#values.has(key)) throw misfit(key, 'a key that is there', 'none');
        undo.push(this.#memory(key));
        this.#delete(key);
        return;
      case 'splice':
        this.#splice(key, op, undo);
        return;
      case 'add':
        undo.push(this.#memory(key));
        this.#add(key, op.by);
        return;
      case 'nest': {
        const before = this.#values.get(key);
        if (before === undefined || before instanceof TextBuffer) throw misfit(key, 'an array or a map', 'neither');
        undo.push(this.#memory(key));
        this.#set(key, applyNested(before, op.path, op.change, key));
      }
    }
  }

  #splice(key: string, { at, remove, insert }: TextChange, undo: (() => void)[]): void {
    let value = this.#values.get(key);
    if (typeof value === 'string') {
      value = new TextBuffer(value);
      if (value.length + insert.length > PIECED_TEXT) this.#values.set(key, value);
    }
    if (!(value instanceof TextBuffer)) throw misfit(key, 'a text', 'something else');
    const text = value;
    if (at < 0 || at + remove > text.length) {
      throw misfit(key, `a text of at least ${at + remove} code units`, String(text.length));
    }
    if (!text.isBoundary(at) || !text.isBoundary(at + remove))
      throw misfit(key, 'cuts between code points', 'one inside');
    const editEnd = this.#editEnds.get(key);
    const isPieced = this.#values.get(key) === text;
    const before = this.#values.get(key);
    const removed = text.splice(at, remove, insert);
    if (!isPieced) this.#values.set(key, text.toString());
    this.#editEnds.set(key, at + insert.length);
    this.#bytes += insert.length - remove;
    undo.push(() => {
      if (isPieced) text.splice(at, insert.length, removed);
      else this.#values.set(key, before as Value);
      if (editEnd === undefined) this.#editEnds.delete(key);
      else this.#editEnds.set(key, editEnd);
      this.#bytes -= insert.length - remove;
    });
  }

  #add(key: string, by: readonly number[]): void {
    const value = this.get(key);
    const [first] = by;
    if (typeof value === 'number' && by.length === 1 && first !== undefined) {
      if (this.#clockKeys.has(key)) {
        this.#anchors.set(key, { value: Math.round(value * MICROSECONDS) + first, stamp: this.#stamp });
        this.#values.set(key, (Math.round(value * MICROSECONDS) + first) / MICROSECONDS);
        return;
      }
      this.#values.set(key, sum(key, value, first));
      return;
    }
    if (!Array.isArray(value) || value.length !== by.length)
      throw misfit(key, `${by.length} numbers`, 'something else');
    this.#values.set(
      key,
      value.map((item: Json, index) => sum(key, item, by[index] as number)),
    );
  }

  #set(key: string, value: Json): void {
    this.#forget(key);
    this.#values.set(key, value);
    this.#bytes += weight(key, value);
  }

  #delete(key: string): void {
    this.#forget(key);
    this.#values.delete(key);
  }

  /** Everything about a key but the key itself: a key that is set again keeps its place among the others. */
  #forget(key: string): void {
    const before = this.#values.get(key);
    if (before !== undefined) this.#bytes -= weight(key, before);
    this.#editEnds.delete(key);
    this.#anchors.delete(key);
  }

  #follow(key: string, value: Json): void {
    if (typeof value !== 'number') return;
    this.#anchors.set(key, { value: Math.round(value * MICROSECONDS), stamp: this.#stamp });
  }

  /** What puts `key` back as it is now. */
  #memory(key: string): () => void {
    const value = this.#values.get(key);
    const editEnd = this.#editEnds.get(key);
    const anchor = this.#anchors.get(key);
    const bytes = this.#bytes;
    return () => {
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
      if (editEnd === undefined) this.#editEnds.delete(key);
      else this.#editEnds.set(key, editEnd);
      if (anchor === undefined) this.#anchors.delete(key);
      else this.#anchors.set(key, anchor);
      this.#bytes = bytes;
    };
  }

  #clear(): void {
    this.#values.clear();
    this.#editEnds.clear();
    this.#anchors.clear();
    this.#bytes = 0;
  }

  #checkSize(): void {
    if (this.#bytes > LIMITS.stateBytes || this.#values.size > LIMITS.stateKeys) {
      throw tooLarge(this.#bytes, this.#values.size);
    }
  }
}

/** Roughly the bytes a value takes: exact for ASCII text, which is what gets large. */
function weight(key: string, value: Value): number {
  if (typeof value === 'string' || value instanceof TextBuffer) return key.length + value.length;
  if (typeof value !== 'object' || value === null) return key.length + 8;
  return key.length + JSON.stringify(value).length;
}

function checkKey(key: string): void {
  if (isForbiddenKey(key) || encoder.encode(key).length > LIMITS.keyBytes) {
    throw new GametapeError(
      'BAD_DELTA',
      `state key ${JSON.stringify(key.slice(0, 80))}: not allowed, or over ${LIMITS.keyBytes} bytes`,
    );
  }
}

function sum(key: string, value: Json, by: number): number {
  if (!Number.isSafeInteger(value) || !Number.isSafeInteger((value as number) + by)) {
    throw misfit(key, 'whole numbers', 'something else');
  }
  return (value as number) + by;
}

function misfit(key: string, expected: string, found: string): GametapeError {
  return new GametapeError('BAD_DELTA', `state key ${key}: expected ${expected}, found ${found}`);
}

function tooLarge(bytes: number, keys: number): GametapeError {
  return new GametapeError(
    'LIMIT_EXCEEDED',
    `state: ${bytes} bytes in ${keys} keys, allowed are ${LIMITS.stateBytes} bytes in ${LIMITS.stateKeys} keys`,
  );
}
