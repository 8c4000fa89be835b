import { seededRandom } from './private-parts.ts';

/** Queues on the way are about as long as they were a moment ago. */
const SLOT_US = 50_000;

/** A client's way to the relay and its clock. Microseconds, but for the drift. */
export interface ClockPathKind {
  readonly name: string;
  readonly upUs: number;
  readonly downUs: number;
  /** Mean of what comes on top, each way. */
  readonly jitterUs: number;
  /** How often something takes much longer, and how much at most. */
  readonly spikes: number;
  readonly spikeUs: number;
  readonly driftPpm: number;
  /** What our p99 is to be, in milliseconds. */
  readonly goalMs: number;
}

/** The same network for whoever asks, whenever it asks: a delay depends on the moment alone. */
export class ClockPath {
  readonly kind: ClockPathKind;
  readonly #up: Float64Array;
  readonly #down: Float64Array;

  constructor(kind: ClockPathKind, seed: number, durationUs: number) {
    this.kind = kind;
    const random = seededRandom(seed);
    const queue = () => {
      const jitter = -Math.log(1 - random()) * kind.jitterUs;
      return random() < kind.spikes ? jitter + random() * kind.spikeUs : jitter;
    };
    const slots = Math.ceil(durationUs / SLOT_US) + 1_000;
    this.#up = Float64Array.from({ length: slots }, queue);
    this.#down = Float64Array.from({ length: slots }, queue);
  }

  /** The client's clock at a moment of room time. */
  clock(time: number): number {
    return Math.round(3_600e6 + time * (1 + this.kind.driftPpm / 1e6));
  }

  /** When what is sent now arrives at the relay; `arrivesDown`, at the client. */
  arrivesUp(now: number): number {
    return now + this.kind.upUs + (this.#up[Math.floor(now / SLOT_US)] ?? 0);
  }

  arrivesDown(now: number): number {
    return now + this.kind.downUs + (this.#down[Math.floor(now / SLOT_US)] ?? 0);
  }
}
