import { GametapeError } from '../errors.ts';
import { joined } from './json-text.ts';

/** The bytes that give JSON its structure. */
export const Byte = {
  Quote: 0x22,
  Backslash: 0x5c,
  Colon: 0x3a,
  Comma: 0x2c,
  OpenMap: 0x7b,
  CloseMap: 0x7d,
  OpenArray: 0x5b,
  CloseArray: 0x5d,
} as const;

const MAX_BYTES = 64 * 1024 * 1024;
/** Deeper than any value that `LIMITS.depth` lets through, and shallow enough for every parser. */
const MAX_DEPTH = 500;

/** The text of one JSON value, whose end has not been seen yet. Finds that end by structure alone. */
export class PartialValue {
  readonly offset: number;
  /** Colons outside of its texts. */
  colons = 0;
  isWhole = false;
  readonly #place: string;
  readonly #keeps: boolean;
  readonly #isScalar: boolean;
  #slices: Uint8Array[] = [];
  #length = 0;
  #depth = 0;
  #inText = false;
  #isEscaped = false;

  /** `first` is its first byte, which `take` will get as well. `place` names it in errors. */
  constructor(first: number, options: { offset: number; place: string; keeps: boolean }) {
    this.offset = options.offset;
    this.#place = options.place;
    this.#keeps = options.keeps;
    this.#isScalar = first !== Byte.Quote && first !== Byte.OpenMap && first !== Byte.OpenArray;
  }

  /**
   * Takes what belongs to the value from `start` on and returns where that ends.
   *
   * @throws GametapeError `LIMIT_EXCEEDED` for a value over 64 MiB or nested too deep.
   */
  take(chunk: Uint8Array, start: number): number {
    const end = this.#isScalar ? this.#scanScalar(chunk, start) : this.#scan(chunk, start);
    this.#length += end - start;
    if (this.#length > MAX_BYTES) throw this.#exceeded(`longer than ${MAX_BYTES} bytes`);
    // What stays behind for the next chunk is copied: the chunk is only borrowed.
    if (this.#keeps) this.#slices.push(this.isWhole ? chunk.subarray(start, end) : chunk.slice(start, end));
    return end;
  }

  bytes(): Uint8Array {
    return joined(this.#slices);
  }

  #scanScalar(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length && !isDelimiter(chunk[at] as number)) at++;
    this.isWhole = at < chunk.length;
    return at;
  }

  #scan(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length) {
      if (this.#inText) {
        at = this.#skipText(chunk, at);
        this.isWhole = !this.#inText && this.#depth === 0;
      } else this.#take(chunk[at++] as number);
      if (this.isWhole) break;
    }
    return at;
  }

  /** A byte outside of texts. */
  #take(byte: number): void {
    switch (byte) {
      case Byte.Quote:
        this.#inText = true;
        break;
      case Byte.Colon:
        this.colons++;
        break;
      case Byte.OpenMap:
      case Byte.OpenArray:
        if (++this.#depth > MAX_DEPTH) throw this.#exceeded(`nested deeper than ${MAX_DEPTH}`);
        break;
      case Byte.CloseMap:
      case Byte.CloseArray:
        this.isWhole = --this.#depth <= 0;
        break;
    }
  }

  /** Where the text goes on after its closing quote, or the end of the chunk. */
  #skipText(chunk: Uint8Array, start: number): number {
    let isEscaped = this.#isEscaped;
    let at = start;
    while (at < chunk.length) {
      const byte = chunk[at++] as number;
      if (isEscaped) isEscaped = false;
      else if (byte === Byte.Backslash) isEscaped = true;
      else if (byte === Byte.Quote) {
        this.#inText = false;
        break;
      }
    }
    this.#isEscaped = isEscaped;
    return at;
  }

  #exceeded(found: string): GametapeError {
    return new GametapeError('LIMIT_EXCEEDED', `${this.#place} at byte ${this.offset}: ${found}`);
  }
}

/** What ends a number, `true`, `false` or `null`. */
export function isDelimiter(byte: number): boolean {
  return (
    byte <= 0x20 || byte === Byte.Comma || byte === Byte.Colon || byte === Byte.CloseMap || byte === Byte.CloseArray
  );
}
