import type { Json, JsonObject, RecordingMeta, RecordingReader, RecordingSource } from '@gametape/shared';
import { shiftSeconds } from './shift-seconds.ts';

/** What the top level of an imported recording says that holds for that whole recording only. */
const OF_THE_WHOLE: ReadonlySet<string> = new Set([
  'duration',
  'created_at',
  'complete',
  'players',
  'success',
  'final_code',
  'final_time',
  'source',
]);
const OUTCOME = ['success', 'final_code', 'final_time'];

/** The recording and the range that a part of this one lies in: a cut of a cut is a cut of the first one. */
export function sourceOf(
  verb: 'cut' | 'merge' | 'redact',
  meta: RecordingMeta,
  { from, to, playFrom }: Pick<RecordingSource, 'from' | 'to' | 'playFrom'>,
): RecordingSource {
  const root = rootOf(meta);
  return {
    verb,
    recordingId: root.recordingId,
    from: root.from + from,
    to: root.from + to,
    playFrom: root.playFrom + playFrom,
  };
}

/** The recording that this one is a part of, and where its time 0 lies in it: itself, unless it was cut or redacted. */
export function rootOf({
  recordingId,
  source,
}: RecordingMeta): Pick<RecordingSource, 'recordingId' | 'from' | 'playFrom'> {
  const [first, ...others] = source ?? [];
  if (!first || others.length > 0 || first.verb === 'merge') return { recordingId, from: 0, playFrom: 0 };
  return { recordingId: first.recordingId, from: first.from, playFrom: first.playFrom };
}

/** The top level without what is no longer true; exports make that anew. */
export function lmspOfPart(lmsp: JsonObject | undefined, { isWhole }: { isWhole: boolean }): { lmsp?: JsonObject } {
  if (!lmsp) return {};
  const isKept = (name: string) => name !== 'recording_id' && (isWhole || !OF_THE_WHOLE.has(name));
  return { lmsp: Object.fromEntries(Object.entries(lmsp).filter(([name]) => isKept(name))) };
}

/** How the session went, as its summary says, or else the file it was imported from. */
export function outcomeOf({ summary, meta }: RecordingReader): JsonObject | undefined {
  if (summary?.outcome) return summary.outcome;
  const said = OUTCOME.filter((name) => meta.lmsp?.[name] !== undefined);
  if (said.length === 0) return undefined;
  return Object.fromEntries(said.map((name) => [name, meta.lmsp?.[name] as Json]));
}

/** The same when time starts later by so many microseconds: what was over by then has a time below 0. */
export function outcomeFrom(outcome: JsonObject, us: number): JsonObject {
  const { final_time: time } = outcome;
  return typeof time === 'number' ? { ...outcome, final_time: shiftSeconds(time, -us) } : outcome;
}
