import {
  type Json,
  type JsonObject,
  LiveState,
  type Profile,
  type StateChange,
  type StateEntry,
} from '@gametape/shared';
import type { EventPlace } from './diff-report.ts';

/** What one entry did to the state of its producer: all of it after a jump, else the change, if any. */
export interface StateStep {
  readonly producer: number;
  readonly stamp: number;
  readonly change?: StateChange | undefined;
  readonly restore?: readonly StateEntry[] | undefined;
}

/** One event of a player that waits to be compared. */
export interface DiffItem {
  /** Its number among the events of its recording. */
  readonly index: number;
  readonly timeS: number;
  readonly type: string;
  readonly data: JsonObject;
  /** Names of the checkpoints here. */
  readonly checkpoints: readonly string[];
  /** What happened to the player's state since the event before, this event's own change last. */
  readonly steps: readonly StateStep[];
  /** Roughly what it takes while it waits. */
  readonly bytes: number;
  /** Kept here by whoever needs it more than once. */
  identity?: string;
}

export function placeOf({ index, timeS, type }: DiffItem): EventPlace {
  return { index, timeS, type };
}

/**
 * One player of one recording: the events that wait, and the player's state as of the last one that does not. What waits
 * holds changes, not states: a long text in a window of events is there once.
 */
export class PlayerTrack {
  readonly state: TrailingState;
  #items: DiffItem[] = [];
  #first = 0;
  #pending: StateStep[] = [];
  #pendingBytes = 0;
  readonly #isOver: () => boolean;

  constructor(state: TrailingState, isOver: () => boolean) {
    this.state = state;
    this.#isOver = isOver;
  }

  /** No more events will come. */
  get isOver(): boolean {
    return this.#isOver();
  }

  get length(): number {
    return this.#items.length - this.#first;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** `at` from 0, below `length`. */
  peek(at: number): DiffItem {
    return this.#items[this.#first + at] as DiffItem;
  }

  /** `own` is what the event itself did to the state. */
  add(event: Omit<DiffItem, 'steps'>, own: StateStep): void {
    const { index, timeS, type, data, checkpoints } = event;
    const steps = this.#pending.length === 0 ? [own] : [...this.#pending, own];
    this.#items.push({ index, timeS, type, data, checkpoints, steps, bytes: event.bytes + this.#pendingBytes });
    if (steps.length > 1) this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** A change without an event shows in the next event. */
  addState(step: StateStep, bytes: number): void {
    this.#pending.push(step);
    this.#pendingBytes += bytes;
    if (this.length === 0) this.settle();
  }

  /** Takes the first item away; the state is now that after it. */
  take(): DiffItem {
    const item = this.peek(0);
    this.#first++;
    if (this.#first > 64 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    for (const step of item.steps) this.state.follow(step);
    return item;
  }

  /** Once no item waits: what came after the last one. */
  settle(): void {
    for (const step of this.#pending) this.state.follow(step);
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

/** A player's state, and which of its keys may have changed since it was last compared. */
export class TrailingState {
  readonly #profile: Profile;
  readonly #initial: JsonObject;
  readonly #states = new Map<number, LiveState>();
  #current: LiveState | undefined;
  #touched = new Set<string>();
  #areAllTouched = true;
  #steps = 0;

  /** @param initial what a player shows for keys that the state does not have */
  constructor(profile: Profile, initial: JsonObject) {
    this.#profile = profile;
    this.#initial = initial;
  }

  get(key: string): Json | undefined {
    return this.#current?.get(key) ?? (Object.hasOwn(this.#initial, key) ? this.#initial[key] : undefined);
  }

  keys(): Set<string> {
    return new Set([...Object.keys(this.#initial), ...(this.#current?.keys() ?? [])]);
  }

  /** Undefined when any key may have changed. */
  get touched(): ReadonlySet<string> | undefined {
    return this.#areAllTouched ? undefined : this.#touched;
  }

  /** Entries followed since `compared`. */
  get steps(): number {
    return this.#steps;
  }

  compared(): void {
    this.#touched.clear();
    this.#areAllTouched = false;
    this.#steps = 0;
  }

  follow({ producer, stamp, change, restore }: StateStep): void {
    this.#steps++;
    const state = this.#states.get(producer) ?? new LiveState(this.#profile);
    this.#states.set(producer, state);
    if (restore) {
      state.restore(restore, stamp);
      this.#areAllTouched = true;
    } else if (change) {
      state.apply(change, stamp);
      if (change.form === 'keyframe') this.#areAllTouched = true;
      else for (const { key } of change.ops) this.#touched.add(key);
    } else state.stamp = stamp;
    // A later instance of the player's SDK, still empty, does not hide the state of the one before.
    if (state.size === 0 || state === this.#current) return;
    this.#current = state;
    this.#areAllTouched = true;
  }
}
