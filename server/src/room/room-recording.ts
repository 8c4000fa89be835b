import {
  type CheckpointPlace,
  type Compression,
  EventType,
  type GameEvent,
  isGametapeError,
  type PlayClock,
  type Position,
  type RoomRecord,
  type TimelineEntry,
} from '@gametape/shared';
import type { RoomClock } from '../timeline/clock.ts';
import { Timeline } from '../timeline/timeline.ts';
import { noticeOf } from './notice.ts';
import { RateLimit } from './rate-limit.ts';
import type { RecentEntries } from './recent-entries.ts';
import { isForOwner } from './relay-bodies.ts';
import { RoomCheckpoints } from './room-checkpoints.ts';
import type { RoomLimits } from './room-limits.ts';
import type { RoomOutput } from './room-output.ts';
import type { RoomStart } from './room-start.ts';
import type { Seat } from './seat.ts';
import type { Seats } from './seats.ts';

export interface RoomRecordingOptions {
  readonly seats: Seats;
  readonly limits: RoomLimits;
  readonly recent: RecentEntries;
  readonly output: RoomOutput;
  readonly compression: Compression;
  readonly checkpointsPerMinute: number;
}

/** What a room has recorded so far: one order of entries, and how the room stands after the last of them. */
export class RoomRecording {
  readonly timeline = new Timeline();
  readonly checkpoints: RoomCheckpoints;
  readonly playClock: PlayClock;
  readonly #epoch: number;
  readonly #epochEnds: ReadonlyMap<number, number>;
  readonly #clock: RoomClock;
  readonly #options: RoomRecordingOptions;
  readonly #checkpointRate: RateLimit;
  #headSeq: number;
  #events: number;

  constructor(start: RoomStart, options: RoomRecordingOptions) {
    this.checkpoints = new RoomCheckpoints(start.meta.room, start.checkpoints);
    this.playClock = start.playClock;
    this.#epoch = start.epoch;
    this.#epochEnds = start.epochEnds;
    this.#clock = start.clock;
    this.#options = options;
    this.#checkpointRate = new RateLimit(options.checkpointsPerMinute, start.clock.now());
    this.#headSeq = start.headSeq;
    this.#events = start.events;
    for (const { entry } of start.recent) this.timeline.remember(entry.seq, entry);
  }

  get headSeq(): number {
    return this.#headSeq;
  }

  get events(): number {
    return this.#events;
  }

  /**
   * Whether whoever stands at that position can be shown all the rest (W4). An epoch that wrote nothing has left no trace: it
   * ended where the one before it did.
   */
  covers({ epoch, seq }: Position): boolean {
    const end = this.#endOf(epoch);
    return end !== undefined && seq <= end && this.#options.recent.covers(seq);
  }

  /**
   * The seq after which nothing is there any more of what whoever stands at that position has been shown, undefined where all of it
   * is. Nobody knows that of epochs whose ends are forgotten: then it is 0.
   */
  lostAfter({ epoch, seq }: Position): number | undefined {
    const end = this.#endOf(epoch) ?? 0;
    return seq > end ? end : undefined;
  }

  /**
   * Adds the entry after `headSeq`. What it changes about the room comes first: the block may be sealed with it, and the next
   * says how things stand.
   *
   * @param arrival room time, in microseconds
   * @param event what the entry's body says happened, undefined for a state alone
   */
  append(entry: TimelineEntry, seat: Seat, arrival: number, event: GameEvent | undefined): void {
    this.#headSeq = entry.seq;
    const isOwn = entry.stamp !== null;
    // Of one whose joining a power loss took with it, not everybody has been told who knows those after it (J4).
    const restarts = seat.firstSeq === 0 || (seat.restarts && isOwn);
    if (isOwn) seat.restarts = false;
    if (seat.firstSeq === 0) seat.firstSeq = entry.seq;
    if (event) {
      this.#events++;
      this.playClock.observe(entry.time, seat.player, event);
    }
    this.timeline.remember(entry.seq, entry);
    this.#options.output.addEntry({ entry, restarts, arrival, isForOwner: !isOwn && isForOwner(event?.type) });
    if (isOwn && event?.type === EventType.CHECKPOINT) this.#nameCheckpoint(seat, entry, event.data.name);
  }

  /**
   * The name, if there may be a checkpoint of it now. It counts against what a room may make (S2).
   *
   * @throws GametapeError `BAD_EVENT`, `NAME_TAKEN`, `LIMIT_EXCEEDED`, with `retryAfterS` where only time is needed
   */
  admitCheckpoint(name: unknown): string {
    const admitted = this.checkpoints.check(name);
    const { seats } = this.#options;
    this.#checkpointRate.take(`checkpoint ${JSON.stringify(admitted)}`, this.#clock.now());
    // A hash of each is noted.
    this.#checkpointRate.charge(seats.stateBytes);
    return admitted;
  }

  /** Names the point right after an entry, with every player's state there. The name is one that was admitted. */
  addCheckpoint({ seq, time }: TimelineEntry, name: string): CheckpointPlace {
    const { seats, output, compression } = this.#options;
    const known = seats.current.filter(({ context }) => context.state.size > 0);
    const hashes = known.map(({ context }) => [context.index, context.state.hash(compression.crc32)] as const);
    const place = { name, seq, time };
    this.checkpoints.add(place);
    output.addCheckpoint({ ...place, eventIndex: 0, hashes });
    return place;
  }

  /** How the room stands now, for whoever recovers it from here on (J3). */
  describe(): RoomRecord {
    const { playClock } = this;
    const { seats, limits } = this.#options;
    return {
      headSeq: this.#headSeq,
      time: this.#clock.now(),
      events: this.#events,
      gaps: limits.gaps,
      epochEnds: [...this.#epochEnds, [this.#epoch, this.#headSeq]],
      checkpoints: this.checkpoints.places,
      ...playClock.told,
      producers: seats.all.map((seat) => seat.describe()),
    };
  }

  #endOf(epoch: number): number | undefined {
    if (epoch === this.#epoch) return this.#headSeq;
    const known = epoch > this.#epoch ? [] : [...this.#epochEnds.keys()].filter((earlier) => earlier <= epoch);
    return this.#epochEnds.get(Math.max(0, ...known));
  }

  /** A name that cannot be given is answered: the event is recorded all the same. */
  #nameCheckpoint(seat: Seat, entry: TimelineEntry, name: unknown): void {
    try {
      this.addCheckpoint(entry, this.admitCheckpoint(name));
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      seat.receiver?.send(noticeOf(error, entry.pseq));
    }
  }
}
