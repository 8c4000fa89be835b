import { GametapeError } from '@gametape/shared';
import { checkPickle } from './check-pickle.ts';
import { PICKLE_HINT, type PicklePlace } from './pickle-error.ts';
import { lengthOf } from './pickle-operations.ts';
import { PICKLE_VERSION } from './pickle-version.ts';
import { readPickle } from './read-pickle.ts';

/** Longest pickle, in bytes: one event with its whole state. A longer one is refused before anything of it is read. */
const MAX_PICKLE_BYTES = 64 * 1024 * 1024;
const MAGIC = [0x4c, 0x4d, 0x53, 0x50];

/**
 * A file of the seed's BinaryFormat, from its first byte to its last, one pickle in memory at a time:
 * `'LMSP' • u32 version = 1 • pickle(metadata) • u32 n • n × pickle(event) • pickle(checkpoints)`, each pickle after its u32 length.
 */
export class PickleFile {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  /** What has been taken of the chunk at hand. */
  #taken = 0;
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async readHeader(): Promise<void> {
    const bytes = await this.#take(8, 'header');
    if (MAGIC.some((byte, index) => bytes[index] !== byte)) {
      throw new GametapeError('BAD_RECORDING', 'header at byte 0: expected "LMSP", found other bytes');
    }
    const version = lengthOf(bytes.subarray(4));
    if (version === PICKLE_VERSION) return;
    throw new GametapeError(
      'VERSION_UNKNOWN',
      `header at byte 4: expected version ${PICKLE_VERSION}, found ${version}`,
    );
  }

  async readCount(where: string): Promise<number> {
    return lengthOf(await this.#take(4, where));
  }

  /** The next pickle: where its value is in errors, and the value. @throws GametapeError as `readPickle` does */
  async readPickle(where: string, values?: number): Promise<{ place: PicklePlace; value: unknown }> {
    const length = await this.#length(where);
    const place = { where, offset: this.#offset };
    const bytes = await this.#gather(length);
    const value = readPickle(bytes, place, values === undefined ? {} : { values });
    if (bytes.length < length) throw tooShort(where, place.offset, length, bytes.length);
    return { place, value };
  }

  /** Only looks into one that is cut off, so that the error can tell where in it. */
  async skipPickle(where: string): Promise<void> {
    const length = await this.#length(where);
    const place = { where, offset: this.#offset };
    const bytes = await this.#gather(length);
    if (bytes.length === length) return;
    checkPickle(bytes, place);
    throw tooShort(where, place.offset, length, bytes.length);
  }

  /** @throws GametapeError `BAD_RECORDING` unless the file ends here */
  async readEnd(): Promise<void> {
    const at = this.#offset;
    if ((await this.#some(1)).length === 0) return;
    throw new GametapeError('BAD_RECORDING', `byte ${at}: expected the end of the file, found more`);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #length(where: string): Promise<number> {
    const at = this.#offset;
    const length = lengthOf(await this.#take(4, `length of ${where}`));
    if (length <= MAX_PICKLE_BYTES) return length;
    const found = `expected at most ${MAX_PICKLE_BYTES} bytes, found a length of ${length}`;
    throw new GametapeError('LIMIT_EXCEEDED', `${where} at byte ${at}: ${found}`, { hint: PICKLE_HINT });
  }

  async #take(length: number, what: string): Promise<Uint8Array> {
    const at = this.#offset;
    const bytes = await this.#gather(length);
    if (bytes.length < length) throw tooShort(what, at, length, bytes.length);
    return bytes;
  }

  /** So many bytes, or all that are left. Nothing is set aside for bytes that are not there. */
  async #gather(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let left = length;
    while (left > 0) {
      const part = await this.#some(left);
      if (part.length === 0) break;
      // Copied: chunks are borrowed.
      parts.push(part.slice());
      left -= part.length;
    }
    const [first] = parts;
    if (first && parts.length === 1) return first;
    const bytes = new Uint8Array(length - left);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Up to `most` bytes; none at the end. Borrowed. */
  async #some(most: number): Promise<Uint8Array> {
    while (this.#taken >= this.#chunk.length) {
      const { done, value } = await this.#chunks.next();
      if (done) return new Uint8Array();
      this.#chunk = value;
      this.#taken = 0;
    }
    const part = this.#chunk.subarray(this.#taken, this.#taken + most);
    this.#taken += part.length;
    this.#offset += part.length;
    return part;
  }
}

function tooShort(what: string, offset: number, expected: number, found: number): GametapeError {
  const message = `${what} at byte ${offset}: expected ${expected} bytes, found ${found}: the file is cut off`;
  return new GametapeError('DAMAGED', message, { hint: 'Get the file again: what is cut off is not in it.' });
}
