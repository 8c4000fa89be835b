import { isGametapeError, type State } from '@gametape/shared';
import { comparePlaces, type Place, type RecentArrivals, TimelineQueue } from './arrivals.ts';
import type { EdgePoint } from './live-edge.ts';
import type { ReelCursor, ReelStep } from './reel.ts';
import { RoomOver } from './room-over.ts';
import type { Fragment, PastRow, RoomPast } from './room-past.ts';
import type { Arrival, RoomStates } from './room-states.ts';
import { doubling, type Persistence, pause, tryAgain } from './try-again.ts';

/** Past this, arrivals that wait are given up, and come out of fragments when it is their turn. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** Fragments vanish when a relay starts anew, and tails by themselves: then there are others. */
export const OTHER_FRAGMENTS: Persistence = {
  tries: 5,
  pauseMs: doubling(100),
  isWorthIt: (error) => isGametapeError(error, 'NOT_FOUND'),
};

/** What a cursor of a live room reads from. */
export interface LiveSource {
  readonly recent: RecentArrivals;
  /** The room is over, and not all of it has arrived: the recording that has the rest. */
  readonly rest: string | undefined;
  /** Play time, in seconds, of a room time. */
  secondsAt(time: number): number;
  /** The past, with everything that is not in `recent` any more. `isStale`: some of what it said is not there. */
  past(isStale: boolean): Promise<RoomPast>;
  /** Every player's state after all that is passed, and nothing else. @throws RoomOver, GametapeError */
  statesAfter(passed: readonly Passed[]): Promise<RoomStates>;
  /** The room is over: a cursor of its recording, for what is not `isPassed`, from a room time on. */
  recorded(recordingId: string, from: number, isPassed: (place: Place) => boolean): Promise<ReelCursor>;
}

/** An opened fragment, and how far of it has been taken. */
interface Run {
  readonly fragment: Fragment;
  at: number;
}

/** What is passed: of all that had arrived up to `seq`, what is placed up to `last`. */
export interface Passed {
  readonly seq: number;
  readonly last: Place;
}

/** What had been passed when fragments were listed, and up to where they are read: the rest arrives by itself. */
interface Listing {
  readonly passed: readonly Passed[];
  readonly upTo: number;
}

/**
 * A point of a live room's past. Its steps come out of fragments and out of what has arrived since, merged into the order of
 * the timeline. What it has passed is told by a few places, each with the seq up to which it knew of arrivals when it was there:
 * of all those it passed what is placed no later. The first is the furthest. While it takes what arrived late and lies further
 * back, there are more. So it can turn from one source to the other at any time, and nothing is shown twice or left out.
 *
 * A relay that has lost what it had shown gives its seqs to other entries. Then what is passed ends with what is kept, the states
 * are made anew from fragments, and a step for each player that looks otherwise now says so.
 */
export class LiveCursor implements ReelCursor {
  readonly #source: LiveSource;
  #queue: TimelineQueue;
  readonly #only: readonly Passed[] | undefined;
  #states: RoomStates;
  /** The furthest first: each is less far than the one before, and knew of more. */
  #passed: Passed[];
  /** Up to where it knows of arrivals. */
  #seq: number;
  #runs: Run[] = [];
  /** In the order of their first times. */
  #unopened: PastRow[] = [];
  #listed: Listing | undefined;
  #past: RoomPast | undefined;
  #renewing: Promise<void> | undefined;
  /** Fragments in a row that were not there any more. */
  #missing = 0;
  /** How many losses of the room it has taken. */
  #losses: number;
  /** Players whose states are others since the last of them. */
  #corrected: string[] = [];
  /** Takes over once the room is a recording. */
  #recorded: ReelCursor | undefined;

  /** @param only nothing else is to come */
  constructor(source: LiveSource, { states, queue, seq, last, losses }: EdgePoint, only?: readonly Passed[]) {
    this.#source = source;
    this.#only = only;
    this.#states = states;
    this.#queue = new TimelineQueue(queue);
    this.#passed = [{ seq, last }];
    this.#seq = seq;
    this.#losses = losses;
  }

  get states(): RoomStates {
    return this.#states;
  }

