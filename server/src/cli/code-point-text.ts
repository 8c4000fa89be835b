import type { TextChange } from '@gametape/shared';

const NEWLINE = 10;
const LAST_OF_PLANE_0 = 0xffff;
const MIN_ROOM = 1_024;

/** Where the cursor is: both from 0, the column in code points. */
export type CursorPosition = readonly [line: number, column: number];

/**
 * A text that is edited at code point positions and tells what each edit is in UTF-16 code units, and where the cursor
 * is after it.
 *
 * Code points lie in a gap buffer whose gap is at the cursor. Line, column and code units are known there, and change
 * with what the gap passes over: an edit costs the distance from the one before, never the length of the text.
 */
export class CodePointText {
  #points: Uint32Array<ArrayBuffer>;
  #gapStart = 0;
  #gapEnd: number;
  /** Before the gap: lines ended, and code points that take two code units. */
  #lines = 0;
  #pairs = 0;
  /** Where the line of the cursor starts. */
  #lineStart = 0;

  constructor(text: string) {
    const points = codePoints(text);
    this.#points = new Uint32Array(points.length + MIN_ROOM);
    this.#points.set(points, MIN_ROOM);
    this.#gapEnd = MIN_ROOM;
  }

  /** In code points. */
  get length(): number {
    return this.#points.length - (this.#gapEnd - this.#gapStart);
  }

  get cursor(): CursorPosition {
    return [this.#lines, this.#gapStart - this.#lineStart];
  }

  /** Replaces `remove` code points at `at`, both inside the text, and returns the same change in UTF-16 code units. */
  edit(at: number, remove: number, insert: string): TextChange {
    this.#moveGap(at);
    const start = this.#gapStart + this.#pairs;
    let removedUnits = remove;
    for (let i = 0; i < remove; i++) {
      if (this.#point(this.#gapEnd + i) > LAST_OF_PLANE_0) removedUnits++;
    }
    this.#gapEnd += remove;
    this.#insert(codePoints(insert));
    return { at: start, remove: removedUnits, insert };
  }

  toString(): string {
    const parts: string[] = [];
    for (const half of [this.#points.subarray(0, this.#gapStart), this.#points.subarray(this.#gapEnd)]) {
      for (let i = 0; i < half.length; i += 4_096) parts.push(String.fromCodePoint(...half.subarray(i, i + 4_096)));
    }
    return parts.join('');
  }

  #insert(points: readonly number[]): void {
    if (points.length > this.#gapEnd - this.#gapStart) this.#grow(points.length);
    for (const point of points) {
      this.#points[this.#gapStart++] = point;
      this.#passed(point);
    }
  }

  #moveGap(at: number): void {
    while (this.#gapStart < at) {
      const point = this.#point(this.#gapEnd++);
      this.#points[this.#gapStart++] = point;
      this.#passed(point);
    }
    if (this.#gapStart === at) return;
    let leftLine = false;
    while (this.#gapStart > at) {
      const point = this.#point(--this.#gapStart);
      this.#points[--this.#gapEnd] = point;
      if (point > LAST_OF_PLANE_0) this.#pairs--;
      if (point !== NEWLINE) continue;
      this.#lines--;
      leftLine = true;
    }
    if (leftLine) this.#lineStart = this.#startOfLine();
  }

  #passed(point: number): void {
    if (point > LAST_OF_PLANE_0) this.#pairs++;
    if (point !== NEWLINE) return;
    this.#lines++;
    this.#lineStart = this.#gapStart;
  }

  #startOfLine(): number {
    return this.#points.subarray(0, this.#gapStart).lastIndexOf(NEWLINE) + 1;
  }

  #grow(needed: number): void {
    const tail = this.#points.subarray(this.#gapEnd);
    const points = new Uint32Array(this.length * 2 + needed + MIN_ROOM);
    points.set(this.#points.subarray(0, this.#gapStart));
    points.set(tail, points.length - tail.length);
    this.#gapEnd = points.length - tail.length;
    this.#points = points;
  }

  /** The caller keeps `index` inside the array. */
  #point(index: number): number {
    return this.#points[index] as number;
  }
}

function codePoints(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) as number);
}
