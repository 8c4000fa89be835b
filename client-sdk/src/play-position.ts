import type { ReelStep, ReelTimes } from './reel.ts';
import type { ReelPlace } from './step-back.ts';

/** Where a playhead comes to stand, in seconds of play time. */
export interface Standing {
  readonly time: number;
  /** Everything up to this time has been passed; before the very start it is minus infinity. */
  readonly upTo: number;
  /** The step that it stands right after, if there are more of that time. */
  readonly last?: ReelStep | undefined;
}

/**
 * Where a playhead stands, and with that what it has passed. In a reel that grows both are kept as room time too: play time is
 * what all pauses make of that, and some of those come late.
 */
export class PlayPosition {
  /** Of a reel that grows. */
  readonly #times: ReelTimes | undefined;
  #time = 0;
  #timeAt = 0;
  #upTo = Number.NEGATIVE_INFINITY;
  #upToAt = Number.NEGATIVE_INFINITY;
  /** The step shown last, while that is the exact place. */
  #last: ReelStep | undefined;
  /** Of the last step or seek: nothing happened since. */
  #idleSince = 0;

  constructor(times: ReelTimes | undefined) {
    this.#times = times;
  }

  get time(): number {
    return this.#time;
  }

  get idleSince(): number {
    return this.#idleSince;
  }

  get place(): ReelPlace {
    return { time: Math.max(this.#upTo, this.#last?.time ?? this.#upTo), last: this.#last };
  }

  moveTo({ time, upTo, last }: Standing): void {
    this.#time = time;
    this.#timeAt = last?.at ?? this.#lastAt(time);
    this.#passUpTo(upTo);
    this.#last = last;
    this.#idleSince = time;
  }

  /** Everything up to that room time has been shown, where something may still come, or what has been shown last is later. */
  isPast(at: number): boolean {
    if (!this.#times) return false;
    return at <= this.#upToAt || (this.#last !== undefined && at < this.#last.at);
  }

  /** It belongs to what is shown: it is past, or of the very play time that everything is shown up to. */
  isShown(time: number, at: number): boolean {
    return time <= this.#upTo || this.isPast(at);
  }

  /** A step has been made. One that was `late` does not tell where it stands. @param duration it stands at no later time */
  stepped(step: ReelStep, late: boolean, duration: number): void {
    if (!late) this.#last = step;
    const time = Math.min(step.time, duration);
    // While play time stands still, it goes on all the same.
    if (time >= this.#time) {
      this.#time = time;
      this.#timeAt = Math.max(this.#timeAt, step.at);
    }
    this.#idleSince = this.#time;
  }

  /** Nothing happens up to there. */
  skipTo(time: number): void {
    this.#idleSince = time;
  }

  /** All that is due up to there has been shown. `isEnd`: nothing is later. */
  advanceTo(time: number, isEnd: boolean): void {
    if (time > this.#time) {
      this.#time = time;
      this.#timeAt = this.#lastAt(time);
    }
    this.#passUpTo(isEnd ? Number.POSITIVE_INFINITY : this.#time);
    if (this.#last && this.#last.time < this.#time) this.#last = undefined;
  }

  /** Play times are others now: it stands where it stood. */
  retime(): void {
    const secondsAt = (at: number) => Math.max(0, this.#times?.secondsAt(at) ?? 0);
    this.#time = secondsAt(this.#timeAt);
    if (Number.isFinite(this.#upTo)) this.#upTo = secondsAt(this.#upToAt);
    if (this.#last) this.#last = { ...this.#last, time: secondsAt(this.#last.at) };
    this.#idleSince = Math.min(this.#idleSince, this.#time);
  }

  #passUpTo(upTo: number): void {
    this.#upTo = upTo;
    this.#upToAt = Number.isFinite(upTo) ? this.#lastAt(upTo) : upTo;
  }

  #lastAt(seconds: number): number {
    return this.#times?.lastAt(seconds) ?? 0;
  }
}
