import { join } from 'node:path';
import type { Files } from './files.ts';

/** One file of the shared log. */
export interface Segment {
  readonly number: number;
  readonly path: string;
}

/** Where an appended block lies, for as long as it is needed. */
export interface Place {
  lastSeq: number;
  readonly length: number;
  /** Undefined until the block is written. */
  segment?: Segment;
  offset: number;
  /** The block is sealed or its recording discarded: nobody needs it here. */
  isReleased: boolean;
}

const DIGITS = 16;
const NAME = /^([0-9a-f]{16})\.log$/;

/** The segments there are, each kept for as long as something in it is needed. */
export class SegmentSet {
  readonly directory: string;
  readonly #files: Files;
  /** How often each is needed: by places, by a reader, by the writer. */
  readonly #needs = new Map<Segment, number>();
  #lastNumber = 0;

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.directory = directory;
  }

  /** Number of the oldest segment, or of the next one if there is none. */
  get oldest(): number {
    let oldest = this.#lastNumber + 1;
    for (const { number } of this.#needs.keys()) oldest = Math.min(oldest, number);
    return oldest;
  }

  get newest(): number {
    return this.#lastNumber;
  }

  /** Name and number of the segment that comes after all others. It is not yet in the set. */
  next(): Segment {
    const number = this.#lastNumber + 1;
    return { number, path: join(this.directory, `${number.toString(16).padStart(DIGITS, '0')}.log`) };
  }

  /** Takes in a segment that is there, needed once until it is released. */
  add(segment: Segment): void {
    this.#lastNumber = Math.max(this.#lastNumber, segment.number);
    this.#needs.set(segment, 1);
  }

  /** Segments up to that number are or were there: none of them is made again. */
  skipTo(number: number): void {
    this.#lastNumber = Math.max(this.#lastNumber, number);
  }

  need(segment: Segment): void {
    this.#needs.set(segment, (this.#needs.get(segment) ?? 0) + 1);
  }

  /** Puts a place into a segment; out of the one it was in, which its writer still needs. */
  move(place: Place, segment: Segment, offset: number): void {
    const before = place.segment;
    place.segment = segment;
    place.offset = offset;
    if (place.isReleased) return;
    this.need(segment);
    if (before) this.#needs.set(before, (this.#needs.get(before) ?? 0) - 1);
  }

  /** Lets go of the blocks at `places`; a segment that nobody needs any more is removed. */
  async releasePlaces(places: Iterable<Place>): Promise<void> {
    const released = [...places].filter(({ isReleased }) => !isReleased);
    // All of them at once: whoever looks while segments are removed finds none of them.
    for (const place of released) place.isReleased = true;
    // As they are now: a block that is written while segments are removed needs none, and has none to let go of.
    for (const segment of released.map((place) => place.segment)) if (segment) await this.release(segment);
  }

  async release(segment: Segment): Promise<void> {
    const needs = (this.#needs.get(segment) ?? 0) - 1;
    if (needs > 0) {
      this.#needs.set(segment, needs);
      return;
    }
    this.#needs.delete(segment);
    try {
      await this.#files.remove(segment.path);
    } catch {
      // What is left behind holds nothing that is needed: the next start finds that out and tries again.
    }
  }
}

/** The segment with that file name, or undefined if it is something else. */
export function segmentNamed(directory: string, name: string): Segment | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : { number: Number.parseInt(digits, 16), path: join(directory, name) };
}
