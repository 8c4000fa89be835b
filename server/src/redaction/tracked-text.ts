import type { TextRange } from './text-matcher.ts';

const FIRST_CAPACITY = 64;

/**
 * A text whose code units each have a number that they keep for as long as they are in it, wherever edits move them. Kept in one
 * buffer with a gap where the last edit was: edits are mostly near one another.
 */
export class TrackedText {
  #units = new Uint16Array(FIRST_CAPACITY);
  #ids = new Uint32Array(FIRST_CAPACITY);
  #gapStart = 0;
  #gapEnd = FIRST_CAPACITY;

  get length(): number {
    return this.#units.length - (this.#gapEnd - this.#gapStart);
  }

  /** The inserted code units get the numbers from `firstId` on. The caller has checked the range. */
  splice(at: number, remove: number, insert: string, firstId: number): void {
    this.#moveGap(at);
    this.#gapEnd += remove;
    if (insert.length > this.#gapEnd - this.#gapStart) this.#grow(insert.length);
    for (let i = 0; i < insert.length; i++) {
      this.#units[this.#gapStart] = insert.charCodeAt(i);
      this.#ids[this.#gapStart++] = firstId + i;
    }
  }

  /** Of code unit `at`. */
  idAt(at: number): number {
    return this.#ids[at < this.#gapStart ? at : at + this.#gapEnd - this.#gapStart] as number;
  }

  slice(from = 0, to = this.length): string {
    const gap = this.#gapEnd - this.#gapStart;
    const before = this.#units.subarray(Math.min(from, this.#gapStart), Math.min(to, this.#gapStart));
    const after = this.#units.subarray(Math.max(from, this.#gapStart) + gap, Math.max(to, this.#gapStart) + gap);
    return toText(before) + toText(after);
  }

  /** Calls `visit` with the number of every code unit of a range. */
  eachId([from, to]: TextRange, visit: (id: number) => void): void {
    for (let at = from; at < to; at++) visit(this.idAt(at));
  }

  #moveGap(at: number): void {
    const [start, end] = [this.#gapStart, this.#gapEnd];
    for (const buffer of [this.#units, this.#ids]) {
      if (at < start) buffer.copyWithin(end - (start - at), at, start);
      else buffer.copyWithin(start, end, end + at - start);
    }
    this.#gapStart = at;
    this.#gapEnd = end + at - start;
  }

  #grow(needed: number): void {
    const { length } = this.#units;
    const capacity = Math.max(length * 2, length + needed);
    const [units, ids] = [new Uint16Array(capacity), new Uint32Array(capacity)];
    const tail = length - this.#gapEnd;
    units.set(this.#units.subarray(0, this.#gapStart));
    ids.set(this.#ids.subarray(0, this.#gapStart));
    units.set(this.#units.subarray(this.#gapEnd), capacity - tail);
    ids.set(this.#ids.subarray(this.#gapEnd), capacity - tail);
    this.#units = units;
    this.#ids = ids;
    this.#gapEnd = capacity - tail;
  }
}

/** `String.fromCharCode` takes so many arguments and no more. */
const MAX_ARGUMENTS = 8_192;

function toText(units: Uint16Array): string {
  let text = '';
  for (let at = 0; at < units.length; at += MAX_ARGUMENTS) {
    text += String.fromCharCode(...units.subarray(at, at + MAX_ARGUMENTS));
  }
  return text;
}
