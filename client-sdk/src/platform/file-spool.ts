import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir, uptime } from 'node:os';
import { join, resolve } from 'node:path';
import { GametapeError, isId } from '@gametape/shared';
import type { SpoolOptions } from '../api.ts';
import type { Spool, SpoolName, SpoolSegment, SpoolStore } from '../spool/spool.ts';

/** Longest path of a Unix socket that every system takes, in bytes. */
const MAX_SOCKET_PATH = 100;
/** A socket that nobody answers at may be one that is being opened: only an old one is taken for dead. */
const SWEEP_AFTER_MS = 60_000;
/** In place of a boot: every write was synced. */
const SYNCED = 'synced';

/**
 * Opens a directory of spools:
 *
 *     DIR/<room>.<player>.<instance>.<created>.<boot>.<owner>/<segment>.spool    what an instance keeps
 *     DIR/<owner>.sock                                                           answered as long as the owner lives
 *
 * The system itself says who lives: a socket ends with its process, whatever pids, containers and clocks are about. Taking over is a
 * rename, of which only one can succeed. Writes are done when `append` returns, so that they survive kill -9; with `sync` they are on
 * the disk too. Rejects when the directory cannot be used.
 */
export async function openFileSpools({ directory, sync = false }: SpoolOptions): Promise<SpoolStore> {
  if (!directory) throw new TypeError('spool: expected a directory, as in {directory: "./spool"}');
  const path = resolve(directory);
  await mkdir(path, { recursive: true });
  const owner = randomBytes(8).toString('hex');
  const server = await listen(socketPath(path, owner));
  return new FileSpoolStore(path, owner, server, sync);
}

class FileSpoolStore implements SpoolStore {
  readonly #directory: string;
  readonly #owner: string;
  readonly #server: Server;
  readonly #sync: boolean;
  readonly #spools = new Set<FileSpool>();

  constructor(directory: string, owner: string, server: Server, sync: boolean) {
    this.#directory = directory;
    this.#owner = owner;
    this.#server = server;
    this.#sync = sync;
  }

