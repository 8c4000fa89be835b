import { parentPort, workerData } from 'node:worker_threads';
import { ERROR_HINTS, isGametapeError } from '@gametape/shared';
import type { FinalizeJob, FinalizeResult } from './finalize.ts';
import { writeRecording } from './write-recording.ts';

const job = workerData as FinalizeJob;
parentPort?.postMessage(await run());

async function run(): Promise<FinalizeResult> {
  try {
    return await writeRecording(job);
  } catch (error) {
    if (isGametapeError(error)) {
      const { code, message, hint } = error;
      return { error: { code, message, hint } };
    }
    // A disk that says no may say yes later.
    if (isSystemError(error)) {
      const message = `${job.target}: finishing it failed: ${error.message}`;
      return { error: { code: 'JOURNAL_FAILED', message, hint: ERROR_HINTS.JOURNAL_FAILED } };
    }
    // Anything else goes to the `error` event of the worker, which knows the stack.
    throw error;
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
