import {
  type CheckpointPlace,
  type Compression,
  EventType,
  type JsonObject,
  type LiveState,
  type TimelineEntry,
} from '@gametape/shared';
import type { RoomClock } from '../timeline/clock.ts';
import { isLater, type Key, ORIGIN } from '../timeline/timeline.ts';
import { type LeaveReason, relayBody, restoringBody } from './relay-bodies.ts';
import type { RoomLimits } from './room-limits.ts';
import type { RoomRecording } from './room-recording.ts';
import type { Seat } from './seat.ts';
import type { Seats } from './seats.ts';

export interface RelayEventsOptions {
  readonly seats: Seats;
  readonly recording: RoomRecording;
  readonly limits: RoomLimits;
  readonly clock: RoomClock;
  readonly compression: Compression;
  /** States that players who are new start with, instead of what they come with. */
  readonly startStates: ReadonlyMap<string, LiveState>;
}

/** What the relay records by itself about players: their coming and going, checkpoints, pauses and rewinds. */
export class RelayEvents {
  readonly #options: RelayEventsOptions;

  constructor(options: RelayEventsOptions) {
    this.#options = options;
  }

  /** PLAYER_JOIN, with the state of the hello if it has one, which `Admission.checkState` has let through. */
  join(seat: Seat, data: JsonObject, state?: Uint8Array): void {
    const { context } = seat;
    seat.hasJoined = true;
    const entry = this.#record(seat, relayBody(context.vocabulary, EventType.PLAYER_JOIN, data, state));
    if (seat.firstSeq === entry.seq) seat.lastKey = entry;
  }

  /** A player that is new here starts from the checkpoint that the room started from, if it had a state there. */
  startFrom(seat: Seat): void {
    const { seats, startStates } = this.#options;
    const state = startStates.get(seat.player);
    if (!state || seats.all.some((other) => other !== seat && other.player === seat.player)) return;
    this.#restore(seat, restoringBody(seat.context.vocabulary, state));
  }

  /** PLAYER_LEAVE. */
  leave(seat: Seat, reason: LeaveReason): void {
    this.#record(seat, relayBody(seat.context.vocabulary, EventType.PLAYER_LEAVE, { reason }));
  }

  /** Names this point for nobody in particular. @throws GametapeError `BAD_EVENT`, `NAME_TAKEN`, `LIMIT_EXCEEDED`, `NOT_FOUND` */
  checkpoint(name: string): CheckpointPlace {
    const { seats, recording } = this.#options;
    const seat = seats.any();
    recording.admitCheckpoint(name);
    const entry = this.#record(seat, relayBody(seat.context.vocabulary, EventType.CHECKPOINT, { name }));
    return recording.addCheckpoint(entry, name);
  }

  /**
   * Play time stands still, or goes on for all who hold it: what they said by themselves counts as if they had taken it back.
   *
   * @throws GametapeError `NOT_FOUND`
   */
  setPaused(isPaused: boolean): void {
    const { seats, recording } = this.#options;
    const { paused } = recording.playClock;
    if (isPaused === (paused !== undefined)) return;
    const holders = isPaused ? [seats.any()] : seats.current.filter((seat) => paused?.players.includes(seat.player));
    for (const seat of holders) {
      const data = { speed: isPaused ? 0 : 1 };
      this.#record(seat, relayBody(seat.context.vocabulary, EventType.SPEED_CHANGE, data));
    }
  }

  /**
   * Restores the states of a checkpoint: one keyframe for each player that had one, the last with the REWIND (T8).
   *
   * @param holder whose event it is
   * @throws GametapeError `LIMIT_EXCEEDED` and nothing is rewound
   */
  rewind(holder: Seat, name: string, states: ReadonlyMap<string, LiveState>): void {
    const seats = this.#options.seats.current;
    this.#options.limits.checkAll(seats.map(({ player, context }) => (states.get(player) ?? context.state).bytes));
    const event = { type: EventType.REWIND, data: { name } };
    let after: Key = ORIGIN;
    for (const seat of [...seats.filter((other) => other !== holder), holder]) {
      const state = states.get(seat.player);
      const { vocabulary } = seat.context;
      if (seat !== holder && !state) continue;
      const made = seat === holder ? event : undefined;
      const body = state ? restoringBody(vocabulary, state, made) : relayBody(vocabulary, event.type, event.data);
      if (!state) this.#record(seat, body, after);
      else after = this.#restore(seat, body, after);
    }
  }

  /** What its player makes before it sees this comes after it all the same: states are as they follow each other. */
  #restore(seat: Seat, body: Uint8Array, after?: Key): TimelineEntry {
    seat.rewind(this.#options.recording.headSeq + 1);
    const entry = this.#record(seat, body, after);
    seat.lastKey = entry;
    return entry;
  }

  /** An entry about a seat, after that one in the order of the timeline. */
  #record(seat: Seat, body: Uint8Array, after: Key = ORIGIN): TimelineEntry {
    const { recording, clock, compression } = this.#options;
    const { context } = seat;
    const arrival = clock.now();
    const previous = { time: context.time, hlc: context.hlc };
    const { time, hlc } = recording.timeline.placeOwn(isLater(after, previous) ? after : previous, arrival);
    const seq = recording.headSeq + 1;
    const entry = { seq, producer: context.index, pseq: 0, time, hlc, stamp: null, body };
    const { event } = context.advance(entry, 'BAD_MESSAGE', compression.crc32);
    recording.append(entry, seat, arrival, event);
    return entry;
  }
}
