import { type Crc32, crc32 as portableCrc32, textCrc32 } from '../bytes/crc32.ts';
import { GametapeError } from '../errors.ts';
import type { DeltaOp, State, StateChange, TextChange } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Profile } from '../profile/profile.ts';
import { canonicalJson, type Json } from '../values/json.ts';
import { NestedEditor } from './nested.ts';
import { type Anchor, checkSize, isBoundary, isText, misfit, type Slot, sum, weigh } from './slot.ts';
import { checkStateKey } from './state-key.ts';
import { TextBuffer } from './text-buffer.ts';

/** Texts longer than this are kept in pieces once they are edited. */
const PIECED_TEXT = 512;
const MICROSECONDS = 1_000_000;
/** Clock keys are exact up to here: 71 years in microseconds. */
const MAX_CLOCK = 2 ** 51;

/** One key of a keyframe in a block: its value, where its last edit ended, whether it follows the clock. */
export interface StateEntry {
  readonly key: string;
  readonly value: Json;
  readonly editEnd: number;
  readonly followsClock: boolean;
}

/** What puts one key back as it was before an op. */
interface Undo {
  readonly key: string;
  readonly slot: Slot | undefined;
  readonly text:
    | {
        readonly buffer: TextBuffer;
        readonly at: number;
        readonly inserted: number;
        readonly removed: string;
      }
    | undefined;
  /** For a key that was deleted: the keys behind it. */
  readonly behind: readonly string[] | undefined;
  /** Of the op before: a list without an array, as most deltas have one op or two. */
  readonly before: Undo | undefined;
}

/**
 * One player's state as its deltas arrive. `apply` changes it in place, in time proportional to the edit; `toJson` and
 * `hash` make a snapshot. Keys of the profile that follow the clock are computed from the stamp (D5).
 */
export class LiveState {
  readonly #clockKeys: ReadonlySet<string>;
  #slots = new Map<string, Slot>();
  /** The keys as canonical JSON has them; made when it is needed, until a key comes or goes. */
  #order: readonly { key: string; json: string }[] | undefined;
  #bytes = 0;
  #stamp = 0;
  #stay = 0;
  /** Of the delta that is being applied, once it has a nested change. */
  #nested: NestedEditor | undefined;

