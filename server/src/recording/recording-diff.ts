import { profileNamed, type RecordingReader } from '@gametape/shared';
import { type Difference, DifferenceList } from './diff-report.ts';
import { DiffRules } from './diff-rules.ts';
import { DiffSide } from './diff-side.ts';
import { type AlignSide, alignEvents } from './event-alignment.ts';
import { diffHeaders } from './header-diff.ts';
import { OrderCount } from './order-count.ts';
import { type EventCounts, PlayerDiff } from './player-diff.ts';

export interface DiffOptions {
  /** How many seconds times may differ; infinite to ignore them. @default 0 */
  readonly toleranceS?: number;
  /** Names of state keys, fields of data and header facts that are not compared. @default none */
  readonly ignore?: readonly string[];
  /** Differences listed; the others are counted. @default 100 */
  readonly limit?: number;
  /** The order of events of different players counts as well. @default false */
  readonly order?: boolean;
}

/** What tells two recordings apart. Times are seconds of play time (T7). */
export interface RecordingDiff {
  readonly equal: boolean;
  /** How many differences there are, listed or not. */
  readonly differenceCount: number;
  readonly differences: readonly Difference[];
  /** `a` and `b` are how many there are in each; `order` is how many came before others of another player in b only. */
  readonly events: Readonly<EventCounts> & { readonly a: number; readonly b: number; readonly order: number };
  /** Of players after an event that both have. */
  readonly states: { readonly compared: number; readonly different: number };
}

/**
 * Compares two recordings: what they say of themselves, every player's events in order, and the player's state after each.
 * Producers, stamps and sequence numbers do not count: a recording equals what it was converted to.
 *
 * Both are read once, in memory that does not grow with them (R6): events wait for their like in a window of at most 8,192
 * events or 32 MiB a recording, and are aligned by at most 256 at once (`alignEvents`).
 *
 * @throws GametapeError `DAMAGED` naming the recording and its block
 */
export async function diffRecordings(
  a: RecordingReader,
  b: RecordingReader,
  options: DiffOptions = {},
): Promise<RecordingDiff> {
  return new DiffWalk(a, b, options).run();
}

const PAIR = ['pair'] as const;

class DiffWalk {
  readonly #a: DiffSide;
  readonly #b: DiffSide;
  readonly #rules: DiffRules;
  /** What comes first is found last. */
  readonly #headers: DifferenceList;
  readonly #differences: DifferenceList;
  readonly #limit: number;
  readonly #isOrderCompared: boolean;
  readonly #counts: EventCounts = { equal: 0, changed: 0, retimed: 0, removed: 0, added: 0 };
  readonly #order = new OrderCount();
  readonly #players = new Map<string, PlayerDiff>();
  /** Names of checkpoints at one of two events that belong together. */
  readonly #moved = new Set<string>();
  readonly #seen = [new Set<string>(), new Set<string>()] as const;

  constructor(a: RecordingReader, b: RecordingReader, options: DiffOptions) {
    const { toleranceS = 0, ignore = [], limit = 100, order = false } = options;
    this.#a = new DiffSide(a);
    this.#b = new DiffSide(b);
    this.#rules = new DiffRules({ toleranceS, ignore });
    this.#headers = new DifferenceList(limit);
    this.#differences = new DifferenceList(limit);
    this.#limit = limit;
    this.#isOrderCompared = order;
  }

