import { parentPort, workerData } from 'node:worker_threads';
import { isGametapeError } from '@gametape/shared';
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
    // Anything else goes to the `error` event of the worker, which knows the stack.
    throw error;
  }
}
