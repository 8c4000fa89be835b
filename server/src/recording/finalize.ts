import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type EndRecord, type ErrorCode, GametapeError, type RecordingSummary } from '@gametape/shared';
import type { JournalDamage } from '../journal/damage.ts';
import type { SealedBlocks } from '../journal/journal.ts';
import type { Loss } from './losses.ts';

export interface FinalizeJob {
  readonly sealed: SealedBlocks;
  /** Path of the finished `.lmsp` file; the `.lmsp.gz` file goes beside it. */
  readonly target: string;
  readonly formats: 'binary' | 'gzip' | 'both';
  readonly end: EndRecord;
}

export interface Finalized {
  readonly summary: RecordingSummary;
  /** Sealed blocks that were damaged: a copy of each is kept, and the recording states what it lacks (J6). */
  readonly damage: readonly JournalDamage[];
  /** What is lost with those, and with sealed blocks that are not there any more. */
  readonly lost: readonly Loss[];
}

/** What a finalize worker says when it is done. */
export type FinalizeResult =
  | Finalized
  | { readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint: string } };

/** Live rooms keep a core of their own (R7). */
const MAX_WORKERS = Math.max(1, availableParallelism() - 1);
const waiting: (() => void)[] = [];
let workers = 0;

/**
 * Writes the finished files of a recording from its sealed blocks, in a worker thread, off this event loop (R7). A file
 * appears under its name when it is whole and stable. It may be called again at any time, also after a kill: the sealed
 * blocks are left alone, and the result is the same. Of damaged blocks the recording has what is intact, and states the rest.
 *
 * @throws GametapeError `DAMAGED` when nothing of the sealed blocks is intact, `NOT_FOUND` when there are none,
 *   `JOURNAL_FAILED` when the disk fails.
 */
export async function finalize(job: FinalizeJob): Promise<Finalized> {
  if (workers >= MAX_WORKERS) await new Promise<void>((resolve) => waiting.push(resolve));
  else workers++;
  try {
    return await runWorker(job);
  } finally {
    // The place goes straight to who waits longest, so that nobody takes it in between.
    const next = waiting.shift();
    if (next) next();
    else workers--;
  }
}

function runWorker(job: FinalizeJob): Promise<Finalized> {
  return new Promise((resolve, reject) => {
    // Options of this process that are about its own script (`--input-type`, `--eval`) would stop a worker from starting.
    const options = { workerData: job, execArgv: [] };
    const worker = new Worker(new URL('./finalize-worker.js', import.meta.url), options);
    worker.once('message', (result: FinalizeResult) => {
      if ('summary' in result) resolve(result);
      else reject(new GametapeError(result.error.code, result.error.message, { hint: result.error.hint }));
    });
    worker.once('error', (cause) => {
      reject(new GametapeError('JOURNAL_FAILED', `${job.target}: finishing it failed: ${cause.message}`, { cause }));
    });
    worker.once('exit', (code) => {
      reject(new GametapeError('JOURNAL_FAILED', `${job.target}: finishing it stopped with exit code ${code}`));
    });
  });
}
