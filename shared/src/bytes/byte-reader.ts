import { type ErrorCode, GametapeError } from '../errors.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** A number's bytes on their way: cheaper than a view of every body that is read. */
const SCRATCH = new Uint8Array(8);
const SCRATCH_VIEW = new DataView(SCRATCH.buffer);

/**
 * A cursor over untrusted bytes: every read is checked against what is left before anything is allocated (W11).
 *
 * Every fault throws a GametapeError of the code given to the constructor, naming the byte it happened at.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #code: ErrorCode;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, code: ErrorCode, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#code = code;
    this.#at = start;
    this.#end = end;
  }

  get position(): number {
    return this.#at;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  fail(what: string): never {
    throw new GametapeError(this.#code, `${what} at byte ${this.#at} of ${this.#end}`);
  }

  byte(): number {
    if (this.#at >= this.#end) this.fail('ends where a byte is expected');
    return this.#bytes[this.#at++] as number;
  }

  /** The next byte, which stays. */
  peek(): number {
    if (this.#at >= this.#end) this.fail('ends where a byte is expected');
    return this.#bytes[this.#at] as number;
  }

  u32(): number {
    this.#copy(4);
    return SCRATCH_VIEW.getUint32(0, true);
  }

  u64(): number {
    const low = this.u32();
    const high = this.u32();
    if (high >= 2 ** 21) this.fail('has a number over 2^53');
    return high * 2 ** 32 + low;
  }

  f64(): number {
    this.#copy(8);
    return SCRATCH_VIEW.getFloat64(0, true);
  }

  varint(): number {
    const byte = this.byte();
    return byte < 0x80 ? byte : this.#longVarint(byte);
  }

  /** Apart from `varint`, which stays small enough to be inlined: nearly all numbers are one byte. */
  #longVarint(first: number): number {
    let value = first & 0x7f;
    let scale = 128;
    for (let size = 2; size <= 8; size++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0) this.fail('has a number with needless bytes');
        if (value > Number.MAX_SAFE_INTEGER) this.fail('has a number over 2^53');
        return value;
      }
      scale *= 128;
    }
    return this.fail('has a number of more than 8 bytes');
  }

  zigzag(): number {
    return unzigzag(this.varint());
  }

  zigzagUnit(): number {
    const value = this.varint();
    const half = value < 0x8000_0000 ? value >>> 1 : Math.floor(value / 2);
    const number = unzigzag(half);
    if (value % 2 === 1) return number;
    if (!Number.isSafeInteger(number * 100)) this.fail('has a number over 2^53');
    return number * 100;
  }

  /** A count of things of at least `minimumBytes` each, so that it cannot promise more than the bytes hold. */
  count(minimumBytes: number): number {
    const count = this.varint();
    if (count * minimumBytes > this.left) {
      this.fail(`counts ${count} items, more than its ${this.left} bytes can hold,`);
    }
    return count;
  }

  /** The next `length` bytes, borrowed: a view, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, length);
  }

  /** A reader of the next `length` bytes, which this one skips. */
  sub(length: number): ByteReader {
    const at = this.#take(length);
    return new ByteReader(this.#bytes, this.#code, at, at + length);
  }

  text(): string {
    return this.utf8(this.varint());
  }

  utf8(length: number): string {
    const at = this.#take(length);
    if (length === 1) {
      const byte = this.#bytes[at] as number;
      if (byte < 0x80) return String.fromCharCode(byte);
    } else if (length < 24) {
      let text = '';
      let i = at;
      for (; i < at + length; i++) {
        const byte = this.#bytes[i] as number;
        if (byte > 0x7f) break;
        text += String.fromCharCode(byte);
      }
      if (i === at + length) return text;
    }
    try {
      return decoder.decode(this.#bytes.subarray(at, at + length));
    } catch {
      this.#at = at;
      return this.fail('has text that is not UTF-8');
    }
  }

  /** Refuses bytes after the end of what was read. */
  end(): void {
    if (this.left > 0) this.fail(`has ${this.left} bytes too many`);
  }

  #copy(length: number): void {
    const at = this.#take(length);
    for (let i = 0; i < length; i++) SCRATCH[i] = this.#bytes[at + i] as number;
  }

  #take(length: number): number {
    if (length > this.left) this.fail(`ends ${length - this.left} bytes early`);
    const at = this.#at;
    this.#at += length;
    return at;
  }
}

function unzigzag(value: number): number {
  // Whole numbers of 31 bits stay whole numbers for the engine: a division would make floats of them.
  if (value < 0x8000_0000) return (value >>> 1) ^ -(value & 1);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
