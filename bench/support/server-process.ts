import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const STARTS_WITHIN_MS = 20_000;

/** The real command line of the relay. */
export const GAMETAPE = join(
  dirname(createRequire(import.meta.url).resolve('@gametape/server/package.json')),
  'bin/gametape.mjs',
);
const BARE = fileURLToPath(new URL('../processes/bare-relay.js', import.meta.url));

export interface ServerOptions {
  /** Runs on this core alone. */
  readonly core?: number;
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[];
  /** The relay starts with a copy of that data directory. */
  readonly copyOf?: string;
}

/** A server in a process of its own. */
export interface ServerProcess {
  readonly wsUrl: string;
  readonly pid: number;
  /** Of the relay; undefined for a server that records nothing. */
  readonly dataDir: string | undefined;
  /** Ends the process and removes its data. */
  stop(): Promise<void>;
}

/** `gametape serve` with the file journal, as anybody would run it. */
export async function startRelayProcess(options: ServerOptions = {}): Promise<ServerProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
  if (options.copyOf !== undefined) await cp(options.copyOf, dataDir, { recursive: true });
  const removeData = () => rm(dataDir, { recursive: true, force: true });
  try {
    const server = await start([GAMETAPE, 'serve', '--port', '0', '--data', dataDir, '--json'], options);
    const stop = async () => {
      await server.stop();
      await removeData();
    };
    return { ...server, dataDir, stop };
  } catch (error) {
    await removeData();
    throw error;
  }
}

/** The least that relays: a `ws` server that sends each message to the others of its room. */
export async function startBareRelay(options: ServerOptions = {}): Promise<ServerProcess> {
  return { ...(await start([BARE], options)), dataDir: undefined };
}

/** A command that runs on one core, where one is named. */
function pinned(command: readonly [string, ...string[]], core: number | undefined): readonly [string, ...string[]] {
  return core === undefined ? command : ['taskset', '-c', String(core), ...command];
}

async function start(
  args: readonly string[],
  { core, nodeOptions = [] }: ServerOptions,
): Promise<Omit<ServerProcess, 'dataDir'>> {
  const [command, ...rest] = pinned([process.execPath, ...nodeOptions, ...args], core);
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'] });
  const { ws } = await firstLine(child);
  const stop = async () => {
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
  };
  return { wsUrl: ws, pid: child.pid as number, stop };
}

async function firstLine(child: ChildProcess): Promise<{ ws: string }> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const line = once(lines, 'line', { signal: AbortSignal.timeout(STARTS_WITHIN_MS) }) as Promise<[string]>;
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`the server did not start: exit code ${code}`);
  });
  const [json] = await Promise.race([line, gone]);
  gone.catch(() => {});
  return JSON.parse(json) as { ws: string };
}
