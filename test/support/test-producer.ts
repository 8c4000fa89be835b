import {
  type Body,
  ByteWriter,
  type DeltaOp,
  diff,
  encodeBody,
  type GameEvent,
  LiveState,
  type Profile,
  type State,
  type StateChange,
  Vocabulary,
} from '@gametape/shared';

/** The plain half of an SDK: keeps a producer's state and vocabulary, and encodes what happens to them. */
export class TestProducer {
  readonly vocabulary: Vocabulary;
  readonly state: LiveState;
  readonly #profile: Profile;

  constructor(profile: Profile) {
    this.#profile = profile;
    this.vocabulary = new Vocabulary(profile);
    this.state = new LiveState(profile);
  }

  /** The body of an event after which the state is `next`; clock keys follow by themselves. */
  encode(event: GameEvent | undefined, next: State | undefined, stamp: number, check = false): Uint8Array {
    const change = next && this.#changeTo(next);
    return this.encodeChange(event, change, stamp, check);
  }

  encodeChange(
    event: GameEvent | undefined,
    change: StateChange | undefined,
    stamp: number,
    check = false,
  ): Uint8Array {
    const editEnds = new Map([...this.state.keys()].map((key) => [key, this.state.editEnd(key)]));
    if (change) this.state.apply(change, stamp);
    else this.state.stamp = stamp;
    const checked = check && change?.form === 'delta' ? { ...change, check: this.state.hash() } : change;
    const body: Body = { ...(event && { event }), ...(checked && { change: checked }) };
    const writer = new ByteWriter();
    encodeBody(writer, this.vocabulary, body, { editEnd: (key) => editEnds.get(key) ?? 0, learn: true });
    return writer.take();
  }

  /** A keyframe that the relay made of its own accord: the vocabulary starts over with it (T8). */
  adopt(change: StateChange & { form: 'keyframe' }, stamp: number): void {
    this.vocabulary.reset({ templates: 0, names: 0 });
    this.state.apply(change, stamp);
  }

  #changeTo(next: State): StateChange {
    if (this.state.size === 0) return { form: 'keyframe', entries: Object.entries(next) };
    const ops: DeltaOp[] = diff(this.state, next, this.#profile.clockKeys);
    return { form: 'delta', ops };
  }
}
