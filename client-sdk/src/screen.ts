import type { State } from '@gametape/shared';
import type { PlayheadEvents, ReplayEvent } from './api.ts';
import type { Emitter } from './emitter.ts';
import { PlayPosition, type Standing } from './play-position.ts';
import type { Reel, ReelCursor, ReelStates, ReelStep } from './reel.ts';
import type { ReelPlace } from './step-back.ts';

/** Says that something else is wanted by now: nothing more is to be shown of what was. */
export type IsStale = () => boolean;

/**
 * What a playhead shows of a reel, and tells of: a cursor and where that stands, or the edge, which goes on by itself. Nothing is
 * shown before the first seek.
 */
export class Screen {
  readonly #reel: Reel;
  readonly #emitter: Emitter<PlayheadEvents>;
  readonly #position: PlayPosition;
  #cursor: ReelCursor | undefined;
  #isLive = false;

  constructor(reel: Reel, emitter: Emitter<PlayheadEvents>) {
    const { edge } = reel;
    this.#reel = reel;
    this.#emitter = emitter;
    this.#position = new PlayPosition(edge?.times);
    if (edge) this.moveTo(edge.fork(), this.end);
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  get time(): number {
    return this.#isLive ? this.#reel.duration : this.#position.time;
  }

  get place(): ReelPlace {
    return this.#position.place;
  }

  /** There is something to go on from, without a seek. */
  get hasCursor(): boolean {
    return this.#cursor !== undefined;
  }

  /** Everything of a room that goes on, as far as it is there. */
  get end(): Standing {
    const { duration } = this.#reel;
    return { time: duration, upTo: duration };
  }

  /** There is nothing that the edge has shown and this has not. */
  get hasCaughtUp(): boolean {
    const { edge, duration } = this.#reel;
    if (!edge || this.#position.time < duration) return false;
    const next = this.#cursor?.nextTime();
    return typeof next === 'number' && next > duration;
  }

  get states(): ReadonlyMap<string, State> {
    const states = new Map<string, State>();
    for (const player of this.#shown?.players ?? []) {
      const state = this.stateOf(player);
      if (state) states.set(player, state);
    }
    return states;
  }

  stateOf(player: string): State | undefined {
    return this.#shown?.stateOf(player);
  }

  moveTo(cursor: ReelCursor, standing: Standing): void {
    this.#cursor = cursor;
    this.#position.moveTo(standing);
  }

  /** Shows the edge from now on. */
  follow(): void {
    this.#isLive = true;
    this.#cursor = undefined;
  }

  /** Stands still where the edge is. */
  leaveEdge(): void {
    const { edge } = this.#reel;
    if (!this.#isLive) return;
    this.#isLive = false;
    this.#position.moveTo(this.end);
    this.#cursor = edge?.fork();
  }

  /** Play times are others now: a pause came late. */
  retime(): void {
    this.#position.retime();
  }

  /** Tells of a step that the cursor, or the edge, has just made. */
  show(step: ReelStep): ReplayEvent | undefined {
    const { player, time, at, seq } = step;
    // The edge knows it better: what it shows may be of a time that is over, and is not late.
    const late = this.#isLive ? step.late : this.#position.isPast(at);
    this.#position.stepped(step, late, this.#reel.duration);
    const event = eventOf({ ...step, late }, this.#shown as ReelStates);
    if (event) this.#emitter.emit('event', event);
    this.#emitter.emit('change', { player, time, seq, late });
    return event;
  }

  /**
   * Shows all that is due up to a time. Resolves with false when that is stale.
   *
   * @param maxGap seconds in which nothing happens, past which the rest of it is skipped
   * @param onWaited something had to be read first
   */
  async advance(target: number, maxGap: number, isStale: IsStale, onWaited: () => void): Promise<boolean> {
    const reel = this.#reel;
    let to = target;
    for (;;) {
      const cursor = this.#cursor as ReelCursor;
      let next = cursor.nextTime();
      if (typeof next !== 'number') {
        next = await next;
        onWaited();
        if (isStale()) return false;
      }
      const isOver = !reel.edge && to >= reel.duration;
      const due = isOver ? Number.MAX_VALUE : Math.min(to, reel.duration);
      if (next <= due) {
        this.show(cursor.step());
        if (isStale()) return false;
        continue;
      }
      if (to - this.#position.idleSince < maxGap || to >= reel.duration) break;
      to = Math.min(next, reel.duration);
      this.#position.skipTo(to);
    }
    const time = Math.max(this.#position.time, Math.min(to, reel.duration));
    this.#position.advanceTo(time, !reel.edge && time >= reel.duration);
    return true;
  }

  /** Shows the next so many events. Resolves with the last of them, undefined when that is stale. */
  async stepOn(events: number, isStale: IsStale): Promise<ReplayEvent | undefined> {
    const cursor = this.#cursor as ReelCursor;
    let shown: ReplayEvent | undefined;
    for (let left = events; left > 0; ) {
      const next = await cursor.nextTime();
      if (isStale()) return undefined;
      if (next > (this.#reel.edge ? this.#reel.duration : Number.MAX_VALUE)) break;
      const event = this.show(cursor.step());
      if (isStale()) return undefined;
      if (!event) continue;
      shown = event;
      left--;
    }
    return shown;
  }

  /** What came for the time that is shown, or before it, is shown although nothing plays. Returns what has to be waited for before it is shown. */
  showLate(isStale: IsStale): Promise<unknown> | undefined {
    let isShown = false;
    let waiting: Promise<unknown> | undefined;
    while (!isStale() && this.#cursor) {
      const next = this.#cursor.nextTime();
      if (typeof next !== 'number') waiting = next;
      if (waiting || !this.#position.isShown(next as number, this.#cursor.nextAt)) break;
      this.show(this.#cursor.step());
      isShown = true;
    }
    if (isShown && !isStale()) this.#emitter.emit('timeupdate', this.time);
    return waiting;
  }

  get #shown(): ReelStates | undefined {
    return this.#isLive ? this.#reel.edge : this.#cursor;
  }
}

/** The state is made when it is asked for. */
export function eventOf({ player, time, seq, late, event }: ReelStep, states: ReelStates): ReplayEvent | undefined {
  if (!event) return undefined;
  const { type, data } = event;
  return {
    type,
    data,
    player,
    time,
    seq,
    late,
    get state() {
      return states.stateOf(player) ?? {};
    },
  };
}
