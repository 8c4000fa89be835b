import { deflateSync, inflateSync } from 'fflate';
import { type Crc32, crc32 } from '../bytes/crc32.ts';

/** Where a recording is read from: a file, a Blob, bytes, a URL. Platforms implement it. */
export interface ByteSource {
  /** What to call it in errors: a path or a URL. */
  readonly name: string;
  size(): Promise<number>;
  /** Bytes from `offset`, fewer than `length` only at the end. The caller may keep them. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close?(): Promise<void>;
}

/** Where a recording is written to, from its first byte to its last. */
export interface ByteSink {
  /** The sink owns `bytes` from this call on. */
  write(bytes: Uint8Array): Promise<void>;
}

/** What platforms have better versions of than JavaScript: Node hands in node:zlib. */
export interface Compression {
  readonly crc32: Crc32;
  /** Raw deflate (RFC 1951). */
  deflate(bytes: Uint8Array): Uint8Array;
  /** Undoes it, in memory for about `rawLength` bytes. Throws on bad input, or returns another length. */
  inflate(bytes: Uint8Array, rawLength: number): Uint8Array;
  /** Missing where the platform has none: browsers have it in secure contexts only. */
  readonly sha256?: ((bytes: Uint8Array) => Promise<Uint8Array> | Uint8Array) | undefined;
}

/** WebCrypto, as far as it is needed here. */
interface WebCrypto {
  readonly subtle?: { digest(algorithm: 'SHA-256', bytes: Uint8Array): Promise<ArrayBuffer> };
}

const { subtle } = (globalThis as { crypto?: WebCrypto }).crypto ?? {};

export const PORTABLE_COMPRESSION: Compression = {
  crc32,
  deflate: (bytes) => deflateSync(bytes, { level: 6 }),
  // fflate drops what does not fit into the buffer it is given: one byte more tells what is too long.
  inflate: (bytes, rawLength) => inflateSync(bytes, { out: new Uint8Array(rawLength + 1) }),
  sha256: subtle && (async (bytes) => new Uint8Array(await subtle.digest('SHA-256', bytes))),
};

export class BytesSource implements ByteSource {
  readonly name: string;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, name = 'bytes') {
    this.#bytes = bytes;
    this.name = name;
  }

  async size(): Promise<number> {
    return this.#bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#bytes.subarray(offset, offset + length);
  }
}

/** Collects what is written. */
export class BytesSink implements ByteSink {
  readonly #parts: Uint8Array[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes);
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
