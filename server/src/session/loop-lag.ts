const TICK_MS = 10;
/** Of an answer that takes longer, what was our own doing is a small part. */
const LONGEST_MS = 100;

/** Whether the event loop was held up while a probe was out: then the answer may have lain there for as long. */
export class LoopLag {
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #tickedAt = 0;
  #worstMs = 0;

  start(): void {
    this.stop();
    this.#startedAt = performance.now();
    this.#tickedAt = this.#startedAt;
    this.#worstMs = 0;
    this.#tickOn();
  }

  /** How long it was held up, in milliseconds, since it was started or in the very turn that runs now. */
  stop(): number {
    clearTimeout(this.#timer);
    this.#tick();
    return this.#worstMs;
  }

  #tickOn(): void {
    this.#timer = setTimeout(() => {
      this.#tick();
      if (this.#tickedAt - this.#startedAt < LONGEST_MS) this.#tickOn();
    }, TICK_MS);
  }

  #tick(): void {
    const now = performance.now();
    this.#worstMs = Math.max(this.#worstMs, now - this.#tickedAt - TICK_MS);
    this.#tickedAt = now;
  }
}
