/** Probes right after joining, so that the first events find an estimate. */
const BURST = 4;
const BURST_WAIT_MS = 50;
/** Probes that nobody answers are forgotten: a peer cannot make this grow. */
const MAX_OPEN = 8;

/** The clock probes of one peer that are under way: which one was sent when, in microseconds of room time (T2). */
export class Probes {
  readonly #sentAt = new Map<number, number>();
  #sent = 0;
  #answered = 0;

  /** Undefined once the burst is over. */
  get burstWaitMs(): number | undefined {
    return this.#answered < BURST ? BURST_WAIT_MS : undefined;
  }

  next(now: number): { id: number; isFirst: boolean } {
    const id = ++this.#sent;
    this.#sentAt.set(id, now);
    if (this.#sentAt.size > MAX_OPEN) this.#sentAt.delete(this.#sentAt.keys().next().value as number);
    return { id, isFirst: id === 1 };
  }

  /** When that probe was sent; undefined for one that was never sent or is answered already. */
  answer(id: number): number | undefined {
    const sentAt = this.#sentAt.get(id);
    this.#sentAt.delete(id);
    if (sentAt !== undefined) this.#answered++;
    return sentAt;
  }
}
