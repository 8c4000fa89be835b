import {
  BodyEncoder,
  type Crc32,
  captureJson,
  type DeltaOp,
  diff,
  diffKey,
  EventType,
  type GameEvent,
  GametapeError,
  isJsonObject,
  type Json,
  type KeyframeContext,
  type Profile,
  type State,
  type TextChange,
} from '@gametape/shared';
import type { EventInput } from './api.ts';

const MICROSECONDS = 1_000_000;

/** Turns what a player does into bodies: checks and copies what the game hands in, and finds out what has changed. */
export class Producer {
  readonly #profile: Profile;
  readonly #bodies: BodyEncoder;
  #clockStands = false;

  constructor(profile: Profile, crc32: Crc32) {
    this.#profile = profile;
    this.#bodies = new BodyEncoder(profile, crc32);
  }

  /** A snapshot of the player's state now. */
  get state(): State {
    return this.#bodies.state.toJson();
  }

  get hasPending(): boolean {
    return this.#bodies.hasPending;
  }

  /** All that decoding the next body needs, for a keyframe record of FORMAT.md: good until the next body. */
  context(pseq: number, stamp: number): KeyframeContext {
    const { vocabulary, state } = this.#bodies;
    return { index: 0, pseq, time: 0, hlc: 0, stamp, vocabulary, state };
  }

  /** The state at the start, as of stamp 0. The next body is its keyframe. */
  begin(state: State): void {
    this.#bodies.replaceState(captureState(state), 0);
  }

  /** Everything not encoded yet, or not known to have arrived, goes into a keyframe with a vocabulary of its own (D3). */
  restart(): void {
    this.#bodies.restart();
  }

  /** The state of a rewind is this player's now. Clock keys go on from their value then: the next body says so, at this stamp (D5). */
  rebase(entries: Iterable<readonly [key: string, value: Json]>, stamp: number): void {
    this.#bodies.rebase(entries, stamp);
    const { state } = this.#bodies;
    state.stamp = stamp;
    for (const key of this.#profile.clockKeys) {
      const value = state.get(key);
      if (typeof value !== 'number') continue;
      const stands: DeltaOp = { op: 'set', key, value };
      this.#bodies.change(this.#clockStands ? [stands] : [stands, { op: 'add', key, by: [0] }], stamp);
    }
  }

  setState(next: State): void {
    const captured = captureState(next);
    const { state } = this.#bodies;
    if (state.size === 0) this.#bodies.replaceState(captured, state.stamp);
    else this.#bodies.change(diff(state, captured, this.#profile.clockKeys), state.stamp);
  }

  /** Keys that follow the clock are the SDK's to set (D5). */
  set(key: string, value: Json): void {
    if (this.#profile.clockKeys.has(key)) return;
    const captured = captureJson(value, `state.${key}`);
    const { state } = this.#bodies;
    const op = state.size === 0 ? undefined : diffKey(key, state.get(key), captured);
    if (state.size === 0) this.#bodies.replaceState({ [key]: captured }, state.stamp);
    else if (op) this.#bodies.change([op], state.stamp);
  }

  edit(key: string, { at, remove, insert }: TextChange): void {
    const isSound = Number.isInteger(at) && Number.isInteger(remove) && at >= 0 && remove >= 0;
    if (!isSound || typeof insert !== 'string') {
      throw new TypeError(
        `edit of ${key}: expected {at, remove, insert}, found ${JSON.stringify({ at, remove, insert })}`,
      );
    }
    if (remove === 0 && insert === '') return;
    const splice = { op: 'splice', key, at, remove, insert: insert.toWellFormed() } as const;
    this.#bodies.change([splice], this.#bodies.state.stamp);
  }

  /** Clock keys stand still at their value from `stamp` on, or follow the clock again (D5). */
  followClock(follow: boolean, stamp: number): void {
    this.#clockStands = !follow;
    const { state } = this.#bodies;
    state.stamp = stamp;
    for (const key of this.#profile.clockKeys) {
      const value = state.get(key);
      if (typeof value !== 'number' || state.followsClock(key) === follow) continue;
      this.#bodies.change([follow ? { op: 'add', key, by: [0] } : { op: 'set', key, value }], stamp);
    }
  }

  /** The body of an event with all pending changes, or of the changes alone (W7). */
  encode(event: GameEvent | undefined, stamp: number): Uint8Array {
    const body = this.#bodies.encode(event, stamp);
    // A keyframe makes clocks follow: if they are to stand, the next delta says so again.
    if (this.#clockStands) this.followClock(false, stamp);
    return body;
  }

  /** A clean copy of an event. @throws GametapeError `BAD_EVENT`, `BAD_VALUE` saying what is wrong with it */
  checkEvent({ type, data = {} }: EventInput): GameEvent {
    if (typeof type !== 'string' || type === '' || type.length > 64) {
      throw new GametapeError(
        'BAD_EVENT',
        `event: expected a type of 1 to 64 characters, found ${JSON.stringify(type)}`,
      );
    }
    if (type === EventType.PLAYER_JOIN || type === EventType.PLAYER_LEAVE || type === EventType.REWIND) {
      throw new GametapeError('BAD_EVENT', `event: ${type} is made by the relay, not by a player`);
    }
    if (this.#profile.eventTypes && !this.#profile.eventTypes.has(type)) {
      const hint = "Use a type of the profile, or connect with profile: 'json' for types of your own.";
      const message = `event: ${JSON.stringify(type)} is no type of the profile ${this.#profile.name}`;
      throw new GametapeError('BAD_EVENT', message, { hint });
    }
    const captured = captureJson(data, 'data');
    if (!isJsonObject(captured)) throw new GametapeError('BAD_EVENT', `event ${type}: expected data to be a map`);
    return { type: type.toWellFormed(), data: captured };
  }
}

function captureState(state: State): State {
  const captured = captureJson(state, 'state');
  if (!isJsonObject(captured)) throw new GametapeError('BAD_VALUE', 'state: expected a map of keys to values');
  return captured;
}

/** Browsers tick in 100 µs at best, and a coarser stamp is a byte shorter on the wire. */
export function stampOf(microseconds: number): number {
  return Math.round(microseconds / 100) * 100;
}

export function toSeconds(microseconds: number): number {
  return microseconds / MICROSECONDS;
}
