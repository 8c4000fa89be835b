import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_COMPRESSION, RedisJournal } from '@gametape/server';

const START_MS = 10_000;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

/** A redis-server of the bench's own: a free port, a directory, gone when it is closed. */
export class BenchRedis {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #directory: string | undefined;

  private constructor(port: number, child: ChildProcess, directory: string | undefined) {
    this.port = port;
    this.#child = child;
    this.#directory = directory;
  }

  /** Undefined where redis-server is not installed. A directory that is given, with what is in it, stays. */
  static async start(appendfsync: 'always' | 'everysec', given?: string): Promise<BenchRedis | undefined> {
    const port = await freePort();
    const directory = given ?? (await mkdtemp(join(tmpdir(), 'gametape-bench-')));
    const settings = {
      port: String(port),
      bind: '127.0.0.1',
      dir: directory,
      save: '',
      appendonly: 'yes',
      appendfsync,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    const redis = new BenchRedis(port, child, given === undefined ? directory : undefined);
    const isThere = await Promise.race([once(child, 'spawn').then(() => true), once(child, 'error').then(() => false)]);
    if (!isThere) {
      await rm(directory, { recursive: true, force: true });
      return undefined;
    }
    await redis.#answers();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** The journal of a relay in it. */
  journal(home: string): Promise<RedisJournal> {
    return RedisJournal.open({
      url: this.url,
      compression: NODE_COMPRESSION,
      log: SILENT,
      onDamage: () => {},
      onLost: () => {},
      relayId: 'bench',
      spoolDirectory: join(home, 'spool'),
    });
  }

  async close(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (!(await answers(this.port))) {
      if (performance.now() > deadline) throw new Error(`redis-server does not answer at port ${this.port}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** It has read its file, and takes commands. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('PING\r\n');
  const reply = await Promise.race([
    once(socket, 'data').then(
      ([data]) => String(data),
      () => '',
    ),
    once(socket, 'close').then(() => ''),
  ]);
  socket.destroy();
  return reply.startsWith('+PONG');
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
