import {
  type CheckpointPlace,
  type Compression,
  EventType,
  type GameEvent,
  PlayClock,
  type PlayerInfo,
  ProducerContext,
  type Profile,
  type TimelineEntry,
} from '@gametape/shared';
import { copyContext } from '../recording/copy-context.ts';
import type { RecentEntries } from '../room/recent-entries.ts';
import type { RestoredProducer, RoomStart } from '../room/room-start.ts';
import type { Seats } from '../room/seats.ts';
import { snapshotOf } from '../room/snapshot.ts';
import type { RoomClock } from '../timeline/clock.ts';

import type { ShownRoom, Standing } from './shown-room.ts';

export interface DelayedViewOptions {
  readonly start: RoomStart;
  readonly seats: Seats;
  readonly recent: RecentEntries;
  /** Names that were given, at least those up to what is shown. */
  readonly checkpoints: () => readonly CheckpointPlace[];
  readonly clock: RoomClock;
  readonly delayUs: number;
  readonly compression: Compression;
}

/** How it looks as long as it is hidden. */
interface Picture {
  readonly standing: Standing;
  readonly snapshot: Uint8Array;
}

/**
 * A room as it was some time ago: a second set of its producers' contexts, which takes each entry when it is due (V2). What has
 * to be taken before that, because it cannot wait in memory, is hidden: until it is due, the room looks as it did before.
 */
export class DelayedView implements ShownRoom {
  readonly #options: Omit<DelayedViewOptions, 'start'>;
  readonly #profile: Profile;
  readonly #contexts = new Map<number, ProducerContext>();
  readonly #players = new Map<string, PlayerInfo>();
  readonly #playClock: PlayClock;
  #seq: number;
  #events: number;
  /** What is shown in place of the room as long as it is hidden; and what in place of that, before all of it is. */
  #frozen: Picture | undefined;
  #next: Picture | undefined;

  constructor({ start, ...options }: DelayedViewOptions) {
    this.#options = options;
    this.#profile = start.profile;
    const { pauses, paused, changes } = start.playClock.told;
    this.#playClock = new PlayClock(pauses, paused, changes);
    this.#seq = start.headSeq;
    this.#events = start.events;
    for (const producer of start.producers) this.#restore(producer);
    if (start.headSeq > 0) this.#frozen = { standing: NOTHING_YET, snapshot: new Uint8Array(0) };
  }

  get isHidden(): boolean {
    return this.#frozen !== undefined;
  }

  standing(): Standing {
    return this.#frozen?.standing ?? this.#standing();
  }

  snapshot(): Uint8Array {
    return this.#frozen?.snapshot ?? this.#snapshot();
  }

  #standing(): Standing {
    const { seats, checkpoints, clock, delayUs } = this.#options;
    const producers = seats.all.filter(({ context: { index } }) => this.#contexts.has(index));
    return {
      seq: this.#seq,
      events: this.#events,
      players: [...this.#players.values()],
      producers: producers.map(({ context: { index, player, instance } }) => ({ index, player, instance })),
      checkpoints: checkpoints().filter(({ seq }) => seq <= this.#seq),
      ...this.#playClock.told,
      playTime: Math.max(0, this.#playClock.playTime(clock.now() - delayUs)),
    };
  }

  #snapshot(): Uint8Array {
    // The latest of each player, as indexes go.
    const latest = new Map([...this.#contexts.values()].map((context) => [context.player, context]));
    return snapshotOf(latest.values());
  }

  show(upTo: number): void {
    this.#takeUpTo(upTo);
    if (this.#seq === upTo) this.#frozen = undefined;
    else if (this.#next?.standing.seq === upTo) this.#frozen = this.#next;
    else return;
    this.#next = undefined;
  }

  hide(upTo: number): void {
    if (!this.#frozen) this.#frozen = this.#picture();
    else this.#next ??= this.#picture();
    this.#takeUpTo(upTo);
  }

  #picture(): Picture {
    return { standing: this.#standing(), snapshot: this.#snapshot() };
  }

  #takeUpTo(seq: number): void {
    for (const { entry } of this.#options.recent.between(this.#seq, seq)) this.#take(entry);
  }

  #take(entry: TimelineEntry): void {
    const { seats, compression } = this.#options;
    let context = this.#contexts.get(entry.producer);
    if (!context) {
      const { index, player, instance } = (seats.all[entry.producer] as Seats['all'][number]).context;
      context = new ProducerContext(this.#profile, { index, player, instance });
      this.#contexts.set(entry.producer, context);
    }
    const { event } = context.advance(entry, 'BAD_MESSAGE', compression.crc32);
    this.#seq = entry.seq;
    if (!event) return;
    this.#events++;
    this.#playClock.observe(entry.time, context.player, event);
    if (entry.stamp === null) this.#follow(context.player, event);
  }

  #follow(id: string, { type, data }: GameEvent): void {
    if (type === EventType.PLAYER_JOIN) {
      const name = typeof data.name === 'string' ? { name: data.name } : undefined;
      this.#players.set(id, { id, connected: true, ...name });
    } else if (type === EventType.PLAYER_LEAVE) {
      this.#players.set(id, { ...(this.#players.get(id) ?? { id }), connected: false });
    }
  }

  #restore({ context, isPresent, hasJoined }: RestoredProducer): void {
    if (!hasJoined) return;
    this.#contexts.set(context.index, copyContext(context, this.#profile));
    this.#players.set(context.player, { id: context.player, connected: isPresent });
  }
}

const NOTHING_YET: Standing = {
  seq: 0,
  events: 0,
  players: [],
  producers: [],
  checkpoints: [],
  pauses: [],
  paused: undefined,
  changes: [],
  playTime: 0,
};
