import { isGametapeError, type State } from '@gametape/shared';
import { after, comparePlaces, type Place, type RecentArrivals, TimelineQueue } from './arrivals.ts';
import type { EdgePoint } from './live-edge.ts';
import type { ReelCursor, ReelStep } from './reel.ts';
import { RoomOver } from './room-over.ts';
import type { Fragment, PastRow, RoomPast } from './room-past.ts';
import type { Arrival, RoomStates } from './room-states.ts';
import { doubling, type Persistence, tryAgain } from './try-again.ts';

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
  /** The room is over: a cursor of its recording, for what is not `isPassed`, from a room time on. */
  recorded(recordingId: string, from: number, isPassed: (place: Place) => boolean): Promise<ReelCursor>;
}

/** An opened fragment, and how far of it has been taken. */
interface Run {
  readonly fragment: Fragment;
  at: number;
}

/** What is passed: of all that had arrived up to `seq`, what is placed up to `last`. */
interface Passed {
  readonly seq: number;
  readonly last: Place;
}

/** What had been passed when fragments were listed, and up to where they are read: the rest arrives by itself. */
interface Listing extends Passed {
  readonly upTo: number;
}

/**
 * A point of a live room's past. Its steps come out of fragments and out of what has arrived since, merged into the order of
 * the timeline. What it has passed is told by where it began, and by two things alone since: `#last`, the furthest place it came
 * to, and `#seq`, up to where it knew of arrivals then. So it can turn from one source to the other at any time, and nothing is
 * shown twice or left out: what arrived after its beginning may be placed before it.
 */
export class LiveCursor implements ReelCursor {
  readonly #source: LiveSource;
  readonly #states: RoomStates;
  #queue: TimelineQueue;
  readonly #start: Passed;
  #seq: number;
  #last = after(Number.NEGATIVE_INFINITY);
  #runs: Run[] = [];
  /** In the order of their first times. */
  #unopened: PastRow[] = [];
  #listed: Listing | undefined;
  #past: RoomPast | undefined;
  #renewing: Promise<void> | undefined;
  /** Fragments in a row that were not there any more. */
  #losses = 0;
  /** Takes over once the room is a recording. */
  #recorded: ReelCursor | undefined;

  constructor(source: LiveSource, { states, queue, seq, last }: EdgePoint) {
    this.#source = source;
    this.#states = states;
    this.#queue = new TimelineQueue(queue);
    this.#start = { seq, last };
    this.#seq = seq;
  }

  get players(): Iterable<string> {
    return (this.#recorded ?? this.#states).players;
  }

  stateOf(player: string): State | undefined {
    return (this.#recorded ?? this.#states).stateOf(player);
  }

  nextTime(): number | Promise<number> {
    if (this.#recorded) return this.#recorded.nextTime();
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

  step(): ReelStep {
    if (this.#recorded) return this.#recorded.step();
    const arrival = this.#take();
    if (!arrival) throw new TypeError('a step after the last');
    const { seq, producer, time, hlc } = arrival;
    const { player, body } = this.#states.apply(arrival);
    if (comparePlaces(this.#last, arrival) < 0) this.#last = { time, hlc, producer, seq };
    return { player, time: this.#source.secondsAt(time), seq, late: false, event: body.event };
  }

  /** False when some that came is not at hand any more. */
  #takeArrivals(): boolean {
    const { recent } = this.#source;
    if (recent.from > this.#seq) return false;
    if (recent.upTo > this.#seq) {
      for (const arrival of recent.after(this.#seq)) this.#queue.add(arrival);
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
        (error) => {
          const isGone = OTHER_FRAGMENTS.isWorthIt(error) && this.#losses++ < OTHER_FRAGMENTS.tries;
          if (!isGone && !(error instanceof RoomOver)) throw error;
          return this.#renew(true);
        },
      );
    }
    this.#unopened.shift();
    if (!loading) return undefined;
    this.#losses = 0;
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
    return place.seq <= listed.upTo && !isPassed(place, this.#start) && !isPassed(place, listed);
  }

  #renew(isStale: boolean): Promise<void> {
    this.#renewing ??= this.#list(isStale).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #goOver(recordingId: string): Promise<void> {
    const start = this.#start;
    const since = { seq: this.#seq, last: this.#last };
    const from = Number.isFinite(since.last.time) ? since.last.time : start.last.time;
    const isOver = (place: Place) => isPassed(place, start) || isPassed(place, since);
    this.#recorded = await this.#source.recorded(recordingId, from, isOver);
  }

  /** Starts over from what has been passed: with the fragments that hold what has not, and what came after them. */
  async #list(isStale: boolean): Promise<void> {
    try {
      this.#past = await tryAgain((tries) => this.#source.past(isStale || tries > 1), OTHER_FRAGMENTS);
    } catch (error) {
      if (error instanceof RoomOver) return await this.#goOver(error.recordingId);
      throw error;
    }
    const { recent } = this.#source;
    const listed = { last: this.#last, seq: this.#seq, upTo: recent.upTo };
    const { rows, headSeq } = this.#past;
    this.#listed = listed;
    this.#runs = [];
    this.#unopened = rows
      .filter((row) => row.firstSeq <= listed.upTo && mayHoldMore(row, this.#start) && mayHoldMore(row, listed))
      .sort((one, other) => one.firstTime - other.firstTime || one.firstSeq - other.firstSeq);
    this.#queue = new TimelineQueue();
    for (const arrival of recent.after(Math.max(headSeq, recent.from))) {
      if (this.#isToCome(arrival)) this.#queue.add(arrival);
    }
    this.#seq = Math.max(this.#seq, recent.upTo);
  }
}

function isPassed(place: Place, { seq, last }: Passed): boolean {
  return place.seq <= seq && comparePlaces(place, last) <= 0;
}

/** Whether a fragment may hold something that is not passed. */
function mayHoldMore({ lastSeq, lastTime }: PastRow, { seq, last }: Passed): boolean {
  return lastSeq > seq || lastTime >= last.time;
}