  constructor(profile: Profile) {
    this.#clockKeys = profile.clockKeys;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Roughly its size: texts, names and values, in bytes (Limits in DELTA.md). */
  get bytes(): number {
    return this.#bytes;
  }

  /** The producer's clock, in microseconds, that clock keys show. */
  get stamp(): number {
    return this.#stamp;
  }

  set stamp(stamp: number) {
    if (stamp !== this.#stamp) this.#stay++;
    this.#stamp = stamp;
  }

  keys(): IterableIterator<string> {
    return this.#slots.keys();
  }

  has(key: string): boolean {
    return this.#slots.has(key);
  }

  get(key: string): Json | undefined {
    const slot = this.#slots.get(key);
    return slot && this.#valueOf(slot);
  }

  /** Length of a text without making a string of it; undefined for anything else. */
  textLength(key: string): number | undefined {
    const value = this.#slots.get(key)?.value;
    return isText(value) ? value.length : undefined;
  }

  /** True when both ends of the range lie inside the text and between code points (D2). */
  fitsText(key: string, { at, remove }: Omit<TextChange, 'insert'>): boolean {
    const text = this.#slots.get(key)?.value;
    if (!isText(text) || !Number.isInteger(at) || !Number.isInteger(remove)) return false;
    return at >= 0 && remove >= 0 && isBoundary(text, at) && isBoundary(text, at + remove);
  }

  /** Where the last edit of a text ended: positions on the wire are relative to it. */
  editEnd(key: string): number {
    return this.#slots.get(key)?.editEnd ?? 0;
  }

  followsClock(key: string): boolean {
    return this.#slots.get(key)?.anchor !== undefined;
  }

  /** A snapshot: later changes do not reach it. Texts are shared, not copied. */
  toJson(): State {
    const state: Record<string, Json> = {};
    for (const [key, slot] of this.#slots) state[key] = this.#valueOf(slot);
    return state;
  }

  /** All there is to know, for a keyframe in a block. */
  *entries(): Generator<StateEntry> {
    for (const [key, slot] of this.#slots) {
      yield { key, value: this.#valueOf(slot), editEnd: slot.editEnd, followsClock: slot.anchor !== undefined };
    }
  }

  /** CRC-32 of the canonical JSON (DELTA.md). Of texts in pieces only those edited since the last time are read. */
  hash(crc32: Crc32 = portableCrc32): number {
    let crc = 0;
    let json = '{';
    this.#order ??= [...this.#slots.keys()].sort().map((key) => ({ key, json: `${JSON.stringify(key)}:` }));
    for (const { key, json: name } of this.#order) {
      const slot = this.#slots.get(key) as Slot;
      json += json === '{' ? name : `,${name}`;
      if (slot.value instanceof TextBuffer) {
        crc = slot.value.hash(crc32, textCrc32(`${json}"`, crc32, crc).crc);
        json = '"';
      } else json += canonicalJson(this.#valueOf(slot));
    }
    return textCrc32(`${json}}`, crc32, crc).crc;
  }

  /** Puts back what `entries` gave, as of `stamp`. */
  restore(entries: Iterable<StateEntry>, stamp: number): void {
    this.#clear(stamp);
    for (const { key, value, editEnd, followsClock } of entries) {
      const anchor = followsClock && this.#clockKeys.has(key) ? this.#anchor(value) : undefined;
      const { weight, nodes } = weigh(value);
      this.#put(key, this.#slots.get(key), { value, weight, nodes, editEnd, anchor });
    }
  }

  /**
   * Applies a change made at `stamp`, whole or not at all (D3).
   *
   * @param check refuses the state after the change by throwing: then it is as it was before.
   * @throws GametapeError `BAD_DELTA` when it does not fit this state, `LIMIT_EXCEEDED` when the state gets too large.
   */
  apply(change: StateChange, stamp: number, crc32?: Crc32, check?: () => void): void {
    if (change.form === 'keyframe') {
      this.#applyKeyframe(change.entries, stamp, check);
      return;
    }
    const stampBefore = this.#stamp;
    const stayBefore = this.#stay;
    const bytesBefore = this.#bytes;
    let undo: Undo | undefined;
    this.stamp = stamp;
    this.#nested = undefined;
    try {
      for (const op of change.ops) undo = this.#applyOp(op, undo);
      checkSize(this.#bytes, this.#slots.size);
      if (change.check !== undefined && change.check !== this.hash(crc32)) {
        throw new GametapeError('BAD_DELTA', 'the state does not have the hash that its delta names');
      }
      check?.();
    } catch (error) {
      for (; undo; undo = undo.before) this.#undo(undo);
      this.#stamp = stampBefore;
      this.#stay = stayBefore;
      this.#bytes = bytesBefore;
      throw error;
    }
  }

  #applyKeyframe(
    entries: Extract<StateChange, { form: 'keyframe' }>['entries'],
    stamp: number,
    check?: () => void,
  ): void {
    let bytes = 0;
    const weights = entries.map(([key, value]) => {
      checkStateKey(key);
      const weight = weigh(value);
      bytes += key.length + weight.weight;
      return weight;
    });
    checkSize(bytes, entries.length);
    const before = { slots: this.#slots, bytes: this.#bytes, stamp: this.#stamp, stay: this.#stay };
    this.#slots = new Map();
    this.#clear(stamp);
    for (const [index, [key, value]] of entries.entries()) {
      const weight = weights[index] as (typeof weights)[number];
      const anchor = this.#clockKeys.has(key) ? this.#anchor(value) : undefined;
      this.#put(key, this.#slots.get(key), { value, weight: weight.weight, nodes: weight.nodes, editEnd: 0, anchor });
    }
    try {
      check?.();
    } catch (error) {
      this.#slots = before.slots;
      this.#order = undefined;
      this.#bytes = before.bytes;
      this.#stamp = before.stamp;
      this.#stay = before.stay;
      throw error;
    }
  }

  /** Makes one change, or none by throwing. @returns how to take it back, and those before it */
  #applyOp(op: DeltaOp, before: Undo | undefined): Undo {
    const { key } = op;
    const slot = this.#slots.get(key);
    switch (op.op) {
      case 'set': {
        checkStateKey(key);
        const { weight, nodes } = weigh(op.value);
        this.#put(key, slot, { value: op.value, weight, nodes, editEnd: 0, anchor: undefined });
        break;
      }
      case 'delete':
        if (!slot) throw misfit(key, 'a key that is there', slot);
        return this.#delete(key, slot, before);
      case 'splice':
        return this.#splice(slot, op, before);
      case 'add':
        if (!slot) throw misfit(key, `${op.by.length} numbers`, slot);
        this.#put(key, slot, this.#sum(key, slot, op.by));
        break;
      case 'nest':
        this.#put(key, slot, this.#nest(op, slot));
        break;
    }
    return { key, slot, text: undefined, behind: undefined, before };
  }

  #splice(slot: Slot | undefined, { key, at, remove, insert }: DeltaOp & { op: 'splice' }, before?: Undo): Undo {
    const text = slot?.value;
    if (!slot || !isText(text)) throw misfit(key, 'a text', slot);
    if (at < 0 || at + remove > text.length) throw misfit(key, `a text of at least ${at + remove} code units`, slot);
    if (!isBoundary(text, at) || (remove > 0 && !isBoundary(text, at + remove))) {
      throw misfit(key, 'cuts between code points', slot);
    }
    const weight = slot.weight + insert.length - remove;
    const editEnd = at + insert.length;
    if (typeof text === 'string' && text.length + insert.length <= PIECED_TEXT) {
      const value = text.slice(0, at) + insert + text.slice(at + remove);
      this.#put(key, slot, { value, weight, nodes: 1, editEnd, anchor: undefined });
      return { key, slot, text: undefined, behind: undefined, before };
    }
    const buffer = typeof text === 'string' ? new TextBuffer(text) : text;
    const removed = buffer.splice(at, remove, insert);
    this.#put(key, slot, { value: buffer, weight, nodes: 1, editEnd, anchor: undefined });
    return { key, slot, text: { buffer, at, inserted: insert.length, removed }, behind: undefined, before };
  }

  #sum(key: string, slot: Slot, by: readonly number[]): Slot {
    const { weight, nodes, editEnd } = slot;
    const before = this.#valueOf(slot);
    if (Array.isArray(before) && before.length === by.length) {
      const value: Json[] = before.slice();
      for (let i = 0; i < by.length; i++) value[i] = sum(key, slot, value[i] as Json, by[i] as number);
      return { value, weight, nodes, editEnd, anchor: undefined };
    }
    if (typeof before !== 'number' || by.length !== 1) throw misfit(key, `${by.length} numbers`, slot);
    const number = by[0] as number;
    if (!this.#clockKeys.has(key)) {
      return { value: sum(key, slot, before, number), weight, nodes, editEnd, anchor: undefined };
    }
    const value = (Math.round(before * MICROSECONDS) + number) / MICROSECONDS;
    const anchor = this.#anchor(value) ?? raise(misfit(key, 'a time', slot));
    return { value, weight, nodes, editEnd, anchor };
  }

  #nest({ key, path, change }: DeltaOp & { op: 'nest' }, slot: Slot | undefined): Slot {
    const value = slot?.value;
    if (!slot || typeof value !== 'object' || value === null || value instanceof TextBuffer) {
      throw misfit(key, 'an array or a map', slot);
    }
    this.#nested ??= new NestedEditor();
    const edit = this.#nested.apply(value, path, change, key);
    const nodes = slot.nodes + edit.nodes;
    if (nodes > LIMITS.nodes) {
      throw new GametapeError('LIMIT_EXCEEDED', `state key ${key}: ${nodes} values, allowed are ${LIMITS.nodes}`);
    }
    return { value: edit.value, weight: slot.weight + edit.weight, nodes, editEnd: 0, anchor: undefined };
  }

  /** A key that is set again keeps its place among the others. */
  #put(key: string, before: Slot | undefined, slot: Slot): void {
    if (before === undefined) {
      this.#order = undefined;
      this.#bytes += key.length;
    } else this.#bytes -= before.weight;
    this.#bytes += slot.weight;
    this.#slots.set(key, slot);
  }

  #delete(key: string, slot: Slot, before: Undo | undefined): Undo {
    const keys = [...this.#slots.keys()];
    this.#slots.delete(key);
    this.#order = undefined;
    this.#bytes -= slot.weight + key.length;
    return { key, slot, text: undefined, behind: keys.slice(keys.indexOf(key) + 1), before };
  }

  #undo({ key, slot, text, behind }: Undo): void {
    this.#order = undefined;
    text?.buffer.splice(text.at, text.inserted, text.removed);
    if (slot) this.#slots.set(key, slot);
    else this.#slots.delete(key);
    for (const later of behind ?? []) {
      const moved = this.#slots.get(later) as Slot;
      this.#slots.delete(later);
      this.#slots.set(later, moved);
    }
  }

  #clear(stamp: number): void {
    this.#slots.clear();
    this.#order = undefined;
    this.#bytes = 0;
    this.stamp = stamp;
  }

  #valueOf({ value, anchor }: Slot): Json {
    if (value instanceof TextBuffer) return value.toString();
    if (anchor === undefined || anchor.stay === this.#stay) return value;
    return (anchor.value + this.#stamp - anchor.stamp) / MICROSECONDS;
  }

  /** From now on `value` follows the clock; undefined for what cannot, which stands still. */
  #anchor(value: Json): Anchor | undefined {
    if (typeof value !== 'number' || !(Math.abs(value * MICROSECONDS) <= MAX_CLOCK)) return undefined;
    return { value: Math.round(value * MICROSECONDS), stamp: this.#stamp, stay: this.#stay };
  }
}

function raise(error: GametapeError): never {
  throw error;
}
