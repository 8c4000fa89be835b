import type { GameEvent, State } from '@gametape/shared';

/** One step of a reel: an event, or a state that changed without one. */
export interface ReelStep {
  readonly player: string;
  /** Play time in seconds (T7), as it was told then: a pause that comes late makes it another one. */
  readonly time: number;
  /** Room time in microseconds, which stays. */
  readonly at: number;
  /** Number of the entry in its room (W4). */
  readonly seq: number;
  /** At an edge: it arrived only after its time had been shown (T6). */
  readonly late: boolean;
  readonly event: GameEvent | undefined;
}

/** Every player's state at one point. Those of a cursor move on with it. */
export interface ReelStates {
  /** Players that have a state there. */
  readonly players: Iterable<string>;
  /** A snapshot, made when it is asked for. */
  stateOf(player: string): State | undefined;
}

/** A point between two steps of a reel, that goes on one step at a time (V3). */
export interface ReelCursor extends ReelStates {
  /**
   * Play time of the next step, infinite while there is none. A promise where something has to be fetched first. What comes late
   * to a cursor that has passed its time is the next step.
   *
   * @throws GametapeError what keeps it from being read
   */
  nextTime(): number | Promise<number>;
  /** Room time of the step that `nextTime` has told of, in microseconds. */
  readonly nextAt: number;
  /** Makes the step that `nextTime` has told of. */
  step(): ReelStep;
}

/** What can be replayed: a range of play time, from 0 on. */
export interface Reel {
  /** Its end so far: everything up to here is there, but for what comes late. Play time in seconds. */
  readonly duration: number;
  /** The end of a reel that still grows. Undefined once there is nothing to come. */
  readonly edge?: ReelEdge | undefined;
  /**
   * After all that happened up to and including `time`; before everything for minus infinity, at the end for infinity.
   *
   * @throws GametapeError what keeps it from being read
   */
  cursorAt(time: number): Promise<ReelCursor>;
}

/** Turns microseconds of room time into seconds of play time, and back into the last room time that has them. */
export interface ReelTimes {
  secondsAt(at: number): number;
  lastAt(seconds: number): number;
}

/** Where a reel grows. It goes on by itself, whoever is behind: to be at the end takes no time. */
export interface ReelEdge extends ReelStates {
  /** Number of the last entry that has arrived, shown or not. */
  readonly seq: number;
  readonly times: ReelTimes;
  /** A cursor that stands where the edge is now, and stays there. */
  fork(): ReelCursor;
  /** Returns how to stop. */
  follow(follower: EdgeFollower): () => void;
}

export interface EdgeFollower {
  /** The edge has made this step. */
  step(step: ReelStep): void;
  /** The reel is longer now. */
  moved(): void;
  /** The edge is about to jump over what it missed: a cursor that is forked now will go on without a hole. */
  jump(): void;
  /** Some of what has been shown is not there any more: cursors take it back with their next step. */
  lost(): void;
  /** A pause came late: what is placed after it has other play times now (T6, T7). */
  retimed(): void;
  /** Nothing is to come any more: a cursor that is forked now has the rest. */
  over(): void;
}
