import { type ByteSource, BytesSource } from '@gametape/shared';
import type { TapeSource } from './platform.ts';

/** What to read from what is in memory, or can be read already. */
export function openHere(source: Exclude<TapeSource, string>): ByteSource {
  if (source instanceof Uint8Array) return new BytesSource(source);
  return source instanceof Blob ? new BlobSource(source) : source;
}

/** A file the user chose, or any other Blob. */
class BlobSource implements ByteSource {
  readonly name: string;
  readonly #blob: Blob;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.name = 'name' in blob && typeof blob.name === 'string' ? blob.name : 'blob';
  }

  async size(): Promise<number> {
    return this.#blob.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
  }
}
