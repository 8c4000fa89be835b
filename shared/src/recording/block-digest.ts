import type { Compression } from './byte-io.ts';

const HASH_BYTES = 32;

/**
 * One SHA-256 for all blocks of a file, so that whoever notes it down can prove later that they are the same: each step is
 * the hash of the one before and of the whole block (FORMAT.md).
 */
export class BlockDigest {
  readonly #sha256: Compression['sha256'];
  #hash: Uint8Array = new Uint8Array(HASH_BYTES);

  constructor({ sha256 }: Compression) {
    this.#sha256 = sha256;
  }

  async add(block: Uint8Array): Promise<void> {
    if (!this.#sha256) return;
    const both = new Uint8Array(2 * HASH_BYTES);
    both.set(this.#hash);
    both.set(await this.#sha256(block), HASH_BYTES);
    this.#hash = await this.#sha256(both);
  }

  /** In hex; undefined where this platform has no SHA-256. */
  get hex(): string | undefined {
    if (!this.#sha256) return undefined;
    return Array.from(this.#hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}
