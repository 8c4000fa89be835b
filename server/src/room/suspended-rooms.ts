import type { GametapeError } from '@gametape/shared';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;

/** A room that cannot be recorded for now: the journal took nothing any more (J5). */
export interface SuspendedRoom {
  readonly room: string;
  readonly recordingId: string;
  readonly error: GametapeError;
}

export interface SuspendedRoomsOptions {
  /** Why the whole journal takes nothing, if that is so. */
  readonly journalFault: () => GametapeError | undefined;
  /** Makes a live room of what the journal has. Rejects when that cannot be read or written either. */
  readonly revive: (suspended: SuspendedRoom) => Promise<void>;
}

/**
 * Rooms that have turned read-only. Their players keep what was not accepted and come back from time to time; the rooms themselves
 * come back by the way they do after a crash, once the journal can be written again.
 */
export class SuspendedRooms {
  readonly #options: SuspendedRoomsOptions;
  readonly #rooms = new Map<string, SuspendedRoom>();
  #timer: NodeJS.Timeout | undefined;
  #waitMs = FIRST_WAIT_MS;
  #reviving: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: SuspendedRoomsOptions) {
    this.#options = options;
  }

  get all(): Iterable<SuspendedRoom> {
    return this.#rooms.values();
  }

  find(room: string): SuspendedRoom | undefined {
    return this.#rooms.get(room);
  }

  add(suspended: SuspendedRoom): void {
    this.#rooms.set(suspended.room, suspended);
    this.#schedule();
  }

  /** None comes back any more. Resolves when none is on its way back. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#reviving;
  }

  #schedule(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#reviving = this.#reviveAll();
    }, this.#waitMs);
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
  }

  async #reviveAll(): Promise<void> {
    for (const suspended of [...this.#rooms.values()]) {
      if (this.#isStopped || this.#options.journalFault()) break;
      try {
        await this.#options.revive(suspended);
        // It may have been suspended again on its way.
        if (this.#rooms.get(suspended.room) === suspended) this.#rooms.delete(suspended.room);
      } catch (error) {
        this.#rooms.set(suspended.room, { ...suspended, error: error as GametapeError });
      }
    }
    this.#timer = undefined;
    if (this.#rooms.size > 0) this.#schedule();
    else this.#waitMs = FIRST_WAIT_MS;
  }
}
