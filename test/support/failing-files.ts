import { type Files, NODE_FILES, type ReadableFile, type WritableFile } from '@gametape/server';

export type FileCall =
  | 'create'
  | 'open'
  | 'writev'
  | 'datasync'
  | 'truncate'
  | 'makeDirectory'
  | 'syncDirectory'
  | 'rename'
  | 'remove';

/** Real files that count what is done to them and fail, or stop short, when told to. */
export class FailingFiles implements Files {
  readonly counts: Record<FileCall, number> = {
    create: 0,
    open: 0,
    writev: 0,
    datasync: 0,
    truncate: 0,
    makeDirectory: 0,
    syncDirectory: 0,
    rename: 0,
    remove: 0,
  };
  /** Called before every call, with how many there were of it; what it throws is the call's error. */
  onCall: (call: FileCall, count: number, path: string) => void | Promise<void> = () => {};
  /** Longest write that the disk takes at once. */
  maxWriteBytes = Number.POSITIVE_INFINITY;

  async create(path: string): Promise<WritableFile> {
    await this.#count('create', path);
    return this.#watched(await NODE_FILES.create(path), path);
  }

  async open(path: string): Promise<WritableFile> {
    await this.#count('open', path);
    return this.#watched(await NODE_FILES.open(path), path);
  }

  read(path: string): Promise<ReadableFile> {
    return NODE_FILES.read(path);
  }

  list(path: string): Promise<readonly string[]> {
    return NODE_FILES.list(path);
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#count('makeDirectory', path);
    await NODE_FILES.makeDirectory(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#count('rename', from);
    await NODE_FILES.rename(from, to);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#count('syncDirectory', path);
    await NODE_FILES.syncDirectory(path);
  }

  async remove(path: string): Promise<void> {
    await this.#count('remove', path);
    await NODE_FILES.remove(path);
  }

  async #count(call: FileCall, path: string): Promise<void> {
    this.counts[call]++;
    await this.onCall(call, this.counts[call], path);
  }

  #watched(file: WritableFile, path: string): WritableFile {
    return {
      writev: async (buffers, position) => {
        await this.#count('writev', path);
        const all = Buffer.concat(buffers);
        return await file.writev([all.subarray(0, Math.min(all.length, this.maxWriteBytes))], position);
      },
      datasync: async () => {
        await this.#count('datasync', path);
        await file.datasync();
      },
      truncate: async (bytes) => {
        await this.#count('truncate', path);
        await file.truncate(bytes);
      },
      close: () => file.close(),
    };
  }
}

/** What a disk says, as Node puts it. */
export function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: on purpose`), { code });
}
