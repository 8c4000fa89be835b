import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../server/dist/cli/main.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly stdin?: Uint8Array | string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the real command line to its end. */
export async function gametape(args: readonly string[], { cwd, stdin, env }: RunOptions = {}): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, ...env } });
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

/** Starts a verb that stays, and resolves with the first line of its stdout as JSON. */
export async function startGametape(
  args: readonly string[],
  { cwd }: { cwd?: string } = {},
): Promise<{ child: ChildProcess; http: string; ws: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const errors = text(child.stderr);
  let line = '';
  for await (const chunk of child.stdout) {
    line += String(chunk);
    if (line.includes('\n')) break;
  }
  if (!line.includes('\n')) throw new Error(`gametape ${args.join(' ')} ended: ${await errors}`);
  const { http, ws } = JSON.parse(line) as { http: string; ws: string };
  return { child, http, ws };
}

/** Sends the signal and resolves with the exit code. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  child.kill(signal);
  await once(child, 'exit');
  return child.exitCode;
}
