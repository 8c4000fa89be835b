import type { ByteSource } from '@gametape/shared';

/** A file the user chose, or any other Blob. */
export class BlobSource implements ByteSource {
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
