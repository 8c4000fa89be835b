import { dirname } from 'node:path';
import { type Compression, encodeFileHeader, FILE_HEADER_BYTES, GametapeError } from '@gametape/shared';
import { type Files, type WritableFile, writeAll } from './files.ts';

/**
 * One recording's own file while it is not finished: a file header and sealed blocks. Open only while it is written.
 */
export class UnfinishedFile {
  readonly path: string;
  readonly #files: Files;
  readonly #compression: Compression;
  /** Bytes that are stable: the file ends here, or is made to before anything else happens to it. */
  #bytes: number;
  #hasTail = false;

  constructor(path: string, options: { files: Files; compression: Compression; bytes: number }) {
    this.path = path;
    this.#files = options.files;
    this.#compression = options.compression;
    this.#bytes = options.bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get hasBlocks(): boolean {
    return this.#bytes > FILE_HEADER_BYTES;
  }

  /**
   * Adds a block and syncs it. An error leads to one more try, through a new descriptor and from the last stable byte
   * on.
   *
   * @throws GametapeError `JOURNAL_FAILED`; the file then ends where it did before.
   */
  async append(block: Uint8Array): Promise<void> {
    const buffers = this.#bytes === 0 ? [encodeFileHeader(this.#compression), block] : [block];
    try {
      await this.#write(buffers);
    } catch {
      try {
        await this.#write(buffers);
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new GametapeError('JOURNAL_FAILED', `${this.path}: sealing a block failed twice: ${reason}`, { cause });
      }
    }
  }

  /** Makes the file end where its stable bytes do. */
  async cutTail(): Promise<void> {
    if (this.#hasTail) await this.#withFile((file) => this.#cut(file));
  }

  async remove(): Promise<void> {
    if (this.#bytes === 0 && !this.#hasTail) return;
    await this.#files.remove(this.path);
    this.#bytes = 0;
    this.#hasTail = false;
  }

  #write(buffers: readonly Uint8Array[]): Promise<void> {
    return this.#withFile(async (file) => {
      if (this.#hasTail) await this.#cut(file);
      this.#hasTail = true;
      const written = await writeAll(file, buffers, this.#bytes);
      await file.datasync();
      if (this.#bytes === 0) await this.#files.syncDirectory(dirname(this.path));
      this.#bytes += written;
      this.#hasTail = false;
    });
  }

  async #cut(file: WritableFile): Promise<void> {
    await file.truncate(this.#bytes);
    this.#hasTail = false;
  }

  async #withFile(use: (file: WritableFile) => Promise<void>): Promise<void> {
    const file = await this.#files.open(this.path);
    try {
      await use(file);
    } finally {
      await file.close();
    }
  }
}
