import type { Embargo } from '../recording/embargo.ts';
import type { LiveRoom } from '../room/live-room.ts';

/** Rooms that ended last, of which it is known what they left. */
const MAX_ENDED = 1_024;

export type LingeringEmbargo = Pick<Embargo, 'begin' | 'end' | 'abandon'>;

/** Rooms that are over for their players, and that those who watch with a delay are still shown (V2). */
export class LingeringRooms {
  readonly #embargo: LingeringEmbargo;
  readonly #rooms = new Map<string, LiveRoom>();
  readonly #release = new Map<LiveRoom, () => void>();
  /** The last recording of rooms that are over for everybody, by name. */
  readonly #ended = new Map<string, string>();

  constructor(embargo: LingeringEmbargo) {
    this.#embargo = embargo;
  }

  get all(): LiveRoom[] {
    return [...this.#rooms.values()];
  }

  find(recordingId: string): LiveRoom | undefined {
    return this.#rooms.get(recordingId);
  }

  /** The one of that name that ended first. */
  named(name: string): LiveRoom | undefined {
    for (const live of this.#rooms.values()) if (live.room.name === name) return live;
    return undefined;
  }

  /** What a room that is over has left, if that is known. */
  lastRecordingOf(name: string): string | undefined {
    return this.#ended.get(name);
  }

  /** It is over for its players: nobody else may know. Resolves when it is released, as one without a delay is at once. */
  add(live: LiveRoom): Promise<void> {
    if (!live.room.audience.isDelayed) return Promise.resolve();
    this.#embargo.begin(live.room.recordingId);
    this.#rooms.set(live.room.recordingId, live);
    return new Promise((resolve) => this.#release.set(live, resolve));
  }

  /** Nothing of it is left to be done. */
  release(live: LiveRoom): void {
    this.#release.get(live)?.();
    this.#release.delete(live);
  }

  /** Everybody has been shown its end. */
  remember({ room: { name, recordingId } }: LiveRoom): void {
    this.#ended.delete(name);
    this.#ended.set(name, recordingId);
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(this.#ended.keys().next().value as string);
  }

  /** A room of that name is live again. */
  forget(name: string): void {
    this.#ended.delete(name);
  }

  /** Nothing of it is shown any more, whether to its end or not. True for one that was here. */
  delete({ room: { recordingId } }: LiveRoom, isShown: boolean): boolean {
    if (!this.#rooms.delete(recordingId)) return false;
    if (isShown) this.#embargo.end(recordingId);
    else this.#embargo.abandon(recordingId);
    return true;
  }
}
