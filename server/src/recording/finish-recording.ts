import { type EndRecord, isGametapeError, type SessionSummary } from '@gametape/shared';
import type { Journal } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import type { Finalized, FinalizeJob } from './finalize.ts';
import type { RecordingStore } from './recording-store.ts';

export interface FinishOptions {
  readonly journal: Journal;
  readonly store: RecordingStore;
  readonly finalize: (job: FinalizeJob) => Promise<Finalized>;
  readonly formats: FinalizeJob['formats'];
  readonly log: Logger;
}

/** A room that has ended. */
export interface FinishedRoom {
  readonly recordingId: string;
  readonly room: string;
  /** The journal is still read from: whoever asks for this lets go of it later. */
  readonly keepsJournal?: boolean;
}

/** Puts everything a room left into its finished files, and lets go of its journal only then. */
export async function finishRecording(
  { journal, store, finalize, formats, log }: FinishOptions,
  { recordingId, room, keepsJournal = false }: FinishedRoom,
  end: EndRecord,
): Promise<SessionSummary> {
  const target = store.path(recordingId);
  const { summary, damage, lost } = await finalize({ sealed: await journal.sealed(recordingId), target, formats, end });
  for (const damaged of damage) log.error({ room, recordingId, ...damaged }, 'sealed blocks damaged');
  for (const { fromByte, toByte, ...loss } of lost) log.error({ room, recordingId, ...loss }, 'events are lost');
  if (!keepsJournal) await journal.discard(recordingId);
  log.info(
    { room, recordingId, events: summary.events, complete: summary.complete, path: target },
    'recording finished',
  );
  const { complete, events, players, durationUs } = summary;
  return { recordingId, room, complete, durationS: durationUs / 1_000_000, events, players };
}

/** What a client that comes back after the end is told; undefined where there is no such recording. */
export async function finishedSummary(store: RecordingStore, recordingId: string): Promise<SessionSummary | undefined> {
  try {
    const { room, complete, durationS, events, players } = await store.info(recordingId);
    return { recordingId, room, complete, durationS, events, players };
  } catch (error) {
    if (isGametapeError(error, 'NOT_FOUND') || isGametapeError(error, 'BAD_ID')) return undefined;
    throw error;
  }
}
