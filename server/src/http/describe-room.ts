import type { LiveRoom } from '../room/live-room.ts';

/** A live room as the API shows it. */
export function describeRoom({ room, membership }: LiveRoom): object {
  return {
    room: room.name,
    recordingId: room.recordingId,
    profile: room.profile.name,
    players: membership.players,
    spectators: room.spectators.size,
    events: room.events,
    checkpoints: room.checkpoints.names,
    durationS: room.playClock.playTime(room.clock.now()) / 1_000_000,
    ...(room.sealFault && { failure: room.sealFault.message }),
  };
}
