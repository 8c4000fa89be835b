import { EventType, type GameEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';

/** A pause that lasts: since when, and which players hold it. */
export interface OpenPause {
  readonly since: number;
  readonly players: readonly string[];
}

/** A player begins to hold a pause, or lets it go. */
export type PauseChange = readonly [time: number, player: string, isPause: boolean];

/**
 * All that a clock needs to go on as the one that tells it. What the changes add up to would not do: a late resume ends the
 * pause of one player, and how long each of them held one can be told from the changes only (T6).
 */
export interface ToldPauses {
  /** In order, and over before all of the changes. */
  readonly pauses: readonly (readonly [from: number, to: number])[];
  /** The pause that lasted then. */
  readonly paused: OpenPause | undefined;
  /** The newest, in the order of their times; at most `LIMITS.pauseChanges`. */
  readonly changes: readonly PauseChange[];
}

/** Whether play time may stand still, or go on, from such an event on. */
export function mayPause({ type }: GameEvent): boolean {
  return type === EventType.SPEED_CHANGE || type === EventType.PLAYER_LEAVE;
}

/** How it stood before the changes that are remembered. */
interface Settled {
  readonly pauses: number;
  readonly paused: OpenPause | undefined;
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
  #changes: PauseChange[] = [];
  #settled: Settled = { pauses: 0, paused: undefined };

  /** @param changes as many as a clock tells */
  constructor(pauses: ToldPauses['pauses'] = [], paused?: OpenPause, changes: ToldPauses['changes'] = []) {
    for (const [from, to] of pauses) this.#add(from, to);
    this.#hold(paused);
    this.#settle();
    for (const change of changes) this.#take(change);
  }

  get told(): ToldPauses {
    const { pauses, paused } = this.#settled;
    return { pauses: this.#pauses.slice(0, pauses), paused, changes: [...this.#changes] };
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
    this.#hold(paused);
    this.#changes = [];
    this.#settle();
  }

  /** Takes note of an event if it pauses or resumes. */
  observe(time: number, player: string, { type, data }: GameEvent): void {
    if (type === EventType.SPEED_CHANGE) this.#take([time, player, data.speed === 0]);
    else if (type === EventType.PLAYER_LEAVE) this.#take([time, player, false]);
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

  #take([late, player, isPause]: PauseChange): void {
    const time = Math.max(late, this.#settledUpTo());
    const change: PauseChange = [time, player, isPause];
    const after = this.#changes.findLastIndex(([earlier]) => earlier <= time) + 1;
    this.#changes.splice(after, 0, change);
    if (after === this.#changes.length - 1) this.#apply(change);
    else this.#applyAgain();
    if (this.#changes.length <= LIMITS.pauseChanges) return;
    const newest = this.#changes.splice(LIMITS.pauseChanges / 2);
    this.#applyAgain();
    this.#settle();
    this.#changes = newest;
    this.#applyAgain();
  }

  /** What comes later than all changes that are remembered cannot take back what was before them. */
  #settledUpTo(): number {
    const { pauses, paused } = this.#settled;
    return paused?.since ?? this.#pauses[pauses - 1]?.[1] ?? Number.NEGATIVE_INFINITY;
  }

  #applyAgain(): void {
    const { pauses, paused } = this.#settled;
    this.#pauses.length = pauses;
    this.#pausedBefore.length = pauses + 1;
    this.#hold(paused);
    for (const change of this.#changes) this.#apply(change);
  }

  #settle(): void {
    this.#settled = { pauses: this.#pauses.length, paused: this.paused };
  }

  #hold(paused: OpenPause | undefined): void {
    this.#paused.clear();
    for (const player of paused?.players ?? []) this.#paused.add(player);
    this.#pausedAt = paused?.since;
  }

  #apply([time, player, isPause]: PauseChange): void {
    if (isPause && this.#pauses.length < LIMITS.pauses) {
      this.#paused.add(player);
      this.#pausedAt ??= time;
    } else if (this.#paused.delete(player) && this.#paused.size === 0 && this.#pausedAt !== undefined) {
      this.#add(this.#pausedAt, time);
      this.#pausedAt = undefined;
    }
  }

  #add(from: number, to: number): void {
    // What a recording says of itself may not be in order: time stands still only once.
    const [, lastTo] = this.#pauses.at(-1) ?? [from, from];
    const start = Math.max(from, lastTo);
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
