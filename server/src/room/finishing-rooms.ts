import { type EndRecord, GametapeError, type RecordingMeta, type SessionSummary } from '@gametape/shared';
import type { Logger } from '../log.ts';
import { persist } from '../patience.ts';
import type { FinishedRoom } from '../recording/finish-recording.ts';
import type { LiveRoom } from './live-room.ts';
import type { Trouble } from './trouble.ts';

export interface FinishingRoomsOptions {
  /** Makes the finished recording of a room that has ended, from what its journal has. */
  readonly finish: (room: FinishedRoom, end: EndRecord) => Promise<SessionSummary>;
  /** The summary of a recording that is finished already, undefined if there is none. */
  readonly finished: (recordingId: string) => Promise<SessionSummary | undefined>;
  readonly log: Logger;
}

/** Rooms that have ended and become recordings: while the disk fails, later (J5). The journal has them until then. */
export class FinishingRooms {
  readonly #options: FinishingRoomsOptions;
  readonly #stopping = new AbortController();
  /** By recording id: who still has a session there comes back to them. */
  readonly #live = new Map<string, LiveRoom>();
  /** The same for rooms that had ended when the process stopped: nobody comes back to them. */
  readonly #again = new Map<string, Promise<SessionSummary | undefined>>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #release = new Map<LiveRoom, () => void>();
  readonly #troubles = new Map<string, Trouble>();

  constructor(options: FinishingRoomsOptions) {
    this.#options = options;
  }

  /** What cannot be finished for now. */
  get troubles(): Iterable<Trouble> {
    return this.#troubles.values();
  }

  /** Those that were live in this process. */
  get all(): Iterable<LiveRoom> {
    return this.#live.values();
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

  /** @throws GametapeError `JOURNAL_FAILED` when the relay stops before the disk has healed, `DAMAGED` */
  async finish(meta: RecordingMeta, end: EndRecord, keepsJournal = false): Promise<SessionSummary> {
    const { room, recordingId } = meta;
    const onTrouble = (error: GametapeError) => {
      if (this.#troubles.get(recordingId)?.error.message !== error.message) {
        this.#options.log.error({ room, recordingId, reason: error.message }, 'finishing fails and is tried again');
      }
      this.#troubles.set(recordingId, { room, error });
    };
    try {
      return await persist(() => this.#options.finish({ ...meta, keepsJournal }, end), {
        signal: this.#stopping.signal,
        onTrouble,
      });
    } finally {
      this.#troubles.delete(recordingId);
    }
  }

  /** Finishes what had ended when the process stopped. What goes wrong for good is logged: the next start tries again. */
  finishAgain(meta: RecordingMeta, end: EndRecord): void {
    const { recordingId } = meta;
    const finished = this.finish(meta, end).catch((error: unknown) => {
      this.#options.log.error({ recordingId, reason: (error as Error).message }, 'finishing failed');
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

  /** Nothing is tried again. Resolves when all that are here now are finished, or could not be. */
  async stop(): Promise<void> {
    this.#stopping.abort(new GametapeError('JOURNAL_FAILED', 'the relay stops before the recording is finished'));
    await Promise.allSettled(this.#underWay);
  }
}
