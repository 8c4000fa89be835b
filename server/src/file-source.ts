import { type FileHandle, open } from 'node:fs/promises';
import { type ByteSource, GametapeError } from '@gametape/shared';

/** Reads longer than this are checked against the file's size before memory is allocated for them. */
const UNCHECKED_BYTES = 256 * 1024;

/** A file to read from. Close it. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.name = path;
    this.#file = file;
  }

  /** @throws GametapeError `NOT_FOUND` when there is no such file. */
  static async open(path: string): Promise<FileSource> {
    try {
      return new FileSource(path, await open(path, 'r'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      throw new GametapeError('NOT_FOUND', `${path}: there is no such file`, { cause });
    }
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = length > UNCHECKED_BYTES ? Math.min(length, Math.max(0, (await this.size()) - offset)) : length;
    const bytes = new Uint8Array(wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await this.#file.read(bytes, filled, wanted - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
