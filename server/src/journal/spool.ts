import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Compression, encodeFileHeader } from '@gametape/shared';

/** Files that hold sealed blocks while their recordings are finished; of no use to anybody afterwards. */
export class Spool {
  readonly #directory: string;
  readonly #compression: Compression;

  constructor(directory: string, compression: Compression) {
    this.#directory = directory;
    this.#compression = compression;
  }

  /** Writes blocks behind a file header, one at a time. Undefined, and no file, if there is no block. */
  async write(
    recordingId: string,
    blocks: AsyncIterable<{ readonly entry: { readonly block: Uint8Array } }>,
  ): Promise<string | undefined> {
    await mkdir(this.#directory, { recursive: true });
    const path = this.#path(recordingId);
    const file = await open(path, 'w');
    let isEmpty = true;
    try {
      await file.write(encodeFileHeader(this.#compression));
      for await (const { entry } of blocks) {
        await file.writeFile(entry.block);
        isEmpty = false;
      }
    } finally {
      await file.close();
    }
    if (!isEmpty) return path;
    await this.remove(recordingId);
    return undefined;
  }

  async remove(recordingId: string): Promise<void> {
    await rm(this.#path(recordingId), { force: true });
  }

  /** Removes what an earlier process left. */
  async clear(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  #path(recordingId: string): string {
    return join(this.#directory, `${recordingId}.lmsp`);
  }
}
