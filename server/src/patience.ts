import { GametapeError, isGametapeError } from '@gametape/shared';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

export interface Patience {
  /** Aborted when nobody waits any more: its reason is what the caller then gets. */
  readonly signal: AbortSignal;
  /** Called with each fault that is waited out. */
  readonly onTrouble: (error: GametapeError) => void;
}

/**
 * Does what a disk may refuse for a while: again and again, ever more slowly, until it is done (J5).
 *
 * @throws whatever is no fault of a disk, and the reason of `signal`
 */
export async function persist<Result>(work: () => Promise<Result>, { signal, onTrouble }: Patience): Promise<Result> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!mayPass(error)) throw error;
      onTrouble(isGametapeError(error) ? error : new GametapeError('JOURNAL_FAILED', String(error), { cause: error }));
    }
    await pause(waitMs, signal);
  }
}

/** Whether it is the disk, or the system around it, that says no. */
export function mayPass(error: unknown): boolean {
  if (isGametapeError(error)) return error.code === 'JOURNAL_FAILED' && (!error.cause || mayPass(error.cause));
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
