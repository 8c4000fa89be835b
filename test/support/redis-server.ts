import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor, within } from './wait-for.ts';

/** Whether redis-server can be started. One loud line says so when it cannot; under CI it must. */
export const hasRedis = findRedis();

/** A redis-server of the test's own, on a free port, with its own directory. */
export class RedisServer {
  readonly port: number;
  readonly #directory: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #first: readonly string[];
  #child: ChildProcess | undefined;
  #log = '';

  private constructor(
    port: number,
    directory: string,
    settings: Readonly<Record<string, string>>,
    first: readonly string[] = [],
  ) {
    this.port = port;
    this.#directory = directory;
    this.#settings = settings;
    this.#first = first;
  }

  /** @param until is told how to stop it; left out, that is done when the test is over. */
  static async start(
    settings: Readonly<Record<string, string>> = {},
    directory?: string,
    until: (stop: () => Promise<void>) => void = onTestFinished,
  ): Promise<RedisServer> {
    const always = { appendonly: 'yes', appendfsync: 'always' };
    const server = new RedisServer(await freePort(), directory ?? (await tempDir()), { ...always, ...settings });
    until(() => server.kill());
    await server.start();
    return server;
  }

  /** A Sentinel, with a configuration file of its own that it writes to. */
  static async startSentinel(config: string): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), await tempDir(), {}, [config, '--sentinel']);
    onTestFinished(() => server.kill());
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async start(): Promise<void> {
    this.launch();
    await waitFor('redis to answer', () => {
      if (!this.isRunning) throw new Error(`redis-server ended: ${this.#log.slice(-1_000)}`);
      return this.cli('PING').trim() === 'PONG';
    });
  }

  /** Starts the process and does not wait for it to answer. */
  launch(): void {
    const always = { port: String(this.port), bind: '127.0.0.1', dir: this.#directory };
    const own = this.#first.length > 0 ? always : { ...always, save: '', 'repl-diskless-sync-delay': '0' };
    const settings = Object.entries({ ...own, ...this.#settings }).flatMap(([name, value]) => [`--${name}`, value]);
    const args = [...this.#first, ...settings];
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text;
      });
    }
  }

  /** kill -9. Resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await within('redis-server to end', exited);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
  }

  /** What redis-cli prints for a command. */
  cli(...args: string[]): string {
    const { stdout, stderr } = spawnSync('redis-cli', ['-p', String(this.port), ...args], {
      encoding: 'utf8',
      timeout: 10_000,
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout || stderr;
  }

  /** Ids and recordings of the entries of a stream; claims are marked as such. */
  entries(key: string): { id: string; fields: Record<string, string> }[] {
    const reply = JSON.parse(this.cli('--json', 'XRANGE', key, '-', '+')) as [
      string,
      string[] | Record<string, string>,
    ][];
    return reply.map(([id, fields]) => ({ id, fields: Array.isArray(fields) ? pairs(fields) : fields }));
  }
}

function pairs(list: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < list.length; i += 2) fields[list[i] as string] = list[i + 1] as string;
  return fields;
}

function findRedis(): boolean {
  const isThere = spawnSync('redis-server', ['--version']).status === 0;
  if (isThere) return true;
  if (process.env.CI === 'true') throw new Error('redis-server is not installed: the Redis tests cannot run');
  console.warn('SKIPPED: redis-server is not installed, so nothing about the Redis journal is tested');
  return false;
}
