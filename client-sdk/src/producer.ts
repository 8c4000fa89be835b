import {
  ByteWriter,
  type Crc32,
  captureJson,
  type DeltaOp,
  diff,
  diffKey,
  encodeBody,
  EventType,
  type GameEvent,
  GametapeError,
  isJsonObject,
  type Json,
  LIMITS,
  LiveState,
  type Profile,
  type State,
  type StateChange,
  type TextChange,
  Vocabulary,
} from '@gametape/shared';
import type { EventInput } from './api.ts';

/** A delta as large as this part of its keyframe is sent as a keyframe (D4). */
const NOT_CLEARLY_SMALLER = 0.7;
/** Every so many deltas one carries the hash of the state after it (D4). */
const CHECK_EVERY = 64;
const MICROSECONDS = 1_000_000;

/**
 * Turns what a player does into bodies (W7): keeps its state, and encodes each event once, with what has changed since
 * the last. Stamps are microseconds of the producer's own clock.
 */
export class Producer {
  readonly #profile: Profile;
  readonly #crc32: Crc32;
  readonly #vocabulary: Vocabulary;
  readonly #state: LiveState;
  readonly #writer = new ByteWriter(1_024);
  #pending: DeltaOp[] = [];
  /** Where edits of a text had ended before the first pending op: positions are relative to it. */
  readonly #editEnds = new Map<string, number>();
  #needsKeyframe = false;
  #clockStands = false;
  #deltas = 0;

  constructor(profile: Profile, crc32: Crc32) {
    this.#profile = profile;
    this.#crc32 = crc32;
    this.#vocabulary = new Vocabulary(profile);
    this.#state = new LiveState(profile);
  }

  get state(): LiveState {
    return this.#state;
  }

  get hasPending(): boolean {
    return this.#pending.length > 0 || this.#needsKeyframe;
  }

  /** The next change that is encoded will be a whole state. */
  requireKeyframe(): void {
    this.#needsKeyframe = this.#state.size > 0;
  }

  /** After a gap nobody knows what the lost bodies defined: the vocabulary starts over, with a keyframe (D3). */
  restart(): void {
    this.#vocabulary.reset({ templates: 0, names: 0 });
    this.requireKeyframe();
  }

