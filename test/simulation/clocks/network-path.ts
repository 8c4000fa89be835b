/** One client's way to the relay and back, in microseconds. */
export interface PathKind {
  readonly name: string;
  readonly upUs: number;
  readonly downUs: number;
  /** Mean of what comes on top, each way. */
  readonly jitterUs: number;
  /** How often a message takes much longer, and how much at most. */
  readonly spikes: number;
  readonly spikeUs: number;
}

export const PATHS: readonly PathKind[] = [
  { name: 'LAN 2 ms', upUs: 1_000, downUs: 1_000, jitterUs: 100, spikes: 0.002, spikeUs: 5_000 },
  { name: 'Wi-Fi 20 ms', upUs: 10_000, downUs: 10_000, jitterUs: 2_500, spikes: 0.02, spikeUs: 200_000 },
  { name: 'WAN 80 ms', upUs: 40_000, downUs: 40_000, jitterUs: 4_000, spikes: 0.01, spikeUs: 300_000 },
  { name: 'WAN 80 ms, 20 % asymmetric', upUs: 48_000, downUs: 32_000, jitterUs: 4_000, spikes: 0.01, spikeUs: 300_000 },
  {
    name: 'cellular 120 ms, 30 % asymmetric',
    upUs: 78_000,
    downUs: 42_000,
    jitterUs: 20_000,
    spikes: 0.03,
    spikeUs: 500_000,
  },
];

/** Queues on the way are about as long as they were a moment ago. */
const STEADY_US = 50_000;

export class NetworkPath {
  readonly #up: Direction;
  readonly #down: Direction;

  constructor(kind: PathKind, random: () => number) {
    this.#up = new Direction(kind.upUs, kind, random);
    this.#down = new Direction(kind.downUs, kind, random);
  }

  /** When what is sent now arrives at the relay. */
  up(now: number): number {
    return this.#up.arrival(now);
  }

  down(now: number): number {
    return this.#down.arrival(now);
  }
}

/** Delivers in order, as TCP does. */
class Direction {
  readonly #leastUs: number;
  readonly #kind: PathKind;
  readonly #random: () => number;
  #last = 0;
  #queueUs = 0;
  #queueUntil = 0;

  constructor(leastUs: number, kind: PathKind, random: () => number) {
    this.#leastUs = leastUs;
    this.#kind = kind;
    this.#random = random;
  }

  arrival(now: number): number {
    if (now >= this.#queueUntil) {
      const { jitterUs, spikes, spikeUs } = this.#kind;
      this.#queueUs = -Math.log(1 - this.#random()) * jitterUs;
      if (this.#random() < spikes) this.#queueUs += this.#random() * spikeUs;
      this.#queueUntil = now + STEADY_US;
    }
    this.#last = Math.max(this.#last, now + this.#leastUs + this.#queueUs);
    return this.#last;
  }
}
