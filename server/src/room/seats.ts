import { GametapeError, type PlayerInfo } from '@gametape/shared';
import type { Seat } from './seat.ts';

/** The seats of a room, one a producer: they are added and never taken away. */
export class Seats {
  readonly #room: string;
  readonly #all: Seat[];

  constructor(room: string, seats: Iterable<Seat>) {
    this.#room = room;
    this.#all = [...seats];
  }

  /** By producer index. */
  get all(): readonly Seat[] {
    return this.#all;
  }

  /** The latest of each player: older ones have been superseded. */
  get current(): Seat[] {
    return [...new Map(this.#all.map((seat) => [seat.player, seat])).values()];
  }

  /** Every player there was, and whether it is there. */
  get players(): PlayerInfo[] {
    return this.current.map(({ player, name, presence }) => {
      return { id: player, connected: presence !== 'gone', ...(name !== undefined && { name }) };
    });
  }

  /** Size of the states of all players together. */
  get stateBytes(): number {
    return this.current.reduce((sum, { context }) => sum + context.state.bytes, 0);
  }

  add(seat: Seat): void {
    this.#all.push(seat);
  }

  /**
   * For what is about the room and about no player: one that is present, or the first there was.
   *
   * @throws GametapeError `NOT_FOUND` while there is none
   */
  any(): Seat {
    const seats = this.current;
    const seat = seats.find(({ presence }) => presence === 'present') ?? seats[0];
    if (!seat) throw new GametapeError('NOT_FOUND', `room ${this.#room}: nobody has joined it`);
    return seat;
  }
}
