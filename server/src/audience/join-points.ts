import { chunked, encodeMessage } from '@gametape/shared';
import type { ShownRoom, Standing } from './shown-room.ts';

/** Encoding states takes at most one part in so many of the time, however many join. */
const SHARE = 10;
/** Snapshots whose cost is looked at: one alone may have been interrupted. */
const MEASURED = 4;
const LONGEST_WAIT_MS = 250;

/** Where spectators join: a position, and what shows the room at it, encoded once for all of them (W5). */
export interface JoinPoint {
  readonly standing: Standing;
  /** The snapshot as messages. */
  readonly snapshot: readonly Uint8Array[];
}

export interface JoinPointsOptions {
  readonly view: ShownRoom;
  /** Resolves when the journal has everything up to now: a crash must not take back what was shown (W3, J4). */
  readonly settled: () => Promise<void>;
}

/** Takes a snapshot for all who join meanwhile. The more a snapshot costs, the longer the next one is waited for. */
export class JoinPoints {
  readonly #options: JoinPointsOptions;
  #next: Promise<JoinPoint> | undefined;
  #freeAt = Number.NEGATIVE_INFINITY;
  #snapshotBytes = 0;
  readonly #costsMs: number[] = [];

  constructor(options: JoinPointsOptions) {
    this.#options = options;
  }

  /** Bytes of the last snapshot that was taken. */
  get snapshotBytes(): number {
    return this.#snapshotBytes;
  }

  /** A point that is not before now. @throws GametapeError `JOURNAL_FAILED` */
  next(): Promise<JoinPoint> {
    this.#next ??= this.#takeSoon();
    return this.#next;
  }

  async #takeSoon(): Promise<JoinPoint> {
    const waitMs = this.#freeAt - performance.now();
    // At least to the end of this turn: what comes in one turn joins at one point.
    await new Promise<void>((resolve) => void (waitMs > 0 ? setTimeout(resolve, waitMs) : setImmediate(resolve)));
    this.#next = undefined;
    const startedAt = performance.now();
    const { view, settled } = this.#options;
    const standing = view.standing();
    const snapshot = chunked(encodeMessage({ kind: 'snapshot', records: view.snapshot() }));
    this.#snapshotBytes = snapshot.reduce((sum, { length }) => sum + length, 0);
    const takenAt = performance.now();
    this.#costsMs.push(takenAt - startedAt);
    if (this.#costsMs.length > MEASURED) this.#costsMs.shift();
    this.#freeAt = takenAt + Math.min(LONGEST_WAIT_MS, Math.min(...this.#costsMs) * SHARE);
    await settled();
    return { standing, snapshot };
  }
}
