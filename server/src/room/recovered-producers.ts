import {
  type Body,
  EventType,
  type GameEvent,
  ProducerContext,
  type RecordingIdentity,
  type RoomProducer,
  type Vocabulary,
} from '@gametape/shared';
import type { RestoredProducer, SpelledEvent } from './room-start.ts';
import { rememberStale } from './stale-vocabularies.ts';

/** Of more that came without their change, those that go on from them cannot be read: they are stated as lost. */
const MAX_SPELLED = 16_384;

/** What is known of a producer so far, while its room is being recovered. */
export class RecoveredProducer implements RestoredProducer {
  context: ProducerContext;
  hasJoined = false;
  isPresent = false;
  firstSeq = 0;
  expected: number | null = null;
  restarts = false;
  needsKeyframe = false;
  rewoundAt = 0;
  leftOut = 0;
  readonly staleVocabularies = new Map<number, Vocabulary>();
  readonly spelled: SpelledEvent[] = [];
  /** Events of it are missing in the log, before what is left out from here on (J4). */
  isCut = false;

  constructor(context: ProducerContext) {
    this.context = context;
  }

  /** The vocabulary starts over with the next entry, and the next change has to be a keyframe (D3). */
  skipTo(pseq: number): void {
    this.context.skipTo(pseq);
    this.#forgetStale();
    this.restarts = true;
    this.needsKeyframe = true;
  }

  /** A rewind has restored its state: whatever its next change would have had to be, it is relative to that (T8). */
  rewind(seq: number, before: Vocabulary): void {
    rememberStale(this.staleVocabularies, this.rewoundAt, before);
    this.rewoundAt = seq;
    this.restarts = false;
    this.needsKeyframe = false;
  }

  /** An event of its own, spelled where it may be one that came without its change. */
  observeOwn({ event, change }: Body, pseq: number, isSpelled: boolean): void {
    this.restarts = false;
    if (change) this.needsKeyframe = false;
    const isEmpty = change?.form === 'delta' && change.ops.length === 0;
    // Nothing but what goes on from the last rewind changes anything.
    if (change && !isEmpty) this.#forgetStale();
    else if (event && isSpelled && this.rewoundAt > 0 && this.spelled.length < MAX_SPELLED) {
      this.spelled.push({ pseq, template: { type: event.type, keys: Object.keys(event.data) } });
    }
  }

  /** A player that left, or was there to the end, had said how much it recorded; one that was dropped or superseded has not. */
  observePresence({ type, data }: GameEvent): void {
    if (type !== EventType.PLAYER_JOIN && type !== EventType.PLAYER_LEAVE) return;
    this.isPresent = type === EventType.PLAYER_JOIN;
    const hasSaid = !this.isPresent && (data.reason === 'left' || data.reason === 'ended');
    this.expected = hasSaid ? this.context.pseq : null;
  }

  #forgetStale(): void {
    this.staleVocabularies.clear();
    this.spelled.length = 0;
  }
}

/** Every producer of a room that is being recovered, by index. */
export class RecoveredProducers {
  readonly #identity: RecordingIdentity;
  readonly #producers = new Map<number, RecoveredProducer>();

  constructor(identity: RecordingIdentity) {
    this.#identity = identity;
  }

  /** Names of the players of whom something is left out. */
  get cut(): string[] {
    return [...this.#producers.values()].filter(({ isCut }) => isCut).map(({ context }) => context.player);
  }

  /** What comes now was made from what is known by now. */
  mend(): void {
    for (const producer of this.#producers.values()) producer.isCut = false;
  }

  get(index: number): RecoveredProducer {
    const known = this.#producers.get(index);
    if (known) return known;
    const unknown = { index, player: `unknown-${index}`, instance: '' };
    const context = new ProducerContext(this.#identity.profile, this.#identity.producers.get(index) ?? unknown);
    const producer = new RecoveredProducer(context);
    this.#producers.set(index, producer);
    return producer;
  }

  /** Takes over what a room record says of them. */
  agree(stated: readonly RoomProducer[]): void {
    for (const [index, { player, instance, ...standing }] of stated.entries()) {
      this.#identity.producers.set(index, { index, player, instance });
      Object.assign(this.get(index), standing, { hasJoined: standing.firstSeq > 0 });
    }
  }

  /** The latest context of each player: what a block opens with. */
  latest(): Iterable<ProducerContext> {
    return new Map(this.#inOrder().map(({ context }) => [context.player, context])).values();
  }

  describe(): RoomProducer[] {
    return this.#inOrder().map(({ context, ...standing }) => {
      const { firstSeq, isPresent, expected, restarts, needsKeyframe, rewoundAt, leftOut } = standing;
      const { player, instance } = context;
      return { player, instance, firstSeq, isPresent, expected, restarts, needsKeyframe, rewoundAt, leftOut };
    });
  }

  restored(headSeq: number): RestoredProducer[] {
    const producers = this.#inOrder();
    for (const producer of producers) if (producer.hasJoined) producer.firstSeq ||= headSeq + 1;
    return producers;
  }

  #inOrder(): RecoveredProducer[] {
    const count = Math.max(-1, ...this.#identity.producers.keys(), ...this.#producers.keys()) + 1;
    return Array.from({ length: count }, (_, index) => this.get(index));
  }
}
