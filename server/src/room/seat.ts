import type { ProducerContext } from '@gametape/shared';
import type { ClockEstimate } from '../timeline/clock-estimate.ts';
import { type Key, ORIGIN } from '../timeline/timeline.ts';
import type { Receiver } from './receiver.ts';

/** Checksums of this many bodies are kept, to tell a resent event from another one under its number (W2). */
const REMEMBERED_BODIES = 1_024;

/**
 * One producer's place in a room, connected or not.
 *
 *     present --socket lost--> away --resumed in time--> present
 *        |                      |
 *        +------ left ----------+--- not in time ---> gone --resumed late--> present (a new PLAYER_JOIN)
 */
export class Seat {
  readonly context: ProducerContext;
  readonly name: string | undefined;
  presence: 'present' | 'away' | 'gone' = 'present';
  /** Its first PLAYER_JOIN, which carries its state at the start, is recorded. */
  hasJoined = false;
  receiver: Receiver | undefined;
  estimate: ClockEstimate;
  /** Key of the producer's own last event: what the relay says about it does not hold later events back (T6). */
  lastKey: Key = ORIGIN;
  /** Seq of its first entry. */
  firstSeq = 0;
  shown = 0;
  /** Both acks (W3). */
  accepted = 0;
  stable = 0;
  received = 0;
  /** The last event it says it recorded; null until it says so. */
  expected: number | null = null;
  /** A change did not fit: everything up to the gap it will declare is ignored (D3). */
  awaitsGap = false;
  /** The events of the entry after a gap start a vocabulary over. */
  restarts = false;
  /** The next change after a gap has to be a keyframe: what it would be relative to is not known (D3). */
  needsKeyframe = false;
  /** It has said how much it recorded, and all of it is here: the room ends without more of it (W6). */
  isDone = false;
  graceTimer: NodeJS.Timeout | undefined;
  readonly #checksums = new Uint32Array(REMEMBERED_BODIES);
  readonly #checksumPseqs = new Float64Array(REMEMBERED_BODIES);

  constructor(context: ProducerContext, estimate: ClockEstimate, name: string | undefined) {
    this.context = context;
    this.estimate = estimate;
    this.name = name;
  }

  get player(): string {
    return this.context.player;
  }

  rememberBody(pseq: number, checksum: number): void {
    this.#checksums[pseq % REMEMBERED_BODIES] = checksum;
    this.#checksumPseqs[pseq % REMEMBERED_BODIES] = pseq;
  }

  /** False only when it is known that another body was recorded under this number. */
  mayBeBody(pseq: number, checksum: number): boolean {
    const slot = pseq % REMEMBERED_BODIES;
    return this.#checksumPseqs[slot] !== pseq || this.#checksums[slot] === checksum;
  }
}
