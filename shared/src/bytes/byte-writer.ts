const encoder = new TextEncoder();
const MAX_VARINT_BYTES = 8;

/**
 * A growing buffer. `bytes()` is a view of it; `take()` hands a copy over and empties it.
 *
 * A number that its field cannot hold is a `TypeError`: bytes that mean something else are never written.
 */
export class ByteWriter {
  #buffer: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
    this.#view = new DataView(this.#buffer.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** Forgets everything after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** An unsigned whole number up to 2^53 - 1, in 8 bytes. */
  u64(value: number): void {
    if (!isUnsigned(value)) throw outOfRange(value);
    this.u32(value % 2 ** 32);
    this.u32(Math.floor(value / 2 ** 32));
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** An unsigned whole number up to 2^53 - 1. */
  varint(value: number): void {
    if (!isUnsigned(value)) throw outOfRange(value);
    this.#reserve(MAX_VARINT_BYTES);
    let rest = value;
    while (rest > 0x7fff_ffff) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  /** A signed whole number from -2^52 to 2^52 - 1. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  /** A signed number of microseconds from -2^51 to 2^51 - 1; multiples of 100 take a byte less. */
  zigzagUnit(microseconds: number): void {
    const coarse = microseconds % 100 === 0;
    const value = coarse ? microseconds / 100 : microseconds;
    const zigzag = value >= 0 ? value * 2 : -value * 2 - 1;
    this.varint(zigzag * 2 + (coarse ? 0 : 1));
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Byte length, then UTF-8. `text` must be well-formed. */
  text(text: string): void {
    const length = text.length;
    if (length < 24 && this.#shortAscii(text)) return;
    // UTF-8 needs at most 3 bytes for each UTF-16 code unit.
    this.#reserve(length * 3 + MAX_VARINT_BYTES);
    const start = this.#length;
    const lengthBytes = varintSize(length);
    const { written } = encoder.encodeInto(text, this.#buffer.subarray(start + lengthBytes));
    const neededBytes = varintSize(written);
    if (neededBytes !== lengthBytes) {
      this.#buffer.copyWithin(start + neededBytes, start + lengthBytes, start + lengthBytes + written);
    }
    this.varint(written);
    this.#length = start + neededBytes + written;
  }

  /** The bytes so far, valid until the next write. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A copy of the bytes so far; the writer is empty afterwards and keeps its buffer. */
  take(): Uint8Array<ArrayBuffer> {
    const copy = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return copy;
  }

  #shortAscii(text: string): boolean {
    this.#reserve(text.length + 1);
    let at = this.#length;
    this.#buffer[at++] = text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      this.#buffer[at++] = unit;
    }
    this.#length = at;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2, 64));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function isUnsigned(value: number): boolean {
  return value >= 0 && Number.isSafeInteger(value);
}

function outOfRange(value: number): TypeError {
  return new TypeError(`expected a whole number that its bytes can hold, found ${value}`);
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}
