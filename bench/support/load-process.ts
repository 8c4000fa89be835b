import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadOrder, LoadResult } from './load.ts';

const LOAD = fileURLToPath(new URL('../processes/load.js', import.meta.url));

/** Runs a load in a process of its own, on one core. */
export async function runLoad(order: LoadOrder, core: number): Promise<LoadResult> {
  const child: ChildProcess = fork(LOAD, { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath] });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the load generator ended with exit code ${code}, without a result`);
  });
  exited.catch(() => {});
  child.send(order);
  const [result] = await Promise.race([once(child, 'message'), exited]);
  return result as LoadResult;
}
