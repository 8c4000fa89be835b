import {
  type Body,
  ByteWriter,
  EventType,
  encodeBody,
  type GameEvent,
  type GapRecord,
  type Json,
  type ProducerRecord,
  type Profile,
  type State,
  type StateChange,
  type TimelineEntry,
  Vocabulary,
} from '@gametape/shared';
import { TestProducer } from './test-producer.ts';

/** What happened at one place of the timeline. */
export interface RecordedStep {
  readonly entry: TimelineEntry;
  readonly event: GameEvent | undefined;
  /** The state of its producer after it; undefined while it has none. */
  readonly state: State | undefined;
  /** Named here as a checkpoint. */
  readonly checkpoint?: string;
  /** What the producer lost right before it. */
  readonly gap?: GapRecord;
}

export interface RecordedSession {
  readonly producers: readonly ProducerRecord[];
  readonly steps: readonly RecordedStep[];
}

export interface SessionOptions {
  readonly profile: Profile;
  readonly seed: number;
  readonly entries: number;
  readonly players: number;
  /** Give some entries a timestamp that microseconds would round. */
  readonly exact?: boolean;
  /** Text that deflate cannot shorten, so many bytes of it in one of so many entries. */
  readonly ballast?: { readonly bytes: number; readonly every: number };
}

/**
 * A random session of several players, one of whom comes back as a second producer: typing, clocks that lead and lag, gaps,
 * pauses, checkpoints, entries that the relay made, entries that arrived late. The same for the same options.
 */
export function recordSession(options: SessionOptions): RecordedSession {
  return new Recording(options).run();
}

