import type { EndRecord, RecordingMeta, SessionSummary } from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { FinishedRoom } from '../recording/finish-recording.ts';
import type { LiveRoom } from './live-room.ts';

export interface FinishingRoomsOptions {
  /** Makes the finished recording of a room that has ended, from what its journal has. */
  readonly finish: (room: FinishedRoom, end: EndRecord) => Promise<SessionSummary>;
  /** The summary of a recording that is finished already, undefined if there is none. */
  readonly finished: (recordingId: string) => Promise<SessionSummary | undefined>;
  readonly log: Logger;
}

/** Rooms that have ended and whose recording is being finished. */
export class FinishingRooms {
  readonly #options: FinishingRoomsOptions;
  /** By recording id: who still has a session there comes back to them. */
  readonly #live = new Map<string, LiveRoom>();
  /** The same for rooms that had ended when the process stopped: nobody comes back to them. */
  readonly #again = new Map<string, Promise<SessionSummary | undefined>>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #release = new Map<LiveRoom, () => void>();

  constructor(options: FinishingRoomsOptions) {
    this.#options = options;
  }

  find(recordingId: string): LiveRoom | undefined {
    return this.#live.get(recordingId);
  }

  named(name: string): LiveRoom | undefined {
    for (const live of this.#live.values()) if (live.room.name === name) return live;
    return undefined;
  }

  /** A room has ended; until `delete` it is finished. */
  add(live: LiveRoom): void {
    this.#live.set(live.room.recordingId, live);
    this.track(new Promise((resolve) => this.#release.set(live, resolve)));
  }

  delete(live: LiveRoom): void {
    this.#live.delete(live.room.recordingId);
    this.#release.get(live)?.();
    this.#release.delete(live);
  }

  /** Finishes what had ended when the process stopped. What goes wrong is logged: the next start tries again. */
  finishAgain(meta: RecordingMeta, end: EndRecord): void {
    const { recordingId } = meta;
    const { finish, log } = this.#options;
    const finished = finish(meta, end).catch((error: unknown) => {
      log.error({ recordingId, reason: (error as Error).message }, 'finishing failed');
      return undefined;
    });
    this.#again.set(recordingId, finished);
    this.track(finished.then(() => void this.#again.delete(recordingId)));
  }

  /** The summary of a recording whose room is over, once it is finished. */
  async summaryOf(recordingId: string): Promise<SessionSummary | undefined> {
    return (await this.#again.get(recordingId)) ?? (await this.#options.finished(recordingId));
  }

  /** Something that goes on after a room, and that the relay waits for when it stops. */
  track(work: Promise<void>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  /** Resolves when all that are here now are finished, or could not be. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }
}
