import { type EndRecord, GametapeError, type RecordingMeta, type SessionSummary } from '@gametape/shared';
import type { Logger } from '../log.ts';
import { persist } from '../patience.ts';
import type { Trouble } from './trouble.ts';

export interface FinishingOptions {
  /** Makes the finished recording of a room that has ended, from what its journal has. */
  readonly finish: (room: RecordingMeta, end: EndRecord) => Promise<SessionSummary>;
  /** The summary of a recording that is finished already, undefined if there is none. */
  readonly finished: (recordingId: string) => Promise<SessionSummary | undefined>;
  readonly log: Logger;
}

/** Rooms that have ended become recordings: while the disk fails, later (J5). The journal has them until then. */
export class Finishing {
  readonly #options: FinishingOptions;
  readonly #stopping = new AbortController();
  /** Of rooms that had ended when the process stopped. */
  readonly #again = new Map<string, Promise<SessionSummary | undefined>>();
  readonly #troubles = new Map<string, Trouble>();

  constructor(options: FinishingOptions) {
    this.#options = options;
  }

  /** What cannot be finished for now. */
  get troubles(): Iterable<Trouble> {
    return this.#troubles.values();
  }

  /** @throws GametapeError `JOURNAL_FAILED` when the relay stops before the disk has healed, `DAMAGED` */
  async finish(meta: RecordingMeta, end: EndRecord): Promise<SessionSummary> {
    const { room, recordingId } = meta;
    const onTrouble = (error: GametapeError) => {
      if (this.#troubles.get(recordingId)?.error.message !== error.message) {
        this.#options.log.error({ room, recordingId, reason: error.message }, 'finishing fails and is tried again');
      }
      this.#troubles.set(recordingId, { room, error });
    };
    try {
      return await persist(() => this.#options.finish(meta, end), { signal: this.#stopping.signal, onTrouble });
    } finally {
      this.#troubles.delete(recordingId);
    }
  }

  /** The same for a room that nobody waits in any more. */
  finishAgain(meta: RecordingMeta, end: EndRecord): void {
    const { recordingId } = meta;
    const finished = this.finish(meta, end)
      .catch((error: unknown) => {
        this.#options.log.error({ recordingId, reason: (error as Error).message }, 'finishing failed');
        return undefined;
      })
      .finally(() => this.#again.delete(recordingId));
    this.#again.set(recordingId, finished);
  }

  /** The summary of a recording whose room is over, once it is finished. */
  async finished(recordingId: string): Promise<SessionSummary | undefined> {
    return (await this.#again.get(recordingId)) ?? (await this.#options.finished(recordingId));
  }

  /** Nothing is tried again. Resolves when what is being finished is. */
  async stop(): Promise<void> {
    this.#stopping.abort(new GametapeError('JOURNAL_FAILED', 'the relay stops before the recording is finished'));
    await Promise.all(this.#again.values());
  }
}