  /** A body with the first keyframe, for the hello. The state is as of stamp 0. */
  begin(state: State): Uint8Array {
    this.#state.apply({ form: 'keyframe', entries: Object.entries(captureState(state)) }, 0);
    encodeBody(this.#writer, this.#vocabulary, { change: this.#keyframe() });
    return this.#writer.take();
  }

  setState(next: State): void {
    const captured = captureState(next);
    if (this.#state.size === 0) this.#startWith(captured);
    else this.#change(diff(this.#state, captured, this.#profile.clockKeys));
  }

  set(key: string, value: Json): void {
    if (this.#profile.clockKeys.has(key)) return;
    const captured = captureJson(value, `state.${key}`);
    if (this.#state.size === 0) this.#startWith({ [key]: captured });
    else {
      const op = diffKey(key, this.#state.get(key), captured);
      if (op) this.#change([op]);
    }
  }

  edit(key: string, { at, remove, insert }: TextChange): void {
    const sound = Number.isInteger(at) && Number.isInteger(remove) && at >= 0 && remove >= 0;
    if (!sound) throw new TypeError(`edit of ${key}: at and remove must be whole numbers from 0, found ${at} and ${remove}`);
    if (remove === 0 && insert === '') return;
    this.#change([{ op: 'splice', key, at, remove, insert: insert.toWellFormed() }]);
  }

  /** A clock key stands still at its value from `stamp` on, or follows the clock again (D5). */
  followClock(follow: boolean, stamp: number): void {
    this.#clockStands = !follow;
    this.#state.stamp = stamp;
    for (const key of this.#profile.clockKeys) {
      const value = this.#state.get(key);
      if (typeof value !== 'number' || this.#state.followsClock(key) === follow) continue;
      this.#change([follow ? { op: 'add', key, by: [0] } : { op: 'set', key, value }], stamp);
    }
  }

  /** The body of an event with all pending changes, or of the changes alone. */
  encode(event: GameEvent | undefined, stamp: number): Uint8Array {
    this.#state.stamp = stamp;
    const mark = this.#vocabulary.mark();
    const editEnd = (key: string) => this.#editEnds.get(key) ?? this.#state.editEnd(key);
    const change = this.#pendingChange();
    encodeBody(this.#writer, this.#vocabulary, { ...(event && { event }), ...(change && { change }) }, { editEnd, learn: true });
    const deltaBytes = this.#writer.length;
    if (change?.form === 'delta' && deltaBytes >= this.#state.bytes * NOT_CLEARLY_SMALLER) {
      this.#vocabulary.reset(mark);
      this.#writer.truncate(0);
      encodeBody(this.#writer, this.#vocabulary, { ...(event && { event }), change: this.#keyframe() });
      this.#startOver();
    }
    this.#pending = [];
    this.#editEnds.clear();
    this.#needsKeyframe = false;
    // A keyframe makes clocks follow: if they are to stand, the next delta says so again.
    if (this.#clockStands) this.followClock(false, stamp);
    return this.#writer.take();
  }

  /** A clean event, or an error that says what is wrong with it. */
  checkEvent({ type, data = {} }: EventInput): GameEvent {
    if (typeof type !== 'string' || type === '' || type.length > 64) {
      throw new GametapeError('BAD_EVENT', `event: expected a type of 1 to 64 characters, found ${JSON.stringify(type)}`);
    }
    if (type === EventType.PLAYER_JOIN || type === EventType.PLAYER_LEAVE) {
      throw new GametapeError('BAD_EVENT', `event: ${type} is made by the relay when a player comes or goes`);
    }
    if (this.#profile.eventTypes && !this.#profile.eventTypes.has(type)) {
      const hint = "Use a type of the profile, or connect with profile: 'json' for types of your own.";
      throw new GametapeError('BAD_EVENT', `event: ${JSON.stringify(type)} is no type of the profile ${this.#profile.name}`, { hint });
    }
    const captured = captureJson(data, 'data');
    if (!isJsonObject(captured)) throw new GametapeError('BAD_EVENT', `event ${type}: expected data to be a map`);
    return { type: type.toWellFormed(), data: captured };
  }

  /** The first state of a player that came without one. */
  #startWith(state: State): void {
    this.#state.apply({ form: 'keyframe', entries: Object.entries(state) }, this.#state.stamp);
    this.#needsKeyframe = true;
  }

  #change(ops: readonly DeltaOp[], stamp = this.#state.stamp): void {
    if (ops.length === 0) return;
    const ends = ops.map(({ key }) => [key, this.#state.editEnd(key)] as const);
    this.#state.apply({ form: 'delta', ops }, stamp);
    for (const [key, end] of ends) if (!this.#editEnds.has(key)) this.#editEnds.set(key, end);
    this.#pending.push(...ops);
  }

  #pendingChange(): StateChange | undefined {
    if (this.#needsKeyframe || this.#pending.length > LIMITS.deltaOps) {
      const keyframe = this.#keyframe();
      this.#startOver();
      return keyframe;
    }
    if (this.#pending.length === 0) return undefined;
    this.#deltas++;
    const check = this.#deltas % CHECK_EVERY === 0 ? { check: this.#state.hash(this.#crc32) } : undefined;
    return { form: 'delta', ops: this.#pending, ...check };
  }

  #keyframe(): StateChange {
    return { form: 'keyframe', entries: Object.entries(this.#state.toJson()) };
  }

  /** After a keyframe every reader starts over: edit positions at 0, clock keys following. So does this side. */
  #startOver(): void {
    const keyframe = this.#keyframe();
    this.#state.apply(keyframe, this.#state.stamp);
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
