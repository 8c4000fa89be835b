import type { EndRecord, RecordingMeta } from '@gametape/shared';

/** When spectators of a room have been shown all of it (V2): milliseconds since 1970, 0 where there is no delay. */
export function dueTimeMs(
  { createdAt, spectatorDelayMs = 0 }: RecordingMeta,
  { endedAt }: Pick<EndRecord, 'endedAt'>,
): number {
  return spectatorDelayMs === 0 ? 0 : createdAt * 1_000 + endedAt / 1_000 + spectatorDelayMs;
}
