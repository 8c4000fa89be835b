import type { Compression } from '@gametape/shared';
import type { Claim, Journal } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import { mayPass } from '../patience.ts';
import { dueTimeMs } from '../recording/due-time.ts';
import type { Embargo } from '../recording/embargo.ts';
import type { FinishingRooms } from './finishing-rooms.ts';
import type { LiveRoom } from './live-room.ts';
import type { RoomOrigins } from './room-origins.ts';
import { recoverRoom } from './room-recovery.ts';
import type { RoomStart } from './room-start.ts';
import { type SuspendedRoom, SuspendedRooms } from './suspended-rooms.ts';

export interface ReturningRoomsOptions {
  readonly journal: Journal;
  readonly compression: Compression;
  readonly log: Logger;
  readonly finishing: FinishingRooms;
  readonly origins: RoomOrigins;
  readonly embargo: Pick<Embargo, 'beginUntil'>;
  /** Makes a room that may be joined. */
  readonly open: (start: RoomStart) => LiveRoom;
}

/** Rooms that come back from the journal: at the start, with a claim, and once the journal can be written again (J3, J5). */
export class ReturningRooms {
  readonly suspended: SuspendedRooms;
  readonly #options: ReturningRoomsOptions;
  /** Claims that are being made, by room: hellos of the same time share one. */
  readonly #claiming = new Map<string, Promise<Claim>>();
  #recovering: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: ReturningRoomsOptions) {
    this.#options = options;
    this.suspended = new SuspendedRooms({
      journalFault: () => options.journal.failed,
      revive: (suspended) => this.#revive(suspended),
    });
  }

  /** Makes the room this relay's own and brings back what is unfinished of it. @throws GametapeError as `Journal.claim` does */
  claim(name: string): Promise<Claim> {
    const known = this.#claiming.get(name);
    if (known) return known;
    const claiming = this.#claim(name).finally(() => this.#claiming.delete(name));
    this.#claiming.set(name, claiming);
    return claiming;
  }

  /** Brings back every room that is not finished and that nobody has. */
  recover(): Promise<void> {
    this.#recovering = this.#recovering.then(() => this.#takeOver());
    return this.#recovering;
  }

  /** None comes back any more. */
  drain(): void {
    this.#isStopped = true;
  }

  async #claim(name: string): Promise<Claim> {
    // A room that is being taken over is claimed before it is back.
    await this.#recovering;
    const claim = await this.#options.journal.claim(name);
    await this.#bringBack(claim);
    return claim;
  }

  async #takeOver(): Promise<void> {
    try {
      for (const claim of await this.#options.journal.takeOver()) await this.#bringBack(claim);
    } catch (error) {
      this.#options.log.error({ reason: (error as Error).message }, 'taking over rooms failed');
    }
  }

  async #bringBack({ epoch, unfinished }: Claim): Promise<void> {
    for (const recordingId of unfinished) {
      if (this.#isStopped) return;
      try {
        await this.#bringBackOne(recordingId, epoch);
      } catch (error) {
        this.#lament(recordingId, error);
      }
    }
  }

  async #bringBackOne(recordingId: string, epoch: number): Promise<void> {
    const { journal, compression, log, finishing, origins, embargo, open } = this.#options;
    const { start, end, cut } = await recoverRoom(journal, recordingId, compression, epoch);
    const { room } = start.meta;
    if (cut.length > 0) log.warn({ room, recordingId, players: cut }, 'events after a hole in the log are left out');
    if (end) {
      embargo.beginUntil(recordingId, dueTimeMs(start.meta, end));
      finishing.finishAgain(start.meta, end);
      return;
    }
    const live = open({ ...start, startStates: await origins.statesOf(start.meta) });
    const { output } = live.room;
    await output.trySeal();
    // The block that was just sealed says how the room stood before what is left out.
    if (start.producers.some(({ leftOut, context }) => leftOut > context.pseq)) await output.trySealStanding();
    if (output.failure) throw output.failure;
    live.awaitReturns();
    log.info({ room, recordingId, events: start.events }, 'room is back');
  }

  async #revive({ room, recordingId }: SuspendedRoom): Promise<void> {
    try {
      const { epoch } = await this.#options.journal.claim(room);
      await this.#bringBackOne(recordingId, epoch);
    } catch (error) {
      if (mayPass(error)) throw error;
      this.#lament(recordingId, error);
    }
  }

  /** One recording that cannot be read takes no other with it (S4). Its blocks stay where they are. */
  #lament(recordingId: string, error: unknown): void {
    this.#options.log.error({ recordingId, reason: (error as Error).message }, 'recording cannot be recovered');
  }
}
