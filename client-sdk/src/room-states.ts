import {
  type Body,
  ByteReader,
  ByteWriter,
  type Crc32,
  GametapeError,
  hasKeyframe,
  ProducerContext,
  type ProducerRecord,
  type Profile,
  readKeyframe,
  type State,
  writeKeyframe,
} from '@gametape/shared';
import type { ReelStates } from './reel.ts';

/** An entry of a room as it arrived, from its socket or in a fragment. Times are microseconds of room time. */
export interface Arrival {
  readonly seq: number;
  readonly producer: number;
  readonly time: number;
  /** Tells entries of one time apart (T3). */
  readonly hlc: number;
  /** The producer's own clock; null for entries that the relay made. */
  readonly stamp: number | null;
  readonly body: Uint8Array;
  /** The producer's vocabulary starts over with it (D3). */
  readonly restarts: boolean;
}

/** Producers that any part of the room has told of, by index. */
export type Producers = Map<number, ProducerRecord>;

/** Every producer's context at one point of a room: what its entries change, in whatever order of players. */
export class RoomStates implements ReelStates {
  readonly #profile: Profile;
  readonly #producers: Producers;
  readonly #crc32: Crc32;
  /** Those with the latest entries last: of several producers of a player, the last with a state has the player's. */
  readonly #contexts: Map<number, ProducerContext>;

  constructor(profile: Profile, producers: Producers, crc32: Crc32, contexts: Iterable<ProducerContext> = []) {
    this.#profile = profile;
    this.#producers = producers;
    this.#crc32 = crc32;
    this.#contexts = new Map([...contexts].map((context) => [context.index, context]));
  }

  get players(): Iterable<string> {
    return new Set([...this.#contexts.values()].filter(({ state }) => state.size > 0).map(({ player }) => player));
  }

  stateOf(player: string): State | undefined {
    let last: ProducerContext | undefined;
    for (const context of this.#contexts.values()) {
      if (context.player === player && context.state.size > 0) last = context;
    }
    return last?.state.toJson();
  }

  /** @throws GametapeError `BAD_MESSAGE`, `BAD_DELTA` for what does not fit */
  apply({ seq, producer, time, stamp, body, restarts }: Arrival): { player: string; body: Body } {
    const context = this.#contexts.get(producer) ?? this.#newContext(producer, seq);
    if (restarts || (stamp === null && hasKeyframe(body))) context.restart();
    const read = context.read(body, stamp ?? context.stamp, 'BAD_MESSAGE', this.#crc32);
    if (stamp !== null) context.stamp = stamp;
    context.time = time;
    this.#contexts.delete(producer);
    this.#contexts.set(producer, context);
    return { player: context.player, body: read };
  }

  /** The same, to go another way from here. */
  fork(): RoomStates {
    const contexts = [...this.#contexts.values()].map((context) => {
      const writer = new ByteWriter();
      writeKeyframe(writer, context);
      return readKeyframe(new ByteReader(writer.take(), 'BAD_MESSAGE'), this.#profile, () => context);
    });
    return new RoomStates(this.#profile, this.#producers, this.#crc32, contexts);
  }

  #newContext(index: number, seq: number): ProducerContext {
    const known = this.#producers.get(index);
    if (!known) throw new GametapeError('BAD_MESSAGE', `event ${seq}: unknown producer ${index}`);
    return new ProducerContext(this.#profile, known);
  }
}
