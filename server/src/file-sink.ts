import type { ByteSink } from '@gametape/shared';
import { type Files, NODE_FILES, type WritableFile, writeAll } from './journal/files.ts';

/** A file to write to, from its start. Call `finish`, or `close` to give up. */
export class FileSink implements ByteSink {
  readonly #file: WritableFile;
  #offset = 0;

  private constructor(file: WritableFile) {
    this.#file = file;
  }

  /** Creates the file, or empties it. */
  static async create(path: string, files: Files = NODE_FILES): Promise<FileSink> {
    const file = await files.open(path);
    try {
      await file.truncate(0);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new FileSink(file);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#offset += await writeAll(this.#file, [bytes], this.#offset);
  }

  /** Syncs and closes: what was written survives a power loss, once the directory is synced too. */
  async finish(): Promise<void> {
    await this.#file.datasync();
    await this.#file.close();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
