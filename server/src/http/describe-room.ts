import type { LiveRoom } from '../room/live-room.ts';

/** A live room as the API shows it. */
export function describeRoom({ room, membership }: LiveRoom): object {
  return {
    room: room.name,
    recordingId: room.recordingId,
    profile: room.profile.name,
    players: membership.players,
    spectators: room.broadcast.spectators.size,
    events: room.recording.events,
    checkpoints: room.recording.checkpoints.names,
    durationS: room.recording.playClock.playTime(room.clock.now()) / 1_000_000,
    ...(room.output.failure && { failure: room.output.failure.message }),
  };
}
