/** Probes older than this do not count any more, in microseconds: clocks drift. */
const WINDOW_US = 60_000_000;
const MAX_RTT_US = 5_000_000;

/** One probe: sent and answered in room time, received and answered in the client's. All in microseconds. */
export interface ProbeSample {
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly clientReceived: number;
  readonly clientSent: number;
}

/**
 * The offset from one client's clock to room time: that of the probe with the shortest round trip, whose error is at most
 * half of it (T2, first version: one offset, no drift).
 */
export class ClockEstimate {
  #offset: number;
  #samples: { at: number; rtt: number; offset: number }[] = [];

  /** Until a probe comes back, the hello is taken to have travelled in no time: an upper bound. */
  constructor(helloReceivedAt: number, helloClock: number) {
    this.#offset = Math.round(helloReceivedAt - helloClock);
  }

  /** False for an answer that cannot be true. */
  add({ sentAt, answeredAt, clientReceived, clientSent }: ProbeSample): boolean {
    const rtt = answeredAt - sentAt - (clientSent - clientReceived);
    if (clientSent < clientReceived || rtt < 0 || rtt > MAX_RTT_US) return false;
    const offset = Math.round((sentAt + answeredAt - clientReceived - clientSent) / 2);
    this.#samples = this.#samples.filter(({ at }) => answeredAt - at < WINDOW_US);
    this.#samples.push({ at: answeredAt, rtt, offset });
    this.#offset = this.#samples.reduce((best, sample) => (sample.rtt < best.rtt ? sample : best)).offset;
    return true;
  }

  /** Room time of a stamp of the client's clock. */
  roomTime(stamp: number): number {
    return stamp + this.#offset;
  }
}
