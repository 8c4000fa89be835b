import {
  decodeEvent,
  isGametapeError,
  type ProducerContext,
  type RewindBase,
  type RoomProducer,
  Vocabulary,
} from '@gametape/shared';
import { ClockEstimate } from '../timeline/clock-estimate.ts';
import { type Key, ORIGIN } from '../timeline/key.ts';
import type { Receiver } from './receiver.ts';
import { withoutChange } from './relay-bodies.ts';
import type { RestoredProducer, SpelledEvent } from './room-start.ts';
import { rememberStale } from './stale-vocabularies.ts';

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
  readonly estimate: ClockEstimate;
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
  /** Seq of the last rewind that restored its state, and of the last one that it goes on from: events between are stale (T8). */
  rewoundAt = 0;
  base = 0;
  #baseFirstPseq = 1;
  /** The last of its events that a journal had and recovery left out: it sends them again, or they are lost (J4). */
  leftOut = 0;
  /** By base, the vocabulary of events that go on from an older state, where it is more than the profile's. */
  readonly staleVocabularies = new Map<number, Vocabulary>();
  /** Recovered, and not told to the vocabulary that they belong to: which one that is only its next event tells. */
  #spelled: readonly SpelledEvent[] = [];
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

  /** A seat as it comes back in that epoch of the room: nobody is connected, who was may return. */
  static restored(
    { context, hasJoined, isPresent, firstSeq, expected, ...standing }: RestoredProducer,
    epoch: number,
  ): Seat {
    const seat = new Seat(context, new ClockEstimate(epoch), undefined);
    seat.presence = isPresent ? 'away' : 'gone';
    seat.hasJoined = hasJoined;
    // What it had accepted is stable once sealed.
    seat.accepted = context.pseq;
    seat.lastKey = { time: context.time, hlc: context.hlc };
    seat.firstSeq = firstSeq;
    seat.expected = expected;
    seat.restarts = standing.restarts;
    seat.needsKeyframe = standing.needsKeyframe;
    seat.rewoundAt = standing.rewoundAt;
    seat.leftOut = standing.leftOut;
    for (const [base, vocabulary] of standing.staleVocabularies) seat.staleVocabularies.set(base, vocabulary);
    seat.#spelled = standing.spelled;
    return seat;
  }

  get player(): string {
    return this.context.player;
  }

  /** Its state is that of a rewind from entry `seq` on. What is on its way goes on from the state and vocabulary before. */
  rewind(seq: number): void {
    rememberStale(this.staleVocabularies, this.rewoundAt, this.context.vocabulary.fork());
    this.rewoundAt = seq;
    this.restarts = false;
    this.needsKeyframe = false;
  }

  /** What it makes goes on from that rewind: nothing that goes on from one before will come. */
  follow({ seq, firstPseq }: RewindBase): void {
    if (seq <= this.base) return;
    this.base = Math.min(seq, this.rewoundAt);
    this.#baseFirstPseq = firstPseq;
    for (const earlier of this.staleVocabularies.keys())
      if (earlier < this.base) this.staleVocabularies.delete(earlier);
    if (this.base === this.rewoundAt) this.#spelled = [];
  }

  /** What is on its way was made after a gap, and starts a vocabulary over. */
  forgetStale(): void {
    this.staleVocabularies.clear();
    this.#spelled = [];
  }

  /**
   * The body of an event that its player made before it saw a rewind: the event alone (T8). Undefined where it cannot be read any
   * more: a relay that was started anew long after the rewind knows only what the profile knows.
   */
  withoutChange(body: Uint8Array): Uint8Array | undefined {
    const { base } = this;
    const { profile } = this.context.vocabulary;
    const vocabulary = this.staleVocabularies.get(base) ?? new Vocabulary(profile);
    // All that its player had made since that rewind, and that the journal has, was read with this one.
    for (const { pseq, template } of this.#spelled) if (pseq >= this.#baseFirstPseq) vocabulary.teach(template);
    this.#spelled = [];
    try {
      const { event, hasChange } = decodeEvent(body, vocabulary, 'BAD_MESSAGE');
      this.staleVocabularies.set(base, vocabulary);
      return withoutChange(this.context.vocabulary, event, hasChange);
    } catch (error) {
      if (isGametapeError(error, 'BAD_MESSAGE')) return undefined;
      throw error;
    }
  }

  /** What whoever recovers the room has to know of it, beside its context (J3). */
  describe(): RoomProducer {
    const { player, firstSeq, expected, restarts, needsKeyframe, rewoundAt, leftOut } = this;
    const isPresent = this.presence !== 'gone';
    return {
      player,
      instance: this.context.instance,
      // 0 until its first entry, which is its joining.
      firstSeq: this.hasJoined ? firstSeq : 0,
      isPresent,
      expected: isPresent ? null : expected,
      restarts,
      needsKeyframe,
      rewoundAt,
      // What has come meanwhile is left out no more: whoever recovers from here may not know how far it came.
      leftOut: leftOut > this.context.pseq ? leftOut : 0,
    };
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
