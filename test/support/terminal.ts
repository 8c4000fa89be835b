import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('../../server/dist/cli/main.js', import.meta.url));
const SCRIPT = '/usr/bin/script';

export const hasTerminal = existsSync(SCRIPT);

export interface TerminalRun {
  /** All that the terminal was sent, with its control characters. */
  readonly screen: string;
  readonly code: number | null;
}

/** Keys that are typed once what the terminal was sent since the keys before them matches `at`. */
export interface TypedKeys {
  readonly at: RegExp;
  readonly type: string;
  /** Called as they are typed. */
  readonly onTyped?: () => void;
}

/**
 * Runs the command line in a pseudo-terminal of util-linux' `script`, as words of a shell command, so that they may redirect.
 */
export async function inTerminal(
  command: string,
  keys: TypedKeys | readonly TypedKeys[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<TerminalRun> {
  const gametape = `${quote(process.execPath)} ${quote(MAIN)}`;
  const child = spawn(SCRIPT, ['-qec', command.replace(/\bgametape(?= )/g, gametape), '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', COLUMNS: '80', ...env },
  });
  // Whatever waits for keys in it is hung up on.
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const left = [keys].flat();
  let screen = '';
  let seen = 0;
  child.stdout.on('data', (data) => {
    screen += String(data);
    const [next] = left;
    if (!next?.at.test(screen.slice(seen))) return;
    left.shift();
    seen = screen.length;
    child.stdin.write(next.type);
    next.onTyped?.();
  });
  await once(child, 'close');
  return { screen, code: child.exitCode };
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
