import { fork, type Serializable, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface LoadProcess<Result> {
  /** What it says next. Rejects when it has ended. */
  next(): Promise<Result>;
  send(message: Serializable): void;
  /** Resolves when it has ended. */
  stop(): Promise<void>;
}

export interface Placement {
  readonly core: number;
  /** It gives way to those on its core that are less nice: 0 to 19. @default 0 */
  readonly niceness?: number;
  /** It runs before all others on its core whenever it can, as one on a machine of its own would; see `mayGoFirst`. @default false */
  readonly goesFirst?: boolean;
}

const GO_FIRST = ['chrt', '--rr', '1'];

/** Whether this user may have a process go first on its core: root, mostly. */
export function mayGoFirst(): boolean {
  const [command = '', ...args] = GO_FIRST;
  return spawnSync(command, [...args, 'true']).status === 0;
}

/** Starts a load of `processes/` in a process of its own, pinned to one core, and tells it its order. */
export function startLoad<Order, Result>(
  name: 'load' | 'players' | 'crowd',
  order: Order,
  { core, niceness = 0, goesFirst = false }: Placement,
): LoadProcess<Result> {
  const script = fileURLToPath(new URL(`../processes/${name}.js`, import.meta.url));
  const nice = niceness > 0 ? ['nice', '-n', String(niceness)] : [];
  const child = fork(script, {
    execPath: 'taskset',
    execArgv: ['-c', String(core), ...nice, ...(goesFirst ? GO_FIRST : []), process.execPath],
  });
  const exit = once(child, 'exit');
  const exited = exit.then(([code]) => {
    throw new Error(`the load generator ${name} ended with exit code ${code}, without a result`);
  });
  exited.catch(() => {});
  child.send(order as Serializable);
  return {
    next: async () => {
      const [message] = await Promise.race([once(child, 'message'), exited]);
      return message as Result;
    },
    send: (message) => void child.send(message),
    stop: async () => {
      if (child.connected) child.disconnect();
      await exit;
    },
  };
}

/** Runs one that gives one result. */
export async function runLoad<Order, Result>(name: 'load', order: Order, core: number): Promise<Result> {
  const load = startLoad<Order, Result>(name, order, { core });
  try {
    return await load.next();
  } finally {
    await load.stop();
  }
}
