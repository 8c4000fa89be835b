import { createdDate, type PlayerSummary, type RecordingReader } from '@gametape/shared';

const MICROSECONDS = 1_000_000;
const FORMAT_VERSION = 2;

/** What the index of a recording says. Times are seconds of play time (T7). */
export interface RecordingInfo {
  readonly format: string;
  /** Of the format: a number for the binary one, what the file says for the seed's JSON. */
  readonly version: number | string | null;
  readonly recordingId: string;
  readonly room: string;
  readonly profile: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly durationS: number;
  /** It has its index and footer. */
  readonly finished: boolean;
  /** Every event that any player recorded is in it. */
  readonly complete: boolean;
  readonly players: readonly PlayerSummary[];
  readonly events: number;
  readonly checkpoints: readonly { readonly name: string; readonly timeS: number; readonly eventIndex: number }[];
  readonly blocks: number;
  /** Length of the file. */
  readonly bytes: number;
}

/** Reads nothing: the index is open already (R2). One that was never finished has no players, events or duration to tell. */
export function recordingInfo(reader: RecordingReader): RecordingInfo {
  const { meta, summary, blocks, bytes } = reader;
  const clock = reader.playClock();
  return {
    format: 'lmsp',
    version: FORMAT_VERSION,
    recordingId: meta.recordingId,
    room: meta.room,
    profile: meta.profile,
    createdAt: createdDate(meta.createdAt).toISOString(),
    durationS: reader.durationUs / MICROSECONDS,
    finished: summary !== undefined,
    complete: summary?.complete ?? false,
    players: summary?.players ?? [],
    events: summary?.events ?? 0,
    checkpoints: reader.checkpoints.map(({ name, time, eventIndex }) => {
      return { name, timeS: clock.playTime(time) / MICROSECONDS, eventIndex };
    }),
    blocks: blocks.length,
    bytes,
  };
}