  async create(name: SpoolName): Promise<Spool> {
    // S1: nothing else becomes a part of a path.
    const bad = [name.room, name.player, name.instance].find((id) => !isId(id));
    if (bad !== undefined) throw new GametapeError('BAD_ID', `spool: ${JSON.stringify(bad).slice(0, 80)} is no id`);
    const folder = { name, boot: this.#sync ? SYNCED : bootOf(), owner: this.#owner };
    await mkdir(join(this.#directory, nameOf(folder)));
    if (this.#sync) syncDirectory(this.#directory);
    return this.#hold(folder);
  }

  async takeOver(isWanted: (name: SpoolName) => boolean): Promise<Spool[]> {
    const lives = new Map<string, boolean>([[this.#owner, true]]);
    const taken: Folder[] = [];
    for (const file of await readdir(this.#directory)) {
      const folder = readFolder(file);
      if (!folder || !isWanted(folder.name)) continue;
      const { owner } = folder;
      const isHeld = lives.get(owner) ?? (await isAnswered(socketPath(this.#directory, owner)));
      lives.set(owner, isHeld);
      if (isHeld) continue;
      const ours = { ...folder, owner: this.#owner };
      if (await renamed(join(this.#directory, file), join(this.#directory, nameOf(ours)))) taken.push(ours);
    }
    await this.#sweep(lives);
    taken.sort((one, other) => one.name.createdMs - other.name.createdMs);
    return taken.map((folder) => this.#hold(folder));
  }

  async close(): Promise<void> {
    for (const spool of this.#spools) spool.close();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #hold(folder: Folder): FileSpool {
    const spool = new FileSpool(folder, join(this.#directory, nameOf(folder)), this.#sync);
    this.#spools.add(spool);
    return spool;
  }

  /** Removes what killed processes listened at: those whose spools were here, and those that nobody answers for long. */
  async #sweep(lives: Map<string, boolean>): Promise<void> {
    for (const file of await readdir(this.#directory)) {
      const [, owner = ''] = /^([0-9a-f]{16})\.sock$/.exec(file) ?? [];
      if (owner === '' || lives.has(owner)) continue;
      const path = join(this.#directory, file);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
      if (Date.now() - mtimeMs > SWEEP_AFTER_MS) lives.set(owner, await isAnswered(path));
    }
    for (const [owner, isHeld] of lives) {
      if (!isHeld && !isPipe(socketPath(this.#directory, owner)))
        await rm(socketPath(this.#directory, owner), { force: true });
    }
  }
}

class FileSpool implements Spool {
  readonly name: SpoolName;
  /** A power loss takes back what was written and not synced, and leaves no trace of that. */
  readonly isImmediate: boolean;
  onFailure: (cause: Error) => void = () => {};
  readonly #path: string;
  readonly #sync: boolean;
  /** The segment that is appended to. */
  #open: { readonly number: number; readonly fd: number } | undefined;
  #firstNumber = 0;
  #dropping: Promise<unknown> = Promise.resolve();
  #hasFailed = false;

  constructor({ name, boot }: Folder, path: string, sync: boolean) {
    this.name = name;
    this.isImmediate = boot === SYNCED || boot === bootOf();
    this.#path = path;
    this.#sync = sync;
  }

  append(segment: number, bytes: Uint8Array): void {
    if (this.#hasFailed) return;
    try {
      const fd = this.#descriptorOf(segment);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      if (this.#sync) fdatasyncSync(fd);
    } catch (error) {
      this.#hasFailed = true;
      this.close();
      this.onFailure(error as Error);
    }
  }

  dropBefore(segment: number): void {
    const first = this.#firstNumber;
    this.#firstNumber = Math.max(first, segment);
    this.#dropping = this.#dropping.then(() => this.#drop(segment)).catch(() => undefined);
  }

  async written(): Promise<void> {
    await this.#dropping;
  }

  async read(): Promise<SpoolSegment[]> {
    await this.#dropping;
    const segments: SpoolSegment[] = [];
    for (const number of await this.#numbers()) {
      segments.push({ number, bytes: await readFile(join(this.#path, fileOf(number))) });
    }
    return segments;
  }

  async remove(): Promise<void> {
    await this.#dropping;
    this.close();
    await rm(this.#path, { recursive: true, force: true });
  }

  close(): void {
    if (this.#open) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #descriptorOf(number: number): number {
    if (this.#open?.number === number) return this.#open.fd;
    this.close();
    const fd = openSync(join(this.#path, fileOf(number)), 'a');
    this.#open = { number, fd };
    if (this.#sync) syncDirectory(this.#path);
    return fd;
  }

  async #drop(before: number): Promise<void> {
    for (const number of await this.#numbers()) {
      if (number < before) await rm(join(this.#path, fileOf(number)), { force: true });
    }
  }

  async #numbers(): Promise<number[]> {
    const numbers = (await readdir(this.#path)).flatMap((file) => /^(\d{8})\.spool$/.exec(file)?.[1] ?? []).map(Number);
    return numbers.sort((one, other) => one - other);
  }
}

function fileOf(segment: number): string {
  return `${String(segment).padStart(8, '0')}.spool`;
}

/** What the name of a spool's folder says. */
interface Folder {
  readonly name: SpoolName;
  /** Since which start of the machine it is written, if it is not synced. */
  readonly boot: string;
  readonly owner: string;
}

/** Ids hold no dots. */
function nameOf({ name: { room, player, instance, createdMs }, boot, owner }: Folder): string {
  return [room, player, instance, createdMs, boot, owner].join('.');
}

function readFolder(file: string): Folder | undefined {
  const [room = '', player = '', instance = '', created = '', boot = '', owner = '', ...rest] = file.split('.');
  const isOurs = [room, player, instance, boot, owner].every(isId) && /^\d{1,15}$/.test(created) && rest.length === 0;
  return isOurs ? { name: { room, player, instance, createdMs: Number(created) }, boot, owner } : undefined;
}

let boot: string | undefined;

/** Another one after every start of the machine. Where the system has no name for it, its time must do: a wrong one claims less. */
function bootOf(): string {
  if (boot === undefined) {
    let id: string;
    try {
      id = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    } catch {
      id = String(Math.round((Date.now() / 1_000 - uptime()) / 60));
    }
    boot = createHash('sha256').update(id).digest('hex').slice(0, 8);
  }
  return boot;
}

/** False when it has been renamed by somebody else, or is gone. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function socketPath(directory: string, owner: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\gametape-spool-${owner}`;
  const path = join(directory, `${owner}.sock`);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  const hash = createHash('sha256').update(path).digest('hex').slice(0, 32);
  return join(tmpdir(), `gametape-spool-${hash}.sock`);
}

/** A named pipe of Windows is no file: it is gone with its process. */
function isPipe(path: string): boolean {
  return path.startsWith('\\\\');
}

async function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  // What lives is the game: this does not keep its process going.
  server.unref();
  server.listen(path);
  await once(server, 'listening');
  return server;
}

/** Whether somebody lives who listens there. When in doubt, somebody does. */
async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}
