import type { RecordingStore } from './recording-store.ts';

/** Recordings that are known to be due: more than this are looked at again. */
const MAX_KNOWN = 10_000;

/** Which finished recordings nobody may be given yet: their spectators have not been shown the end of them (V2). */
export class Embargo {
  readonly #store: RecordingStore;
  readonly #held = new Set<string>();
  readonly #due = new Set<string>();
  /** Of those that are not in a file yet, when they are due: milliseconds since 1970. */
  readonly #dueMs = new Map<string, number>();

  constructor(store: RecordingStore) {
    this.#store = store;
  }

  /** The room of that recording is over, and not for those who watch it. */
  begin(recordingId: string): void {
    this.#held.add(recordingId);
  }

  /** A room that had ended in an earlier process: until there is a file, nothing else says when it is due. */
  beginUntil(recordingId: string, dueMs: number): void {
    for (const [id, earlierMs] of this.#dueMs) if (earlierMs <= Date.now()) this.#dueMs.delete(id);
    if (dueMs > Date.now()) this.#dueMs.set(recordingId, dueMs);
  }

  /** Now it is for them too. */
  end(recordingId: string): void {
    this.#held.delete(recordingId);
    this.#remember(recordingId);
  }

  /** Nobody here will know when it is: the recording itself says so. */
  abandon(recordingId: string): void {
    this.#held.delete(recordingId);
  }

  /** A recording says how much later it was shown: that holds for what an earlier process left, too. */
  async holds(recordingId: string): Promise<boolean> {
    if (this.#held.has(recordingId)) return true;
    if (this.#due.has(recordingId)) return false;
    const dueMs = this.#dueMs.get(recordingId) ?? (await this.#store.dueMs(recordingId));
    if (dueMs === undefined) return false;
    if (dueMs > Date.now()) return true;
    this.#remember(recordingId);
    return false;
  }

  #remember(recordingId: string): void {
    if (this.#due.size >= MAX_KNOWN) this.#due.clear();
    this.#due.add(recordingId);
  }
}
