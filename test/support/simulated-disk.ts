import { dirname } from 'node:path';
import type { Files, ReadableFile, WritableFile } from '@gametape/server';
import { GametapeError } from '@gametape/shared';
import { type Random, SimulatedFile } from './simulated-file.ts';

export type DiskCall =
  | 'create'
  | 'open'
  | 'read'
  | 'list'
  | 'makeDirectory'
  | 'writev'
  | 'datasync'
  | 'truncate'
  | 'syncDirectory'
  | 'rename'
  | 'remove';

/** What goes wrong with one call: it fails, having written this much of what it was to write; or it writes only that. */
export interface DiskFault {
  readonly code?: 'EIO' | 'ENOSPC';
  readonly writtenBytes?: number;
}

export interface SimulatedDiskOptions {
  readonly random: Random;
  /** Calls `done` when a call of the disk has taken its time; not at all once the process that made it is dead. */
  readonly later?: (call: DiskCall, done: () => void) => void;
  /** Asked before every call, with how many of its kind there were with it. */
  readonly fault?: (call: DiskCall, path: string, count: number) => DiskFault | undefined;
}

type Entry = { readonly kind: 'put'; readonly name: string; readonly file: SimulatedFile };
/** A change of a directory: a name for a file, or a name less. A rename is both at once. */
type NameChange = readonly (Entry | { readonly kind: 'delete'; readonly name: string })[];

/**
 * Files in memory, as a disk under a page cache has them. A kill of the process keeps what it wrote, and any part of the
 * calls that it had not heard back from. A power loss keeps what was synced: bytes by `datasync`, names by `syncDirectory`;
 * of the rest any sectors and any names. Every directory is there.
 */
export class SimulatedDisk implements Files {
  readonly #options: SimulatedDiskOptions;
  readonly #counts = new Map<DiskCall, number>();
  #names = new Map<string, SimulatedFile>();
  #stableNames = new Map<string, SimulatedFile>();
  #nameChanges: NameChange[] = [];
  /** What the calls that are not over would do, in order. */
  readonly #running = new Set<(random: Random) => void>();

  constructor(options: SimulatedDiskOptions) {
    this.#options = options;
  }

  /** The bytes of a file as they are now, undefined when there is none. */
  peek(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.bytes;
  }

  get paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** Makes a file with these bytes, stable. */
  put(path: string, bytes: Uint8Array): void {
    const file = new SimulatedFile();
    file.write(0, bytes);
    file.sync(1);
    this.#names.set(path, file);
    this.#stableNames.set(path, file);
  }

  /** The process that used it is gone, in the middle of its calls. */
  killProcess(): void {
    const { random } = this.#options;
    for (const effect of [...this.#running]) if (random() < 0.5) effect(random);
    this.#running.clear();
  }

  /** The power is gone: with the process goes what was not synced. */
  losePower(): void {
    this.killProcess();
    const { random } = this.#options;
    const odds = random();
    const names = new Map(this.#stableNames);
    for (const change of this.#nameChanges) if (random() < odds) applyNames(names, change);
    for (const file of new Set(names.values())) file.loseUnsynced(random);
    this.#names = names;
    this.#stableNames = new Map(names);
    this.#nameChanges = [];
  }

  async create(path: string): Promise<WritableFile> {
    return await this.#call('create', path, () => {
      if (this.#names.has(path)) throw systemError('EEXIST', 'create', path);
      return this.#writable(this.#make(path), path);
    });
  }

  async open(path: string): Promise<WritableFile> {
    return await this.#call('open', path, () => this.#writable(this.#names.get(path) ?? this.#make(path), path));
  }

  async read(path: string): Promise<ReadableFile> {
    const file = await this.#call('read', path, () => this.#names.get(path));
    if (!file) throw new GametapeError('NOT_FOUND', `${path}: there is no such file`);
    return {
      name: path,
      size: async () => file.bytes.length,
      read: (offset, length) => this.#call('read', path, () => file.bytes.slice(offset, offset + length)),
      close: async () => {},
    };
  }

  async list(path: string): Promise<readonly string[]> {
    return await this.#call('list', path, () => {
      const inside = this.paths.filter((name) => dirname(name) === path);
      return inside.map((name) => name.slice(path.length + 1));
    });
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#call('makeDirectory', path, () => {});
  }

  async syncDirectory(path: string): Promise<void> {
    const covered = new Set(this.#nameChanges.filter((change) => change.some(({ name }) => dirname(name) === path)));
    await this.#call('syncDirectory', path, () => {
      for (const change of covered) if (this.#nameChanges.includes(change)) applyNames(this.#stableNames, change);
      this.#nameChanges = this.#nameChanges.filter((change) => !covered.has(change));
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', from, () => {
      const file = this.#names.get(from);
      if (!file) throw systemError('ENOENT', 'rename', from);
      this.#change([
        { kind: 'delete', name: from },
        { kind: 'put', name: to, file },
      ]);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path, () => {
      if (!this.#names.has(path)) throw systemError('ENOENT', 'unlink', path);
      this.#change([{ kind: 'delete', name: path }]);
    });
  }

  #make(path: string): SimulatedFile {
    const file = new SimulatedFile();
    this.#change([{ kind: 'put', name: path, file }]);
    return file;
  }

  #change(change: NameChange): void {
    applyNames(this.#names, change);
    this.#nameChanges.push(change);
  }

  #writable(file: SimulatedFile, path: string): WritableFile {
    return {
      writev: async (buffers, position) => {
        const bytes = Buffer.concat(buffers);
        const write = (length: number) => {
          const part = bytes.subarray(0, length);
          file.write(position, part);
          return part.length;
        };
        return await this.#call('writev', path, ({ writtenBytes = bytes.length }) => write(writtenBytes), {
          partly: (random) => void write(Math.floor(random() * (bytes.length + 1))),
          onFault: ({ writtenBytes = 0 }) => void write(writtenBytes),
        });
      },
      datasync: async () => {
        const covered = file.changes;
        await this.#call('datasync', path, () => file.sync(covered), { onFault: () => file.failSync(covered) });
      },
      truncate: (bytes) => this.#call('truncate', path, () => file.truncate(bytes)),
      close: async () => {},
    };
  }

  /** One call: takes its time, then fails or has its effect. One that the process does not live to see has it or not. */
  #call<Result>(
    call: DiskCall,
    path: string,
    effect: (fault: DiskFault) => Result,
    more: { partly?: (random: Random) => void; onFault?: (fault: DiskFault) => void } = {},
  ): Promise<Result> {
    const { later = (_call, done) => done(), fault: faultOf } = this.#options;
    const count = (this.#counts.get(call) ?? 0) + 1;
    this.#counts.set(call, count);
    const fault = faultOf?.(call, path, count);
    const { partly = () => tryTo(() => effect({})), onFault = () => {} } = more;
    this.#running.add(partly);
    return new Promise((resolve, reject) => {
      later(call, () => {
        this.#running.delete(partly);
        if (fault?.code) {
          onFault(fault);
          reject(systemError(fault.code, call, path));
          return;
        }
        try {
          resolve(effect(fault ?? {}));
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

function applyNames(names: Map<string, SimulatedFile>, change: NameChange): void {
  for (const entry of change) {
    if (entry.kind === 'put') names.set(entry.name, entry.file);
    else names.delete(entry.name);
  }
}

/** Nobody is there any more to hear that it failed. */
function tryTo(run: () => unknown): void {
  try {
    run();
  } catch {}
}

function systemError(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code });
}
