import { ByteWriter } from '../bytes/byte-writer.ts';
import type { Crc32 } from '../bytes/crc32.ts';
import type { DeltaOp, GameEvent, State, StateChange } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { Profile } from '../profile/profile.ts';
import { LiveState } from '../state/live-state.ts';
import type { Json } from '../values/json.ts';
import { encodeBody } from './encode-body.ts';
import { Vocabulary } from './vocabulary.ts';

/** A delta of at least this part of its keyframe's bytes is sent as the keyframe (D4). */
const NOT_CLEARLY_SMALLER = 0.7;
/** A delta smaller than this part of the state is clearly smaller: the keyframe need not be made to know. */
const WORTH_MEASURING = 0.1;
/** Every so many deltas one carries the hash of the state after it (D4). */
const CHECK_EVERY = 64;

/**
 * One producer's side of its bodies (W7): keeps its state and vocabulary, gathers what changes, and encodes each event
 * once with what has changed since the last. What it is given has been through `captureJson`, or a parser.
 */
export class BodyEncoder {
  readonly state: LiveState;
  readonly #vocabulary: Vocabulary;
  readonly #crc32: Crc32;
  readonly #writer = new ByteWriter(1_024);
  #pending: DeltaOp[] = [];
  /** Where edits of a text had ended before the first pending op: positions are relative to it. */
  readonly #editEnds = new Map<string, number>();
  #needsKeyframe = false;
  #deltas = 0;

  constructor(profile: Profile, crc32: Crc32) {
    this.state = new LiveState(profile);
    this.#vocabulary = new Vocabulary(profile);
    this.#crc32 = crc32;
  }

  /** What bodies so far have defined. Only this encoder adds to it. */
  get vocabulary(): Pick<Vocabulary, 'learnedTemplates' | 'learnedNames'> {
    return this.#vocabulary;
  }

  /** Something has changed that no body holds yet. */
  get hasPending(): boolean {
    return this.#pending.length > 0 || this.#needsKeyframe;
  }

  /** The state is `state` from `stamp` on; the next body holds all of it. @throws GametapeError `LIMIT_EXCEEDED` */
  replaceState(state: State, stamp: number): void {
    this.state.apply({ form: 'keyframe', entries: Object.entries(state) }, stamp);
    this.#needsKeyframe = true;
  }

  /** Changes the state now; the next body holds the ops. @throws GametapeError `BAD_DELTA`, `LIMIT_EXCEEDED` */
  change(ops: readonly DeltaOp[], stamp: number): void {
    if (ops.length === 0) return;
    const ends = ops.map(({ key }) => [key, this.state.editEnd(key)] as const);
    this.state.apply({ form: 'delta', ops }, stamp);
    for (const [key, end] of ends) if (!this.#editEnds.has(key)) this.#editEnds.set(key, end);
    this.#pending.push(...ops);
  }

  /** After a gap nobody knows what the lost bodies defined: the vocabulary starts over, with a keyframe (D3). */
  restart(): void {
    this.#vocabulary.reset({ templates: 0, names: 0 });
    this.#needsKeyframe = this.state.size > 0;
  }

  /**
   * The state is that of a rewind, which everybody knows from the relay: what is pending is dropped, and the vocabulary starts
   * over (T8). A keyframe that was due because of a gap still is.
   */
  rebase(entries: Iterable<readonly [key: string, value: Json]>, stamp: number): void {
    this.#vocabulary.reset({ templates: 0, names: 0 });
    this.state.apply({ form: 'keyframe', entries: [...entries] }, stamp);
    this.#pending = [];
    this.#editEnds.clear();
  }

  /** The body of an event with all that is pending, or of what is pending alone. The bytes are the caller's. */
  encode(event: GameEvent | undefined, stamp: number): Uint8Array {
    this.state.stamp = stamp;
    const mark = this.#vocabulary.mark();
    let change = this.#pendingChange();
    this.#write(event, change);
    const deltaBytes = this.#writer.length;
    if (change?.form === 'delta' && deltaBytes >= this.state.bytes * WORTH_MEASURING) {
      const keyframe = this.#keyframe();
      this.#rewrite(event, keyframe, mark);
      if (deltaBytes >= this.#writer.length * NOT_CLEARLY_SMALLER) change = keyframe;
      else this.#rewrite(event, change, mark);
    }
    // After a keyframe every reader starts over, edit positions at 0 and clock keys following: so does this side.
    if (change?.form === 'keyframe') this.state.apply(change, stamp);
    this.#pending = [];
    this.#editEnds.clear();
    this.#needsKeyframe = false;
    return this.#writer.take();
  }

  #write(event: GameEvent | undefined, change: StateChange | undefined): void {
    const editEnd = (key: string) => this.#editEnds.get(key) ?? this.state.editEnd(key);
    const body = { ...(event && { event }), ...(change && { change }) };
    encodeBody(this.#writer, this.#vocabulary, body, { editEnd, learn: true });
  }

  #rewrite(event: GameEvent | undefined, change: StateChange, mark: ReturnType<Vocabulary['mark']>): void {
    this.#vocabulary.reset(mark);
    this.#writer.truncate(0);
    this.#write(event, change);
  }

  #pendingChange(): StateChange | undefined {
    if (this.#needsKeyframe || this.#pending.length > LIMITS.deltaOps) return this.#keyframe();
    if (this.#pending.length === 0) return undefined;
    this.#deltas++;
    const check = this.#deltas % CHECK_EVERY === 0 ? { check: this.state.hash(this.#crc32) } : undefined;
    return { form: 'delta', ops: this.#pending, ...check };
  }

  #keyframe(): Extract<StateChange, { form: 'keyframe' }> {
    return { form: 'keyframe', entries: Object.entries(this.state.toJson()) };
  }
}
