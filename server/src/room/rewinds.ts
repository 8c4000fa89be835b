import { GametapeError } from '@gametape/shared';
import type { RelayOptions } from '../options.ts';
import { RateLimit } from './rate-limit.ts';
import type { Room } from './room.ts';
import type { Seat } from './seat.ts';

/** Each reads the journal and then writes every player's state into the recording. */
const MAX_WAITING = 4;

/** The rewinds of a live room: one at a time, and not too many (T8, S2). */
export class Rewinds {
  readonly #room: Room;
  readonly #checkOpen: () => void;
  readonly #rate: RateLimit;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param checkOpen throws when nothing may be recorded any more */
  constructor(room: Room, { rewindsPerMinute }: RelayOptions, checkOpen: () => void) {
    this.#room = room;
    this.#checkOpen = checkOpen;
    this.#rate = new RateLimit(rewindsPerMinute, room.clock.now());
  }

  /**
   * Restores what every player had at a checkpoint.
   *
   * @param seat of the player who asks; some player's if nobody does
   * @throws GametapeError `NOT_FOUND`, `DAMAGED`, `ROOM_ENDED`, `JOURNAL_FAILED`, `LIMIT_EXCEEDED`, with `retryAfterS` where only
   *   time is needed; then nothing is rewound
   */
  async rewind(name: string, seat?: Seat): Promise<void> {
    const { recording, clock } = this.#room;
    this.#checkOpen();
    recording.checkpoints.get(name);
    const what = `rewind to ${JSON.stringify(name)}`;
    if (this.#waiting >= MAX_WAITING) {
      throw new GametapeError('LIMIT_EXCEEDED', `${what}: ${this.#waiting} others wait`, { retryAfterS: 1 });
    }
    this.#rate.take(what, clock.now());
    this.#waiting++;
    const done = this.#last.then(() => this.#rewind(name, seat));
    this.#last = done.catch(() => undefined).finally(() => this.#waiting--);
    await done;
  }

  async #rewind(name: string, seat: Seat | undefined): Promise<void> {
    const { recording, seats, relayEvents, output } = this.#room;
    const states = await this.#room.statesAt(recording.checkpoints.get(name));
    this.#checkOpen();
    this.#rate.charge([...states.values()].reduce((sum, { bytes }) => sum + bytes, 0));
    // Who asked may be gone by now, and another instance in its place.
    const holder = seat && seats.current.includes(seat) && seat.presence !== 'gone' ? seat : seats.any();
    relayEvents.rewind(holder, name, states);
    await output.flushed();
  }
}
