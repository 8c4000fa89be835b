import { type FileHandle, open } from 'node:fs/promises';
import type { ByteSource } from '@gametape/shared';

/** A file that counts how often it is read; to ask for its size is no read. Both sides of a comparison read through it. */
export class CountingSource implements ByteSource {
  readonly name: string;
  reads = 0;
  readonly #file: FileHandle;
  readonly #bytes: number;

  private constructor(name: string, file: FileHandle, bytes: number) {
    this.name = name;
    this.#file = file;
    this.#bytes = bytes;
  }

  static async open(path: string): Promise<CountingSource> {
    const file = await open(path);
    return new CountingSource(path, file, (await file.stat()).size);
  }

  async size(): Promise<number> {
    return this.#bytes;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.reads++;
    const bytes = new Uint8Array(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, offset);
    return bytes.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
