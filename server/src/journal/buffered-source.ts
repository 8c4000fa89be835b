import type { ByteSource } from '@gametape/shared';

const WINDOW_BYTES = 1024 * 1024;

/** Reads ahead: many small reads going forward become few large ones. */
export class BufferedSource implements ByteSource {
  readonly name: string;
  readonly #source: ByteSource;
  #window: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(source: ByteSource) {
    this.name = source.name;
    this.#source = source;
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#offset || offset + length > this.#offset + this.#window.length) {
      // A new window each time, so that what was read before may be kept.
      this.#window = await this.#source.read(offset, Math.max(length, WINDOW_BYTES));
      this.#offset = offset;
    }
    return this.#window.subarray(offset - this.#offset, offset - this.#offset + length);
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}