class Recording {
  readonly #options: SessionOptions;
  readonly #random: () => number;
  readonly #steps: RecordedStep[] = [];
  readonly #players: Player[];
  #time = 0;
  #hlc = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#players = Array.from({ length: options.players + 1 }, (_, index) => {
      const player = `player-${index % options.players}`;
      return new Player({ index, player, instance: `i${index}` }, options.profile, index * 333_333);
    });
  }

  run(): RecordedSession {
    while (this.#steps.length < this.#options.entries) this.#step();
    return { producers: this.#players.map(({ record }) => record), steps: this.#steps.map((step) => this.#late(step)) };
  }

  /** Now and then two neighbours arrived the other way round. */
  #late(step: RecordedStep): RecordedStep {
    const { seq } = step.entry;
    const pair = Math.floor((seq - 1) / 2);
    const isSwapped = pair % 7 === 3 && this.#steps.length >= 2 * pair + 2;
    return isSwapped ? { ...step, entry: { ...step.entry, seq: seq % 2 === 1 ? seq + 1 : seq - 1 } } : step;
  }

  #step(): void {
    const progress = this.#steps.length / this.#options.entries;
    // The last producer is the first player, come back: from the middle on it takes over.
    const present = progress < 0.5 ? this.#players.slice(0, -1) : this.#players.slice(1);
    const player = present[this.#below(present.length)] as Player;
    const move = this.#below(10);
    if (move === 0) this.#hlc++;
    else {
      this.#time += move < 7 ? move * 1_300 : this.#below(2_000_000);
      this.#hlc = move === 1 ? 2 : 0;
    }
    if (this.#below(40) === 0) this.#relayStep(player);
    else this.#playerStep(player);
  }

  #playerStep(player: Player): void {
    const stamp = player.stampAt(this.#time, this.#below(3) === 0 ? this.#below(2_000) - 1_000 : 0);
    const gap = this.#below(60) === 0 ? player.lose(1 + this.#below(5)) : undefined;
    const kind = this.#below(30);
    const event = kind === 0 ? undefined : this.#event(kind);
    const next = kind === 1 ? undefined : player.next(this.#below(1_000_000));
    const body = player.encode(event, next, stamp, this.#below(8) === 0);
    const checkpoint = event?.type === EventType.CHECKPOINT ? String(event.data.name) : undefined;
    this.#push(player, {
      pseq: ++player.pseq,
      stamp,
      body,
      event,
      ...(checkpoint && { checkpoint }),
      ...(gap && { gap }),
    });
  }

  /** Someone joins or leaves, or the relay puts a state back. */
  #relayStep(player: Player): void {
    const event: GameEvent =
      this.#below(2) === 0
        ? { type: EventType.PLAYER_JOIN, data: { name: player.record.player } }
        : { type: EventType.REWIND, data: { name: 'start' } };
    const entries = Object.entries(player.rewindState ?? {});
    const change: StateChange | undefined =
      event.type === EventType.REWIND && entries.length > 0 ? { form: 'keyframe', entries } : undefined;
    if (change) player.adopt(change);
    const writer = new ByteWriter();
    const body: Body = { event, ...(change && { change }) };
    encodeBody(writer, new Vocabulary(this.#options.profile), body, { editEnd: () => 0, learn: false });
    this.#push(player, { pseq: 0, stamp: null, body: writer.take(), event });
  }

  #event(kind: number): GameEvent {
    if (kind === 2) return { type: EventType.SPEED_CHANGE, data: { speed: this.#below(2) } };
    const { ballast } = this.#options;
    if (ballast && this.#below(ballast.every) === 0) {
      return { type: EventType.PLAYER_MESSAGE, data: { message: this.#noise(ballast.bytes) } };
    }
    if (kind === 3) return { type: EventType.CHECKPOINT, data: { name: `cp-${this.#steps.length}` } };
    if (kind < 6)
      return { type: `custom_${this.#below(6)}`, data: { [`key${this.#below(3)}`]: this.#below(9), text: 'é' } };
    return { type: EventType.KEYSTROKE, data: { char: LETTERS[this.#below(LETTERS.length)] as string, modifiers: [] } };
  }

  #push(
    player: Player,
    step: Omit<RecordedStep, 'entry' | 'state'> & Pick<TimelineEntry, 'pseq' | 'stamp' | 'body'>,
  ): void {
    const { pseq, stamp, body, event, checkpoint, gap } = step;
    const exact = this.#options.exact && this.#below(3) === 0 ? { exact: this.#time / 1e6 + 1e-9 } : undefined;
    const place = { seq: this.#steps.length + 1, producer: player.record.index, time: this.#time, hlc: this.#hlc };
    const entry = { ...place, pseq, stamp, body, ...exact };
    const state = player.stateNow();
    this.#steps.push({ entry, event, state, ...(checkpoint && { checkpoint }), ...(gap && { gap }) });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** Printable text of 6 bits a byte: deflate gets no further than that. */
  #noise(bytes: number): string {
    return String.fromCharCode(...Array.from({ length: bytes }, () => 48 + this.#below(64)));
  }
}

const LETTERS = ['a', 'b', 'é', '世', '😀', '\n'];

/** Keeps what its state should be in plain JSON, beside the state that deltas make. */
class Player {
  readonly record: ProducerRecord;
  pseq = 0;
  rewindState: State | undefined;
  readonly #profile: Profile;
  readonly #offset: number;
  readonly #drift: number;
  #producer: TestProducer;
  #plain: State | undefined;
  /** Value and stamp, from which the clock key follows. */
  #clock = { value: 0, stamp: 0 };
  #stamp = 0;
  #mustRestart = false;

  constructor(record: ProducerRecord, profile: Profile, offset: number) {
    this.record = record;
    this.#profile = profile;
    this.#offset = offset;
    this.#drift = 1 + (record.index - 1) * 1e-4;
    this.#producer = new TestProducer(profile);
  }

  stampAt(time: number, jitter: number): number {
    return Math.max(this.#stamp, Math.round(time * this.#drift) + this.#offset + jitter);
  }

  lose(events: number): GapRecord {
    const firstPseq = this.pseq + 1;
    this.pseq += events;
    this.#mustRestart = true;
    return { producer: this.record.index, firstPseq, lastPseq: this.pseq, reason: 'ring overflow' };
  }

  /** The next state, of `dice`. */
  next(dice: number): State {
    const now = this.#plain;
    if (!now) return this.#first();
    const code = String(now.current_code);
    const points = [...code];
    const at = dice % 7 === 0 ? dice % (points.length + 1) : points.length;
    points.splice(at, dice % 11 === 0 ? 3 : 0, LETTERS[dice % LETTERS.length] as string);
    const text = dice % 501 === 0 ? code + 'print(1)\n'.repeat(80) : points.join('');
    const next: Record<string, Json> = { ...now, current_code: text, cursor_position: [dice % 9, at % 80] };
    if (dice % 13 === 0) next.mastery_levels = { ...(now.mastery_levels as object), [`concept-${dice % 5}`]: dice % 4 };
    if (dice % 17 === 0) next.tests_passing = dice % 10;
    if (dice % 29 === 0) next[`extra-${dice % 4}`] = { value: dice, list: [dice % 3] };
    if (dice % 31 === 0) delete next[`extra-${dice % 4}`];
    return next;
  }

  encode(event: GameEvent | undefined, next: State | undefined, stamp: number, check: boolean): Uint8Array {
    this.#stamp = stamp;
    if (this.#mustRestart) {
      // After a gap both sides start over, with a keyframe.
      this.#producer = new TestProducer(this.#profile);
      this.#mustRestart = false;
      const state = next ?? this.#plain ?? this.#first();
      this.#follow(state, stamp);
      return this.#producer.encode(event, this.stateNow(), stamp);
    }
    if (next && !this.#plain) this.#follow(next, stamp);
    else if (next) this.#plain = next;
    this.rewindState ??= this.#plain;
    return this.#producer.encode(event, next && this.stateNow(), stamp, check);
  }

  adopt(change: StateChange & { form: 'keyframe' }): void {
    this.#producer.adopt(change, this.#stamp);
    this.#follow(Object.fromEntries(change.entries), this.#stamp);
  }

  stateNow(): State | undefined {
    if (!this.#plain || !this.#profile.clockKeys.has('session_duration')) return this.#plain;
    return { ...this.#plain, session_duration: (this.#clock.value + this.#stamp - this.#clock.stamp) / 1e6 };
  }

  #follow(state: State, stamp: number): void {
    this.#plain = state;
    this.#clock = { value: Math.round(Number(state.session_duration) * 1e6), stamp };
  }

  #first(): State {
    return {
      current_code: '',
      cursor_position: [0, 0],
      session_duration: this.record.index,
      mastery_levels: {},
      tests_passing: 0,
    };
  }
}

/** Numbers from 0 to 1, the same for the same seed (xorshift). */
function seededRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