  async run(): Promise<RecordingDiff> {
    while (!this.#a.isAtEnd || !this.#b.isAtEnd) {
      const side = this.#nextSide();
      const player = await side.pull();
      if (player !== undefined) {
        this.#seen[side === this.#a ? 0 : 1].add(player);
        this.#advance(player);
      }
      if (side.isFull) this.#press(side);
    }
    const players = new Set([...this.#a.tracks.keys(), ...this.#b.tracks.keys()]);
    for (const player of players) this.#finish(player);
    const [rules, seen, moved] = [this.#rules, this.#seen, this.#moved];
    diffHeaders([this.#a.reader, this.#b.reader], { rules, differences: this.#headers, seen, moved });
    const order = this.#order.count;
    if (this.#isOrderCompared && order > 0) this.#differences.add(() => ({ kind: 'order', events: order }));
    return this.#result();
  }

  /** Whichever has less waiting, so that both get on together however their players are interleaved. */
  #nextSide(): DiffSide {
    if (this.#a.isAtEnd) return this.#b;
    if (this.#b.isAtEnd) return this.#a;
    const by = this.#a.waitingEvents - this.#b.waitingEvents || this.#a.events - this.#b.events;
    return by <= 0 ? this.#a : this.#b;
  }

  /** Compares what can be compared of a player by now; `isPressed` does so with what is there. */
  #advance(player: string, isPressed = false): void {
    const [a, b] = [this.#a.track(player), this.#b.track(player)];
    while (a.length > 0 && b.length > 0) {
      const steps = this.#areHeadsEqual(a, b) ? PAIR : alignEvents(a, b, { rules: this.#rules, isPressed });
      if (!steps) return;
      for (const step of steps) {
        if (step === 'pair') this.#pair(player);
        else this.#alone(step, player);
      }
    }
    while (a.isOver && b.length > 0) this.#alone('added', player);
    while (b.isOver && a.length > 0) this.#alone('removed', player);
  }

  /** A recording that has too much waiting does not wait for more. */
  #press(side: DiffSide): void {
    const player = side.longestWaiting();
    if (player === undefined) return;
    const track = side.track(player);
    const before = track.length;
    this.#advance(player, true);
    if (track.length < before) return;
    for (let left = (before + 1) >> 1; left > 0; left--) this.#alone(side === this.#a ? 'removed' : 'added', player);
  }

  #areHeadsEqual(a: AlignSide, b: AlignSide): boolean {
    const [itemA, itemB] = [a.peek(0), b.peek(0)];
    return (
      itemA.type === itemB.type &&
      this.#rules.sameTime(itemA.timeS, itemB.timeS) &&
      this.#rules.sameData(itemA.data, itemB.data)
    );
  }

  #pair(player: string): void {
    const [a, b] = [this.#a.take(player), this.#b.take(player)];
    this.#order.observe(a.index, b.index);
    this.#diffOf(player).pair(a, b);
    for (const name of a.checkpoints) if (!b.checkpoints.includes(name)) this.#moved.add(name);
    for (const name of b.checkpoints) if (!a.checkpoints.includes(name)) this.#moved.add(name);
  }

  #alone(kind: 'removed' | 'added', player: string): void {
    const item = (kind === 'removed' ? this.#a : this.#b).take(player);
    if (kind === 'removed') this.#order.observe(item.index, null);
    this.#diffOf(player).alone(kind, item);
  }

  #finish(player: string): void {
    this.#advance(player);
    this.#a.track(player).settle();
    this.#b.track(player).settle();
    if (this.#seen.every((seen) => seen.has(player))) this.#diffOf(player).finish();
  }

  #diffOf(player: string): PlayerDiff {
    const known = this.#players.get(player);
    if (known) return known;
    const made = new PlayerDiff({
      player,
      a: this.#a.track(player),
      b: this.#b.track(player),
      profiles: [profileNamed(this.#a.reader.meta.profile), profileNamed(this.#b.reader.meta.profile)],
      rules: this.#rules,
      differences: this.#differences,
      counts: this.#counts,
    });
    this.#players.set(player, made);
    return made;
  }

  #result(): RecordingDiff {
    const differenceCount = this.#headers.count + this.#differences.count;
    const players = [...this.#players.values()];
    return {
      equal: differenceCount === 0,
      differenceCount,
      differences: [...this.#headers.listed, ...this.#differences.listed].slice(0, this.#limit),
      events: { a: this.#a.events, b: this.#b.events, ...this.#counts, order: this.#order.count },
      states: {
        compared: players.reduce((sum, player) => sum + player.comparedStates, 0),
        different: players.reduce((sum, player) => sum + player.differentStates, 0),
      },
    };
  }
}
