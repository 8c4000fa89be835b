import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../server/dist/cli/main.js', import.meta.url));
const SCRIPT = '/usr/bin/script';

export const hasTerminal = existsSync(SCRIPT);

export interface TerminalRun {
  /** All that the terminal was sent, with its control characters. */
  readonly screen: string;
  readonly code: number | null;
}

/**
 * Runs the command line in a pseudo-terminal of util-linux' `script`, as words of a shell command, so that they may redirect.
 * `type` is typed once the screen matches `at`.
 */
export async function inTerminal(command: string, keys?: { at: RegExp; type: string }): Promise<TerminalRun> {
  const gametape = `${quote(process.execPath)} ${quote(MAIN)}`;
  const child = spawn(SCRIPT, ['-qec', command.replace(/\bgametape(?= )/g, gametape), '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', COLUMNS: '80' },
  });
  let screen = '';
  let isTyped = keys === undefined;
  child.stdout.on('data', (data) => {
    screen += String(data);
    if (isTyped || !keys?.at.test(screen)) return;
    isTyped = true;
    child.stdin.write(keys.type);
  });
  await once(child, 'close');
  return { screen, code: child.exitCode };
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