  get players(): Iterable<string> {
    return (this.#recorded ?? this.#states).players;
  }

  stateOf(player: string): State | undefined {
    return (this.#recorded ?? this.#states).stateOf(player);
  }

  nextTime(): number | Promise<number> {
    if (this.#recorded) return this.#recorded.nextTime();
    if (this.#corrected.length > 0) return this.#source.secondsAt(this.#furthest.time);
    if (this.#renewing || !this.#takeArrivals()) return this.#renew(false).then(() => this.nextTime());
    for (;;) {
      const first = this.#first()?.place;
      const [row] = this.#unopened;
      if (!row || (first && first.time < row.firstTime)) {
        if (first) return this.#source.secondsAt(first.time);
        const { rest } = this.#source;
        return rest === undefined ? Number.POSITIVE_INFINITY : this.#goOver(rest).then(() => this.nextTime());
      }
      const opening = this.#open(row);
      if (opening) return opening.then(() => this.nextTime());
    }
  }

  get nextAt(): number {
    if (this.#recorded) return this.#recorded.nextAt;
    const next = this.#corrected.length > 0 ? this.#furthest : this.#first()?.place;
    return next?.time ?? Number.POSITIVE_INFINITY;
  }

  step(): ReelStep {
    if (this.#recorded) return this.#recorded.step();
    const corrected = this.#corrected.shift();
    if (corrected !== undefined) {
      const { time, seq } = this.#furthest;
      return { player: corrected, time: this.#source.secondsAt(time), at: time, seq, late: false, event: undefined };
    }
    const arrival = this.#take();
    if (!arrival) throw new TypeError('a step after the last');
    const { seq, producer, time, hlc } = arrival;
    const { player, body } = this.#states.apply(arrival);
    this.#pass({ time, hlc, producer, seq });
    return { player, time: this.#source.secondsAt(time), at: time, seq, late: false, event: body.event };
  }

  get #furthest(): Place {
    return (this.#passed[0] as Passed).last;
  }

  /** Of all that it knows of, nothing is left that is placed before that: it takes the first. */
  #pass(last: Place): void {
    this.#passed = this.#passed.filter((passed) => comparePlaces(passed.last, last) > 0);
    this.#passed.push({ seq: this.#seq, last });
  }

  /** False when some that came is not at hand any more, or some is lost that was. */
  #takeArrivals(): boolean {
    const { recent } = this.#source;
    if (recent.from > this.#seq || recent.losses > this.#losses) return false;
    if (recent.upTo > this.#seq) {
      for (const arrival of recent.after(this.#seq)) if (this.#isWanted(arrival)) this.#queue.add(arrival);
      this.#seq = recent.upTo;
    }
    return this.#queue.bytes <= MAX_QUEUE_BYTES;
  }

  #first(): { place: Place; run: Run | undefined } | undefined {
    let first: { place: Place; run: Run | undefined } | undefined;
    const { first: queued } = this.#queue;
    if (queued) first = { place: queued, run: undefined };
    for (const run of this.#runs) {
      const place = run.fragment.placeAt(run.at);
      if (!first || comparePlaces(place, first.place) < 0) first = { place, run };
    }
    return first;
  }

  #take(): Arrival | undefined {
    const run = this.#first()?.run;
    if (!run) return this.#queue.shift();
    const arrival = run.fragment.at(run.at++);
    this.#skipPassed(run);
    return arrival;
  }

  /** Undefined when it was at hand. */
  #open(row: PastRow): Promise<void> | undefined {
    const loading = this.#past?.load(row);
    if (loading instanceof Promise) {
      return loading.then(
        () => {},
        async (error) => {
          const isGone = OTHER_FRAGMENTS.isWorthIt(error) && ++this.#missing <= OTHER_FRAGMENTS.tries;
          if (!isGone && !(error instanceof RoomOver)) throw error;
          if (this.#missing > 1) await pause(OTHER_FRAGMENTS.pauseMs(this.#missing - 1));
          return await this.#renew(true);
        },
      );
    }
    this.#unopened.shift();
    if (!loading) return undefined;
    this.#missing = 0;
    const run = { fragment: loading, at: 0 };
    this.#runs.push(run);
    this.#skipPassed(run);
    return undefined;
  }

  /** Moves a run on to the next entry that is still to come from it. A run that is over is let go. */
  #skipPassed(run: Run): void {
    const { fragment } = run;
    while (run.at < fragment.length && !this.#isToCome(fragment.placeAt(run.at))) run.at++;
    if (run.at >= fragment.length) this.#runs = this.#runs.filter((other) => other !== run);
  }

  #isToCome(place: Place): boolean {
    const listed = this.#listed as Listing;
    const isOver = place.seq > listed.upTo || isPassedBy(place, listed.passed);
    return !isOver && this.#isWanted(place);
  }

  #isWanted(place: Place): boolean {
    return this.#only === undefined || isPassedBy(place, this.#only);
  }

  #renew(isStale: boolean): Promise<void> {
    this.#renewing ??= this.#list(isStale).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #goOver(recordingId: string): Promise<void> {
    if (this.#only) throw new RoomOver(recordingId);
    const passed = this.#passedUpTo(this.#source.recent.keptSince(this.#losses));
    const isOver = (place: Place) => isPassedBy(place, passed);
    // What is left of what came late lies after the last of them.
    const { last } = this.#passed.at(-1) as Passed;
    this.#recorded = await this.#source.recorded(recordingId, last.time, isOver);
  }

  /** Starts over from what has been passed: with the fragments that hold what has not, and what came after them. */
  async #list(isStale: boolean): Promise<void> {
    const { recent } = this.#source;
    try {
      do {
        await this.#takeLosses();
        this.#past = await tryAgain((tries) => this.#source.past(isStale || tries > 1), OTHER_FRAGMENTS);
      } while (recent.losses > this.#losses);
    } catch (error) {
      if (error instanceof RoomOver) return await this.#goOver(error.recordingId);
      throw error;
    }
    const listed = { passed: this.#passed, upTo: recent.upTo };
    const { rows, headSeq } = this.#past;
    this.#listed = listed;
    this.#runs = [];
    this.#unopened = rows
      .filter((row) => row.firstSeq <= listed.upTo && listed.passed.every((passed) => mayHoldMore(row, passed)))
      .filter((row) => this.#only?.some((passed) => mayHoldPassed(row, passed)) ?? true)
      .sort((one, other) => one.firstTime - other.firstTime || one.firstSeq - other.firstSeq);
    this.#queue = new TimelineQueue();
    for (const arrival of recent.after(Math.max(headSeq, recent.from))) {
      if (this.#isToCome(arrival)) this.#queue.add(arrival);
    }
    this.#seq = Math.max(this.#seq, recent.upTo);
  }

  /** What is lost of what it has passed is taken back, and where it stands stays. */
  async #takeLosses(): Promise<void> {
    const { recent } = this.#source;
    while (recent.losses > this.#losses) {
      const { losses } = recent;
      const kept = recent.keptSince(this.#losses);
      if (kept < this.#seq) {
        const passed = this.#passedUpTo(kept);
        const states = await this.#source.statesAfter(passed);
        this.#corrected = [...new Set([...this.#corrected, ...differing(this.#states, states)])];
        this.#states = states;
        this.#passed = passed;
        this.#seq = kept;
      }
      this.#losses = losses;
    }
  }

  #passedUpTo(kept: number): Passed[] {
    return this.#passed.map(({ seq, last }) => ({ seq: Math.min(seq, kept), last }));
  }
}

function differing(some: RoomStates, others: RoomStates): string[] {
  const json = (states: RoomStates, player: string) => JSON.stringify(states.stateOf(player));
  const players = new Set([...some.players, ...others.players]);
  return [...players].filter((player) => json(some, player) !== json(others, player));
}

function mayHoldPassed({ firstSeq, firstTime }: PastRow, { seq, last }: Passed): boolean {
  return firstSeq <= seq && firstTime <= last.time;
}

function isPassed(place: Place, { seq, last }: Passed): boolean {
  return place.seq <= seq && comparePlaces(place, last) <= 0;
}

function isPassedBy(place: Place, passed: readonly Passed[]): boolean {
  return passed.some((one) => isPassed(place, one));
}

/** Whether a fragment may hold something that is not passed. */
function mayHoldMore({ lastSeq, lastTime }: PastRow, { seq, last }: Passed): boolean {
  return lastSeq > seq || lastTime >= last.time;
}
