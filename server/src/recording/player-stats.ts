import { EventType, type GameEvent, type LiveState } from '@gametape/shared';
import { type Activity, ActivityCurve } from './activity-curve.ts';
import { TestCount, type TestPoint, type TestStats } from './test-stats.ts';
import { TypeCounts } from './type-counts.ts';
import { TypingCount, type TypingStats } from './typing-stats.ts';

/** What one player did. Times are seconds of play time. */
export interface PlayerStats {
  readonly id: string;
  readonly events: number;
  /** Changes of the state that came without an event. */
  readonly stateChanges: number;
  readonly types: Readonly<Record<string, number>>;
  /** Null when there is no event. */
  readonly firstS: number | null;
  readonly lastS: number | null;
  /** Between the first event and the last: gaps up to the idle gap are active, longer ones idle as a whole. */
  readonly activeS: number;
  readonly idleS: number;
  readonly messages: number;
  /** How often this player paused. */
  readonly pauses: number;
  readonly activity: Activity;
  /** Undefined where there was no keystroke. */
  readonly typing?: TypingStats;
  /** Undefined where there are no tests. */
  readonly tests?: TestStats;
}

export interface PlayerCountOptions {
  readonly fromS: number;
  readonly idleS: number;
}

/** Collects what one player does, in order, in bounded memory. */
export class PlayerCount {
  readonly id: string;
  readonly #idleS: number;
  readonly #types = new TypeCounts();
  readonly #typing: TypingCount;
  readonly #tests = new TestCount();
  readonly #activity: ActivityCurve;
  #events = 0;
  #stateChanges = 0;
  #messages = 0;
  #pauses = 0;
  #first: number | undefined;
  #last = 0;
  #active = 0;
  #idle = 0;

  constructor(id: string, { fromS, idleS }: PlayerCountOptions) {
    this.id = id;
    this.#idleS = idleS;
    this.#typing = new TypingCount(idleS);
    this.#activity = new ActivityCurve(fromS);
  }

  observe(timeS: number, event: GameEvent | undefined, state: LiveState): void {
    this.#tests.observe(timeS, event, state);
    if (!event) {
      this.#stateChanges++;
      return;
    }
    this.#events++;
    this.#types.add(event.type);
    this.#activity.add(timeS);
    if (event.type === EventType.KEYSTROKE) this.#typing.observe(timeS, event);
    else if (event.type === EventType.PLAYER_MESSAGE) this.#messages++;
    else if (event.type === EventType.SPEED_CHANGE && event.data.speed === 0) this.#pauses++;
    this.#passTime(timeS);
  }

  toStats(): PlayerStats {
    const typing = this.#typing.toStats(this.#active);
    const tests = this.#tests.toStats();
    return {
      id: this.id,
      events: this.#events,
      stateChanges: this.#stateChanges,
      types: this.#types.toJson(),
      firstS: this.#first ?? null,
      lastS: this.#first === undefined ? null : this.#last,
      activeS: this.#active,
      idleS: this.#idle,
      messages: this.#messages,
      pauses: this.#pauses,
      activity: this.#activity.toJson(),
      ...(typing && { typing }),
      ...(tests && { tests }),
    };
  }

  get areTestsThinned(): boolean {
    return this.#tests.isThinned;
  }

  testPoints(): TestPoint[] {
    return this.#tests.points();
  }

  #passTime(timeS: number): void {
    // Imported timestamps may go back: time that was counted is not counted again.
    const gap = Math.max(0, timeS - (this.#first === undefined ? timeS : this.#last));
    if (gap <= this.#idleS) this.#active += gap;
    else this.#idle += gap;
    this.#first ??= timeS;
    this.#last = Math.max(this.#last, timeS);
  }
}
