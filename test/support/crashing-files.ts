import { basename, dirname } from 'node:path';
import { type Files, NODE_FILES, type ReadableFile, type WritableFile } from '@gametape/server';

/** A file operation that changes something: what is done, and to which kind of file. */
export type FileOperation = string;

/**
 * Real files that count what changes them, and kill this process, for real, instead of one such operation. A write that is met
 * so has got half of its bytes to the file.
 */
export class CrashingFiles implements Files {
  readonly #onOperation: (operation: FileOperation) => boolean;

  /** @param onOperation says whether this is the one that the process does not live to see */
  constructor(onOperation: (operation: FileOperation) => boolean) {
    this.#onOperation = onOperation;
  }

  async create(path: string): Promise<WritableFile> {
    await this.#note('create', path);
    return this.#watched(await NODE_FILES.create(path), path);
  }

  async open(path: string): Promise<WritableFile> {
    await this.#note('open', path);
    return this.#watched(await NODE_FILES.open(path), path);
  }

  read(path: string): Promise<ReadableFile> {
    return NODE_FILES.read(path);
  }

  list(path: string): Promise<readonly string[]> {
    return NODE_FILES.list(path);
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#note('make', path);
    await NODE_FILES.makeDirectory(path);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#note('sync', path);
    await NODE_FILES.syncDirectory(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#note('rename', from);
    await NODE_FILES.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    await this.#note('remove', path);
    await NODE_FILES.remove(path);
  }

  #watched(file: WritableFile, path: string): WritableFile {
    return {
      writev: async (buffers, position) => {
        const bytes = Buffer.concat(buffers);
        await this.#note('write', path, () => file.writev([bytes.subarray(0, bytes.length >> 1)], position));
        return await file.writev([bytes], position);
      },
      datasync: async () => {
        await this.#note('sync', path);
        await file.datasync();
      },
      truncate: async (bytes) => {
        await this.#note('truncate', path);
        await file.truncate(bytes);
      },
      close: () => file.close(),
    };
  }

  async #note(call: string, path: string, last?: () => Promise<unknown>): Promise<void> {
    if (!this.#onOperation(`${call} ${kindOf(path)}`)) return;
    await last?.();
    process.kill(process.pid, 'SIGKILL');
    // Nothing that was on its way may go on.
    await new Promise(() => {});
  }
}

function kindOf(path: string): string {
  const name = basename(path);
  if (name.endsWith('.log')) return 'segment';
  if (name.endsWith('.finished')) return 'mark';
  if (name.endsWith('.partial')) return 'recording';
  if (name.endsWith('.lmsp')) return basename(dirname(path)) === 'journal' ? 'unfinished file' : 'recording';
  return name === 'journal' || name === 'recordings' ? `${name} directory` : 'data directory';
}
