/** Probes right after joining, so that the first events find an estimate. */
const BURST = 4;
const BURST_WAIT_MS = 50;
/** Probes that nobody answers are forgotten: a peer cannot make this grow. */
const MAX_OPEN = 8;
/** Id of a ping that is no probe: nothing is learned from its answer. */
export const NO_PROBE = 0;

/** The clock probes of one peer that are under way: which one was sent when, in microseconds of room time (T2). */
export class Probes {
  readonly #sentAt = new Map<number, number>();
  #sent = 0;
  #answered = 0;

  /** None was sent yet: the burst begins with the first, whatever it has to wait for. */
  get isNew(): boolean {
    return this.#sent === 0;
  }

  /** Undefined once the burst is over. */
  get burstWaitMs(): number | undefined {
    return this.#answered < BURST ? BURST_WAIT_MS : undefined;
  }

  /** The id of a probe that is sent now. */
  next(now: number): number {
    const id = ++this.#sent;
    this.#sentAt.set(id, now);
    if (this.#sentAt.size > MAX_OPEN) this.#sentAt.delete(this.#sentAt.keys().next().value as number);
    return id;
  }

  /** When that probe was sent; undefined for one that was never sent or is answered already. */
  answer(id: number): number | undefined {
    const sentAt = this.#sentAt.get(id);
    this.#sentAt.delete(id);
    if (sentAt !== undefined) this.#answered++;
    return sentAt;
  }
}
