import type { RoomRecording } from '../room/room-recording.ts';
import type { Seats } from '../room/seats.ts';
import { snapshotOf } from '../room/snapshot.ts';
import type { RoomClock } from '../timeline/clock.ts';
import type { ShownRoom, Standing } from './shown-room.ts';

/** A room that is shown without a delay: as it is. What the journal does not have yet has to be waited for. */
export class LiveView implements ShownRoom {
  readonly isHidden = false;
  readonly #seats: Seats;
  readonly #recording: RoomRecording;
  readonly #clock: RoomClock;

  constructor(seats: Seats, recording: RoomRecording, clock: RoomClock) {
    this.#seats = seats;
    this.#recording = recording;
    this.#clock = clock;
  }

  standing(): Standing {
    const { headSeq, events, checkpoints, playClock } = this.#recording;
    return {
      seq: headSeq,
      events,
      players: this.#seats.players,
      producers: this.#seats.all.map(({ context: { index, player, instance } }) => ({ index, player, instance })),
      checkpoints: checkpoints.places,
      ...playClock.told,
      playTime: playClock.playTime(this.#clock.now()),
    };
  }

  snapshot(): Uint8Array {
    return snapshotOf(this.#seats.current.map(({ context }) => context));
  }

  show(): void {}

  hide(): void {}
}
