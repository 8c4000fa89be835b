/**
 * Flushes rooms together: whatever all rooms have to write and to show within an interval is written at once, so that they
 * share one write and one sync, and sockets wake up once (J1, W7). A relay that was quiet flushes at the end of the turn.
 */
export class Flusher {
  readonly #intervalMs: number;
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;

  /** An interval of 0 flushes every turn of the event loop. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Calls `flush` once, soon; the same function is only called once however often it is scheduled. */
  schedule(flush: () => void): void {
    this.#waiting.add(flush);
    if (this.#timer !== undefined) return;
    const waitMs = this.#flushedAt + this.#intervalMs - performance.now();
    this.#timer = waitMs <= 0 ? setImmediate(() => this.#flush()) : setTimeout(() => this.#flush(), waitMs);
  }

  cancel(flush: () => void): void {
    this.#waiting.delete(flush);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#flushedAt = performance.now();
    const due = [...this.#waiting];
    this.#waiting.clear();
    for (const flush of due) flush();
  }
}
