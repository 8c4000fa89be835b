import { EventType, type GameEvent } from '../event.ts';

/**
 * Turns room time into play time, which stands still while the room is paused (T7). The room is paused while any player
 * is: a set of reasons, so that one who resumes does not resume the others. Times are microseconds.
 */
export class PlayClock {
  readonly #pauses: [from: number, to: number][];
  readonly #paused = new Set<string>();
  #pausedAt: number | undefined;

  constructor(pauses: readonly (readonly [from: number, to: number])[] = []) {
    this.#pauses = pauses.map(([from, to]) => [from, to]);
  }

  get isPaused(): boolean {
    return this.#pausedAt !== undefined;
  }

  /** Takes note of an event, in timeline order, if it pauses or resumes. */
  observe(time: number, player: string, event: GameEvent): void {
    const pauses = event.type === EventType.SPEED_CHANGE && event.data.speed === 0;
    const resumes = event.type === EventType.SPEED_CHANGE || event.type === EventType.PLAYER_LEAVE;
    if (pauses) {
      this.#paused.add(player);
      this.#pausedAt ??= time;
    } else if (resumes && this.#paused.delete(player) && this.#paused.size === 0 && this.#pausedAt !== undefined) {
      if (time > this.#pausedAt) this.#pauses.push([this.#pausedAt, time]);
      this.#pausedAt = undefined;
    }
  }

  /** All pauses up to `end`, the one that lasts included. */
  pauses(end: number): [from: number, to: number][] {
    const open =
      this.#pausedAt !== undefined && end > this.#pausedAt ? [[this.#pausedAt, end] as [number, number]] : [];
    return [...this.#pauses, ...open];
  }

  playTime(time: number): number {
    let play = this.#pausedAt === undefined ? time : Math.min(time, this.#pausedAt);
    const now = play;
    for (const [from, to] of this.#pauses) if (now > from) play -= Math.min(now, to) - from;
    return play;
  }

  /** The first room time with that play time. */
  roomTime(playTime: number): number {
    let time = playTime;
    for (const [from, to] of this.#pauses) if (time > from) time += to - from;
    return time;
  }
}
