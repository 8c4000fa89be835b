/** What the queue may hold before it gives up waiting: 8 MiB or 10 minutes (W3). */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_AGE_US = 10 * 60 * 1_000_000;

/** One message with the events `firstPseq` to `lastPseq`, as it was encoded: it is only ever sent as these bytes (W2). */
export interface QueuedMessage {
  readonly bytes: Uint8Array;
  readonly firstPseq: number;
  readonly lastPseq: number;
  /** Stamp of the event before the first, then of each event. A gap has only the former. */
  readonly stamps: readonly number[];
  /** When it was queued, on the producer's clock, in microseconds. */
  readonly queuedAt: number;
}

/** Messages that are not stable yet, oldest first. */
export class SendQueue {
  readonly #messages: QueuedMessage[] = [];
  #bytes = 0;
  /** Released messages are cut off in batches: `shift` on a long array is slow. */
  #head = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** All that it holds, oldest first. */
  get held(): readonly QueuedMessage[] {
    return this.#messages.slice(this.#head);
  }

  add(message: QueuedMessage): void {
    this.#messages.push(message);
    this.#bytes += message.bytes.length;
  }

  /** Forgets what is stable. */
  release(stablePseq: number): void {
    for (let message = this.#messages[this.#head]; message !== undefined; message = this.#messages[this.#head]) {
      if (message.lastPseq > stablePseq) break;
      this.#bytes -= message.bytes.length;
      this.#head++;
    }
    if (this.#head > 256 && this.#head * 2 > this.#messages.length) {
      this.#messages.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** The first message with an event after `pseq`, or undefined. */
  after(pseq: number): QueuedMessage | undefined {
    let low = this.#head;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#messages[middle] as QueuedMessage).lastPseq > pseq) high = middle;
      else low = middle + 1;
    }
    return this.#messages[low];
  }

  /** True when holding on would need more than is allowed: too many bytes, or a message that was not sent for too long. */
  isOverfull(now: number, sentPseq: number): boolean {
    const oldest = this.after(sentPseq);
    return this.#bytes > MAX_BYTES || (oldest !== undefined && now - oldest.queuedAt > MAX_AGE_US);
  }

  /** Drops everything after `pseq`. Returns what is lost, if anything, and the stamp of the last event that is not. */
  dropAfter(pseq: number): { firstPseq: number; lastPseq: number; stamp: number } | undefined {
    const first = this.after(pseq);
    const last = this.#messages.at(-1);
    if (!first || !last) return undefined;
    const stamp = first.stamps[Math.max(0, pseq - first.firstPseq + 1)] ?? (first.stamps.at(-1) as number);
    const from = this.#messages.indexOf(first);
    for (const { bytes } of this.#messages.slice(from)) this.#bytes -= bytes.length;
    this.#messages.length = from;
    return { firstPseq: pseq + 1, lastPseq: last.lastPseq, stamp };
  }
}
