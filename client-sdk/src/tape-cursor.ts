import type { EntryPlace, PlayClock, ProducerContext, State, TimelineCursor } from '@gametape/shared';
import type { ReelCursor, ReelStep } from './reel.ts';
import { secondsOf } from './tape-events.ts';

/** A point of a recording, in play time. */
export class TapeCursor implements ReelCursor {
  readonly #cursor: TimelineCursor | undefined;
  readonly #clock: PlayClock;
  readonly #isPassed: ((place: EntryPlace) => boolean) | undefined;

  /**
   * @param cursor undefined in a recording that has nothing at all
   * @param isPassed entries that are passed without being a step
   */
  constructor(cursor: TimelineCursor | undefined, clock: PlayClock, isPassed?: (place: EntryPlace) => boolean) {
    this.#cursor = cursor;
    this.#clock = clock;
    this.#isPassed = isPassed;
  }

  get players(): Iterable<string> {
    return new Set([...this.#contexts()].filter(({ state }) => state.size > 0).map(({ player }) => player));
  }

  stateOf(player: string): State | undefined {
    let last: ProducerContext | undefined;
    for (const context of this.#contexts()) if (context.player === player && context.state.size > 0) last = context;
    return last?.state.toJson();
  }

  nextTime(): number | Promise<number> {
    let next = this.#cursor?.peek();
    while (next && !(next instanceof Promise) && this.#isPassed?.(next)) {
      this.#cursor?.step();
      next = this.#cursor?.peek();
    }
    return next instanceof Promise ? next.then(() => this.nextTime()) : this.#secondsOf(next);
  }

  get nextAt(): number {
    const next = this.#cursor?.peek();
    if (next instanceof Promise) throw new TypeError('a step that nextTime has not told of');
    return next?.time ?? Number.POSITIVE_INFINITY;
  }

  step(): ReelStep {
    if (!this.#cursor) throw new TypeError('a step after the last');
    const { entry, body, context } = this.#cursor.step();
    const time = this.#secondsOf(entry);
    return { player: context.player, time, at: entry.time, seq: entry.seq, late: false, event: body.event };
  }

  #contexts(): Iterable<ProducerContext> {
    return this.#cursor?.contexts.values() ?? [];
  }

  #secondsOf(entry: Parameters<typeof secondsOf>[0] | undefined): number {
    return entry ? secondsOf(entry, this.#clock) : Number.POSITIVE_INFINITY;
  }
}
