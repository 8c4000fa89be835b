import { type Clocks, EventType, type GameEvent, type PlayerInfo } from '@gametape/shared';
import type { PlayerView } from './api.ts';
import { toSeconds } from './producer.ts';

/** Who is in a room, as far as its events have been shown, and how exact their times are, as the relay has told last (T2). */
export class RoomPlayers {
  readonly #views = new Map<string, PlayerView>();
  /** By producer, in microseconds; null where none is known. */
  readonly #clockErrors = new Map<number, number | null>();

  get views(): ReadonlyMap<string, PlayerView> {
    return this.#views;
  }

  /** Starts over with those that a welcome names. */
  welcome(players: readonly PlayerInfo[]): void {
    this.#views.clear();
    this.#clockErrors.clear();
    for (const player of players) this.#views.set(player.id, player);
  }

  /** How exact the times of producers are from now on. `playerOf` is undefined for one that has not been announced. */
  clocks({ errors }: Clocks, playerOf: (producer: number) => string | undefined): void {
    for (const [producer, errorUs] of errors) {
      this.#clockErrors.set(producer, errorUs);
      const known = this.#views.get(playerOf(producer) ?? '');
      if (known) this.#views.set(known.id, this.#withClock(known, producer));
    }
  }

  /** Bound of the error of a producer's times, in seconds; undefined where none is known. */
  clockErrorOf(producer: number): number | undefined {
    const errorUs = this.#clockErrors.get(producer);
    return errorUs === undefined || errorUs === null ? undefined : toSeconds(errorUs);
  }

  /** An event of that player is shown, which may be that it came or went. */
  follow(id: string, { type, data }: GameEvent, producer: number): void {
    if (type === EventType.PLAYER_JOIN) {
      const name = typeof data.name === 'string' ? { name: data.name } : undefined;
      this.#views.set(id, this.#withClock({ id, connected: true, ...name }, producer));
    } else if (type === EventType.PLAYER_LEAVE) {
      this.#views.set(id, { ...(this.#views.get(id) ?? { id }), connected: false });
    }
  }

  #withClock({ id, connected, name }: PlayerView, producer: number): PlayerView {
    const clockErrorS = this.clockErrorOf(producer);
    return { id, connected, ...(name !== undefined && { name }), ...(clockErrorS !== undefined && { clockErrorS }) };
  }
}
