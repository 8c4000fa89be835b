import { EventType, type GameEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';

/** A pause that lasts: since when, and which players hold it. */
export interface OpenPause {
  readonly since: number;
  readonly players: readonly string[];
}

/** Changes that are remembered: what comes later than so many others is put no further back than behind those. */
const MAX_CHANGES = 1_024;
/** Holds the pauses of which only their ends are known: no player has this id. */
const SOMEBODY = '';

/** A player begins to hold a pause, or lets it go. */
interface Change {
  readonly time: number;
  readonly player: string;
  readonly pauses: boolean;
}

/** Whether play time may stand still, or go on, from such an event on. */
export function mayPause({ type }: GameEvent): boolean {
  return type === EventType.SPEED_CHANGE || type === EventType.PLAYER_LEAVE;
}

/** How it stood before the changes that are remembered. */
interface Settled {
  readonly pauses: number;
  readonly paused: readonly string[];
  readonly pausedAt: number | undefined;
}

/**
 * Turns room time into play time, which stands still while the room is paused (T7). The room is paused while any player
 * is: a set of reasons, so that one who resumes does not resume the others. Times are microseconds.
 *
 * What comes late takes its place among the changes that came before it (T6): live play time becomes what that of the finished
 * recording will be.
 */
export class PlayClock {
  /** In order, none touching the inside of another. */
  readonly #pauses: [from: number, to: number][] = [];
  /** How long all the pauses before the one of the same index were; one more at the end for all of them. */
  readonly #pausedBefore: number[] = [0];
  readonly #paused = new Set<string>();
  #pausedAt: number | undefined;
  /** The newest changes, in the order of their times. */
  #changes: Change[] = [];
  #settled: Settled = { pauses: 0, paused: [], pausedAt: undefined };

  constructor(pauses: readonly (readonly [from: number, to: number])[] = [], paused?: OpenPause) {
    const remembered = Math.max(0, pauses.length - MAX_CHANGES / 4);
    for (const [from, to] of pauses.slice(0, remembered)) this.#add(from, to);
    this.#settle();
    for (const [from, to] of pauses.slice(remembered)) {
      this.#take({ time: from, player: SOMEBODY, pauses: true });
      this.#take({ time: to, player: SOMEBODY, pauses: false });
    }
    for (const player of paused?.players ?? []) {
      this.#take({ time: (paused as OpenPause).since, player, pauses: true });
    }
  }

  /** The pause that lasts, if there is one. */
  get paused(): OpenPause | undefined {
    return this.#pausedAt === undefined ? undefined : { since: this.#pausedAt, players: [...this.#paused] };
  }

  /** The pauses that are over, in order. */
  get past(): readonly (readonly [from: number, to: number])[] {
    return this.#pauses;
  }

  /** How long all pauses that are over were. */
  get pausedUs(): number {
    return this.#before(this.#pauses.length);
  }

  /** Makes it say of the time before `at` what a block says that begins there, after events that were lost. */
  agree(at: number, pausedUs: number, paused: OpenPause | undefined): void {
    const missing = pausedUs - this.pausedUs;
    const end = paused?.since ?? at;
    // Where exactly the lost pauses were is not known: only that they are over.
    const from = this.#pausedAt ?? end - missing;
    if (missing > 0) this.#add(from, from + missing);
    this.#paused.clear();
    for (const player of paused?.players ?? []) this.#paused.add(player);
    this.#pausedAt = paused?.since;
    this.#changes = [];
    this.#settle();
  }

  /** Takes note of an event if it pauses or resumes. */
  observe(time: number, player: string, { type, data }: GameEvent): void {
    if (type === EventType.SPEED_CHANGE) this.#take({ time, player, pauses: data.speed === 0 });
    else if (type === EventType.PLAYER_LEAVE) this.#take({ time, player, pauses: false });
  }

  /** All pauses up to `end`, the one that lasts included. */
  pauses(end: number): [from: number, to: number][] {
    const pauses = this.#pauses.filter(([from]) => from < end);
    if (this.#pausedAt !== undefined) pauses.push([this.#pausedAt, end]);
    return pauses.map(([from, to]): [number, number] => [from, Math.min(to, end)]).filter(([from, to]) => from < to);
  }

  playTime(time: number): number {
    const now = this.#pausedAt === undefined ? time : Math.min(time, this.#pausedAt);
    // Most recordings have no pause, and every event asks.
    if (this.#pauses.length === 0) return now;
    const begun = this.#countPauses((from) => from < now);
    const [from, to] = this.#pauses[begun - 1] ?? [now, now];
    return now < to ? from - this.#before(begun - 1) : now - this.#before(begun);
  }

  /** The first room time with that play time. */
  roomTime(playTime: number): number {
    return playTime + this.#before(this.#countPauses((from, index) => from - this.#before(index) < playTime));
  }

  /** The last room time with that play time; infinite while that is where it stands still. */
  lastRoomTime(playTime: number): number {
    const begun = this.#countPauses((from, index) => from - this.#before(index) <= playTime);
    const time = playTime + this.#before(begun);
    return this.#pausedAt !== undefined && time >= this.#pausedAt ? Number.POSITIVE_INFINITY : time;
  }

  #take(change: Change): void {
    const after = this.#changes.findLastIndex(({ time }) => time <= change.time) + 1;
    this.#changes.splice(after, 0, change);
    if (after === this.#changes.length - 1) this.#apply(change);
    else this.#applyAgain();
    if (this.#changes.length <= MAX_CHANGES) return;
    const newest = this.#changes.splice(MAX_CHANGES / 2);
    this.#applyAgain();
    this.#settle();
    this.#changes = newest;
    this.#applyAgain();
  }

  #applyAgain(): void {
    const { pauses, paused, pausedAt } = this.#settled;
    this.#pauses.length = pauses;
    this.#pausedBefore.length = pauses + 1;
    this.#paused.clear();
    for (const player of paused) this.#paused.add(player);
    this.#pausedAt = pausedAt;
    for (const change of this.#changes) this.#apply(change);
  }

  #settle(): void {
    this.#settled = { pauses: this.#pauses.length, paused: [...this.#paused], pausedAt: this.#pausedAt };
  }

  #apply({ time, player, pauses }: Change): void {
    const isKept = player === SOMEBODY || this.#pauses.length < LIMITS.pauses;
    if (pauses && isKept) {
      this.#paused.add(player);
      this.#pausedAt ??= this.#notBeforePast(time);
    } else if (this.#paused.delete(player) && this.#paused.size === 0 && this.#pausedAt !== undefined) {
      this.#add(this.#pausedAt, time);
      this.#pausedAt = undefined;
    }
  }

  /** What comes too late to find its place may lie in a pause that is over: time stands still only once. */
  #notBeforePast(time: number): number {
    return Math.max(time, this.#pauses.at(-1)?.[1] ?? time);
  }

  #add(from: number, to: number): void {
    const start = this.#notBeforePast(from);
    if (!(to > start)) return;
    this.#pauses.push([start, to]);
    this.#pausedBefore.push(this.#before(this.#pauses.length - 1) + to - start);
  }

  #before(index: number): number {
    return this.#pausedBefore[index] ?? 0;
  }

  /** How many pauses, from the first on, are as asked: by halves, as there may be many. */
  #countPauses(isBefore: (from: number, index: number) => boolean): number {
    let [low, high] = [0, this.#pauses.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore((this.#pauses[middle] as [number, number])[0], middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
