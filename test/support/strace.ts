import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { tempDir } from './temp-dir.ts';
import { waitFor, within } from './wait-for.ts';

const CALLS = 'pwrite64,pwritev,fdatasync,ftruncate';
const LINE = /^\d+ +(\w+)\(\d+<([^>]*)>(.*)\) += (-?\d+)/;

/** One system call of a relay on one of its files, as it ended. */
export interface FileCall {
  readonly name: string;
  readonly path: string;
  /** Of a write, where it began. */
  readonly offset: number;
  readonly result: number;
  readonly isInjected: boolean;
}

/** strace at a process that runs: what it does to files, and what goes wrong with that. */
export class Strace {
  readonly #child: ChildProcess;
  readonly #output: string;

  private constructor(child: ChildProcess, output: string) {
    this.#child = child;
    this.#output = output;
  }

  /** `inject` is what strace calls so: `fdatasync:error=EIO:when=3`. Counts are of each thread. */
  static async attach(pid: number, inject: readonly string[] = []): Promise<Strace> {
    const output = join(await tempDir(), 'strace');
    const injected = inject.flatMap((what) => ['-e', `inject=${what}`]);
    const args = ['-f', '-y', '-s', '0', '-e', `trace=${CALLS}`, ...injected, '-o', output, '-p', String(pid)];
    const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const strace = new Strace(child, output);
    onTestFinished(() => strace.detach());
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await waitFor('strace to be attached', () => {
      if (child.exitCode !== null) throw new Error(`strace: ${said}`);
      return said.includes('attached');
    });
    return strace;
  }

  /** In the order in which they ended. */
  async calls(): Promise<FileCall[]> {
    const lines = (await readFile(this.#output, 'utf8')).split('\n');
    return lines.flatMap((line) => {
      const [, name = '', path = '', rest = '', result = ''] = LINE.exec(line) ?? [];
      if (name === '') return [];
      const offset = Number(/, (\d+)$/.exec(rest)?.[1] ?? 0);
      return [{ name, path, offset, result: Number(result), isInjected: line.includes('(INJECTED)') }];
    });
  }

  async injections(): Promise<number> {
    return (await this.calls()).filter(({ isInjected }) => isInjected).length;
  }

  /** The process goes on by itself. */
  async detach(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    await within('strace to detach', exited);
  }
}
