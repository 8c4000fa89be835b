import { GametapeError, isId, type RecordingMeta } from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { RoomOrigin } from '../recording/checkpoint-origin.ts';

/** Each holds the states of a checkpoint until somebody plays there. */
const MAX_WAITING = 64;

/** What a room may start from: `RECORDING#CHECKPOINT`. @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED` */
export type FindOrigin = (from: string) => Promise<RoomOrigin>;

/** What a room is to be opened with: states of a checkpoint, a delay for those who watch that is not the relay's own; or both. */
export interface Preparation {
  readonly room?: string | undefined;
  /** `RECORDING#CHECKPOINT` */
  readonly from?: string | undefined;
  readonly spectatorDelayMs?: number | undefined;
}

/** What rooms that nobody has opened yet will start from, by name: a checkpoint of a finished recording (T8), a delay (V2). */
export class RoomOrigins {
  readonly #find: FindOrigin;
  readonly #log: Logger;
  readonly #waiting = new Map<string, RoomOrigin | undefined>();
  readonly #delays = new Map<string, number>();

  constructor(find: FindOrigin, log: Logger) {
    this.#find = find;
    this.#log = log;
  }

  get(room: string): RoomOrigin | undefined {
    return this.#waiting.get(room);
  }

  /** In milliseconds; undefined where the relay's own holds. */
  delayOf(room: string): number | undefined {
    return this.#delays.get(room);
  }

  /**
   * The next session of a room starts with that.
   *
   * @param isLive whether somebody plays in the room of that name
   * @returns the name of the room: that of the recording if none is given
   * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED`; `NAME_TAKEN` for a room that is live; `ROOM_FULL`
   */
  async add({ from, room, spectatorDelayMs }: Preparation, isLive: (name: string) => boolean): Promise<string> {
    const origin = from === undefined ? undefined : await this.#find(from);
    const name = room ?? origin?.room ?? '';
    const shown = JSON.stringify(name.slice(0, 80));
    if (!isId(name)) throw new GametapeError('BAD_ID', `room ${shown}: a name is 1 to 64 letters, digits, "_" or "-"`);
    if (isLive(name)) throw new GametapeError('NAME_TAKEN', `room ${name}: somebody plays there already`);
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(name)) {
      throw new GametapeError(
        'ROOM_FULL',
        `this relay keeps ${MAX_WAITING} rooms that nobody has opened yet, and no more`,
      );
    }
    this.#waiting.set(name, origin ?? this.#waiting.get(name));
    if (spectatorDelayMs !== undefined) this.#delays.set(name, spectatorDelayMs);
    return name;
  }

  delete(room: string): void {
    this.#waiting.delete(room);
    this.#delays.delete(room);
  }

  /** States that a room which comes back started from, by player: it still has players to come. */
  async statesOf({ room, startedFrom }: RecordingMeta): Promise<RoomOrigin['states']> {
    if (!startedFrom) return new Map();
    try {
      return (await this.#find(`${startedFrom.recordingId}#${startedFrom.checkpoint}`)).states;
    } catch (error) {
      const details = { room, startedFrom, reason: (error as Error).message };
      this.#log.warn(details, 'what the room started from is gone');
      return new Map();
    }
  }
}
