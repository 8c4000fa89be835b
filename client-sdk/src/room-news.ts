import {
  type Crc32,
  type EventDown,
  type EventsDown,
  EventType,
  type SpectatorCount,
  type Welcome,
} from '@gametape/shared';
import type { SessionEvents } from './api.ts';
import type { Emitter } from './emitter.ts';
import type { OwnTrack } from './own-track.ts';
import type { Rewinds } from './rewinds.ts';
import { RoomView, type Shown } from './room-view.ts';

export interface RoomNewsOptions {
  readonly crc32: Crc32;
  readonly player: string;
  readonly instance: string;
  readonly track: OwnTrack;
  readonly rewinds: Rewinds;
  readonly emitter: Emitter<SessionEvents>;
}

/** What the relay shows a player: what others do, what it has made of this player itself (T8), and who watches. */
export class RoomNews {
  readonly view: RoomView;
  readonly #options: RoomNewsOptions;
  /** Index of its producer in the room, and seq of the last rewind of it that the welcome knew of. */
  #index = -1;
  #rewound = 0;
  #spectators: SpectatorCount = { count: 0, ids: [] };

  constructor(options: RoomNewsOptions) {
    this.#options = options;
    this.view = new RoomView(options.crc32);
  }

  get spectators(): SpectatorCount {
    return this.#spectators;
  }

  /** Bound of the error of this player's times, in seconds; undefined while none is known. */
  get clockErrorS(): number | undefined {
    return this.view.clockErrorOf(this.#index);
  }

  welcome(welcome: Welcome): void {
    this.#index = welcome.producer;
    this.#rewound = welcome.rewound ?? 0;
    this.watched(welcome.spectators);
    this.view.welcome(welcome, this.#options.track.clock());
  }

  /** @throws GametapeError `BAD_MESSAGE`, `DAMAGED` */
  snapshot(records: Uint8Array): void {
    const { track } = this.#options;
    const own = this.view.snapshot(records, this.#index);
    if (!own || this.#rewound <= track.outbox.base) return;
    const entries = [...own.state.entries()].map(({ key, value }) => [key, value] as const);
    track.rebase(this.#rewound, entries);
  }

  /** @throws GametapeError `BAD_MESSAGE`, `BAD_DELTA` when the view is out of step */
  events({ events, upTo }: Pick<EventsDown, 'events' | 'upTo'>): void {
    for (const event of events) {
      if (event.producer === this.#index) this.#showOwn(event);
      else this.#show(this.view.apply(event));
    }
    this.view.advanceTo(upTo);
  }

  watched({ count, ids }: SpectatorCount): void {
    const isNews = count !== this.#spectators.count || ids.join() !== this.#spectators.ids.join();
    this.#spectators = { count, ids };
    if (isNews) this.#options.emitter.emit('spectators', this.#spectators);
  }

  /** What the relay made of this player is taken over before anybody hears of it. */
  #showOwn(event: EventDown): void {
    const { player, instance, track } = this.#options;
    const body = this.view.readOwn(event, { index: this.#index, player, instance });
    if (body.change?.form === 'keyframe') track.rebase(event.seq, body.change.entries);
    if (body.event?.type === EventType.SPEED_CHANGE) track.followClockNow(body.event.data.speed !== 0);
    this.#show(this.view.showOwn(event, player, body.event, () => track.state));
  }

  #show({ event: live }: Shown): void {
    if (!live) return;
    const { emitter, player, rewinds } = this.#options;
    // What others have asked for says nothing about what this one still waits for: that would take back what follows.
    if (live.type === EventType.REWIND && live.player === player) rewinds.happened(live.data.name);
    emitter.emit('event', live);
    const { type } = live;
    if (type === 'player_join' || type === 'player_leave' || type === 'player_message' || type === 'rewind') {
      emitter.emit(type, live);
    }
  }
}
