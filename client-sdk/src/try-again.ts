/** What is worth another try, and how many. */
export interface Persistence {
  /** In all. */
  readonly tries: number;
  /** How long to wait after so many tries, in milliseconds. */
  readonly pauseMs: (tries: number) => number;
  readonly isWorthIt: (error: unknown) => boolean;
  /** Nobody waits any more: its reason is what the caller gets. */
  readonly signal?: AbortSignal;
}

/** Does what may fail for a while, until it is done. `work` is told which try it is, from 1. @throws its last error */
export async function tryAgain<Result>(
  work: (tries: number) => Promise<Result>,
  { tries: limit, pauseMs, isWorthIt, signal }: Persistence,
): Promise<Result> {
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    try {
      return await work(tries);
    } catch (error) {
      signal?.throwIfAborted();
      if (tries === limit || !isWorthIt(error)) throw error;
    }
    await pause(pauseMs(tries), signal);
  }
}

/** Twice as long each time. */
export function doubling(firstMs: number): (tries: number) => number {
  return (tries) => firstMs * 2 ** (tries - 1);
}

/** Resolves after that time, or as soon as nobody waits any more. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
