import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Runs a load of `processes/` in a process of its own, on one core: it is told its order, and sends one result. */
export async function runLoad<Order, Result>(name: 'load' | 'watch', order: Order, core: number): Promise<Result> {
  const script = fileURLToPath(new URL(`../processes/${name}.js`, import.meta.url));
  const child: ChildProcess = fork(script, {
    execPath: 'taskset',
    execArgv: ['-c', String(core), process.execPath],
  });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the load generator ended with exit code ${code}, without a result`);
  });
  exited.catch(() => {});
  child.send(order as Serializable);
  const [result] = await Promise.race([once(child, 'message'), exited]);
  return result as Result;
}
