import type { LiveRoom } from '../room/live-room.ts';

/** A live room as the API shows it: as spectators are shown it (V2). */
export function describeRoom({ room }: LiveRoom): object {
  const { players, events, checkpoints, playTime } = room.audience.view.standing();
  const { count, ids } = room.audience.count;
  return {
    room: room.name,
    recordingId: room.recordingId,
    profile: room.profile.name,
    players,
    spectators: count,
    spectatorIds: ids,
    ...(room.audience.isDelayed && { spectatorDelayS: room.audience.delayMs / 1_000 }),
    events,
    checkpoints: checkpoints.map(({ name }) => name),
    durationS: playTime / 1_000_000,
    ...(room.output.sealFault && { failure: room.output.sealFault.message }),
  };
}
