import { GametapeError, isId, type RecordingMeta } from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { RoomOrigin } from '../recording/checkpoint-origin.ts';

/** Each may hold the states of a checkpoint, until somebody plays there or a day has passed. */
const MAX_WAITING = 64;
const WAITING_MS = 24 * 3_600_000;

/** What a room may start from: `RECORDING#CHECKPOINT`. @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED` */
export type FindOrigin = (from: string) => Promise<RoomOrigin>;

/** What a room is to be opened with: states of a checkpoint, a delay for those who watch that is not the relay's own; or both. */
export interface Preparation {
  readonly room?: string | undefined;
  /** `RECORDING#CHECKPOINT` */
  readonly from?: string | undefined;
  readonly spectatorDelayMs?: number | undefined;
}

interface Prepared {
  readonly origin: RoomOrigin | undefined;
  readonly delayMs: number | undefined;
  readonly until: number;
}

/** What rooms that nobody has opened yet will start from, by name: a checkpoint of a finished recording (T8), a delay (V2). */
export class RoomOrigins {
  readonly #find: FindOrigin;
  readonly #log: Logger;
  readonly #waiting = new Map<string, Prepared>();

  constructor(find: FindOrigin, log: Logger) {
    this.#find = find;
    this.#log = log;
  }

  get(room: string): RoomOrigin | undefined {
    return this.#preparedFor(room)?.origin;
  }

  /** In milliseconds; undefined where the relay's own holds. */
  delayOf(room: string): number | undefined {
    return this.#preparedFor(room)?.delayMs;
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
    const known = this.#preparedFor(name);
    if (!known) this.#checkLeft(isLive);
    const delayMs = spectatorDelayMs ?? known?.delayMs;
    this.#waiting.set(name, { origin: origin ?? known?.origin, delayMs, until: performance.now() + WAITING_MS });
    return name;
  }

  delete(room: string): void {
    this.#waiting.delete(room);
  }

  #preparedFor(room: string): Prepared | undefined {
    const prepared = this.#waiting.get(room);
    return prepared && prepared.until > performance.now() ? prepared : undefined;
  }

  /** Those that are live are not waited for any more: they are kept in case their first player is refused. */
  #checkLeft(isLive: (name: string) => boolean): void {
    for (const room of this.#waiting.keys()) if (!this.#preparedFor(room)) this.#waiting.delete(room);
    const waiting = [...this.#waiting.keys()].filter((room) => !isLive(room));
    if (waiting.length < MAX_WAITING) return;
    const hint = 'Open one of them, or wait: they are forgotten after a day.';
    throw new GametapeError('ROOM_FULL', `this relay keeps ${MAX_WAITING} rooms that nobody has opened yet`, { hint });
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
