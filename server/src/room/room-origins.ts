import { GametapeError, isId, type RecordingMeta } from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { RoomOrigin } from '../recording/checkpoint-origin.ts';

/** Each holds the states of a checkpoint until somebody plays there. */
const MAX_ORIGINS = 64;

export interface RoomOriginsOptions {
  /** What a room may start from: `RECORDING#CHECKPOINT`. @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED` */
  readonly origin: (from: string) => Promise<RoomOrigin>;
  readonly log: Logger;
}

/** What the next session of a room starts from. */
export class RoomOrigins {
  readonly #options: RoomOriginsOptions;
  readonly #origins = new Map<string, RoomOrigin>();

  constructor(options: RoomOriginsOptions) {
    this.#options = options;
  }

  of(room: string): RoomOrigin | undefined {
    return this.#origins.get(room);
  }

  forget(room: string): void {
    this.#origins.delete(room);
  }

  /**
   * The next session in a room starts from a checkpoint of a finished recording; without a name, in that recording's own room.
   *
   * @returns the name of the room
   * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED`; `NAME_TAKEN` for a room that is live; `ROOM_FULL`
   */
  async set(from: string, room: string | undefined, isLive: (room: string) => boolean): Promise<string> {
    const origin = await this.#options.origin(from);
    const name = room ?? origin.room;
    const shown = JSON.stringify(name.slice(0, 80));
    if (!isId(name)) throw new GametapeError('BAD_ID', `room ${shown}: a name is 1 to 64 letters, digits, "_" or "-"`);
    if (isLive(name)) throw new GametapeError('NAME_TAKEN', `room ${name}: somebody plays there already`);
    if (this.#origins.size >= MAX_ORIGINS && !this.#origins.has(name)) {
      throw new GametapeError(
        'ROOM_FULL',
        `this relay keeps ${MAX_ORIGINS} rooms that nobody has opened yet, and no more`,
      );
    }
    this.#origins.set(name, origin);
    return name;
  }

  /** The states that a room started with, when it comes back: there may still be players to come. */
  async startStates({ room, startedFrom }: RecordingMeta): Promise<RoomOrigin['states']> {
    if (!startedFrom) return new Map();
    try {
      return (await this.#options.origin(`${startedFrom.recordingId}#${startedFrom.checkpoint}`)).states;
    } catch (error) {
      this.#options.log.warn(
        { room, startedFrom, reason: (error as Error).message },
        'what the room started from is gone',
      );
      return new Map();
    }
  }
}
