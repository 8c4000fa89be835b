import { ExitCode } from './exit-code.ts';

type Signal = 'SIGINT' | 'SIGTERM';

const controller = new AbortController();
const cleanups = new Set<() => void>();
let isHandled = false;
let received: Signal | undefined;

/** The exit code of a verb that stopped because it was asked to. */
export function interruptedExitCode(): ExitCode {
  return received === 'SIGTERM' ? ExitCode.Ok : ExitCode.Interrupted;
}

/**
 * Aborts at the first SIGINT or SIGTERM: for verbs that need to stop in order. They have to end by themselves then. A second
 * signal ends the process at once, but for a SIGTERM after a SIGTERM: whoever supervises the process may say it twice (J7).
 */
export function interruption(): AbortSignal {
  isHandled = true;
  return controller.signal;
}

/** `work`, or the reason of `signal` if that is aborted first. The work itself goes on. */
export function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Runs `cleanup`, which has to be synchronous, if a signal ends the process. Returns what takes it back. */
export function onKilled(cleanup: () => void): () => void {
  cleanups.add(cleanup);
  return () => {
    cleanups.delete(cleanup);
  };
}

/** To be called once, before any verb runs. */
export function watchSignals(): void {
  process.on('SIGINT', receive);
  process.on('SIGTERM', receive);
}

function receive(signal: Signal): void {
  if (signal === 'SIGTERM' && received === 'SIGTERM') return;
  if (isHandled && received === undefined) {
    received = signal;
    controller.abort();
    return;
  }
  for (const cleanup of cleanups) cleanup();
  process.exit(ExitCode.Interrupted);
}
