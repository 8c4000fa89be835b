import type { Arrival } from './room-states.ts';

/** Past this the oldest are forgotten, and whoever needs them asks for fragments. */
const MAX_BYTES = 4 * 1024 * 1024;
/** What an arrival takes beside its body, roughly. */
const OVERHEAD = 160;

/** Where an arrival stands in the timeline: microseconds of room time, and what tells those of one time apart (T3). */
export interface Place {
  readonly time: number;
  readonly hlc: number;
  readonly producer: number;
  readonly seq: number;
}

/** T3. What of one producer has one time and hlc, as imports have it, is in the order of its seqs. */
export function comparePlaces(one: Place, other: Place): number {
  return one.time - other.time || one.hlc - other.hlc || one.producer - other.producer || one.seq - other.seq;
}

/** After all that is placed there. */
export function after(time: number): Place {
  return { time, hlc: Number.MAX_SAFE_INTEGER, producer: 0, seq: 0 };
}

/** What has come of a room lately, in the order of arrival: every entry after `from`, up to and including `upTo`. */
export class RecentArrivals {
  #items: Arrival[] = [];
  #bytes = 0;
  #from = 0;
  #upTo = 0;

  /** Seq of the last entry that is not here any more. */
  get from(): number {
    return this.#from;
  }

  get upTo(): number {
    return this.#upTo;
  }

  add(arrival: Arrival): void {
    this.#items.push(arrival);
    this.#bytes += weightOf(arrival);
    this.#upTo = arrival.seq;
    let dropped = 0;
    while (this.#bytes > MAX_BYTES && dropped < this.#items.length - 1) {
      const oldest = this.#items[dropped++] as Arrival;
      this.#bytes -= weightOf(oldest);
      this.#from = oldest.seq;
    }
    if (dropped > 0) this.#items = this.#items.slice(dropped);
  }

  /** Nothing came up to there that is not here. */
  advanceTo(seq: number): void {
    this.#upTo = Math.max(this.#upTo, seq);
  }

  /** All before is somewhere else. */
  startAt(seq: number): void {
    this.#items = [];
    this.#bytes = 0;
    this.#from = seq;
    this.#upTo = seq;
  }

  /** What came after `seq`. @throws TypeError when some of that is not here any more: ask `from` first */
  after(seq: number): readonly Arrival[] {
    if (seq < this.#from) throw new TypeError(`arrivals after ${seq}: only those after ${this.#from} are here`);
    let [low, high] = [0, this.#items.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#items[middle] as Arrival).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return this.#items.slice(low);
  }
}

/** Arrivals that wait for their turn, in the order of the timeline. */
export class TimelineQueue {
  #items: Arrival[];
  #at = 0;
  bytes = 0;

  /** @param items in the order of the timeline */
  constructor(items: readonly Arrival[] = []) {
    this.#items = [...items];
    for (const item of items) this.bytes += weightOf(item);
  }

  get first(): Arrival | undefined {
    return this.#items[this.#at];
  }

  get items(): readonly Arrival[] {
    return this.#items.slice(this.#at);
  }

  add(arrival: Arrival): void {
    let at = this.#items.length;
    // Most belong at the end, or near it.
    while (at > this.#at && comparePlaces(this.#items[at - 1] as Arrival, arrival) > 0) at--;
    this.#items.splice(at, 0, arrival);
    this.bytes += weightOf(arrival);
  }

  shift(): Arrival | undefined {
    const first = this.#items[this.#at];
    if (!first) return undefined;
    this.#at++;
    this.bytes -= weightOf(first);
    if (this.#at > 1_024 && this.#at * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#at);
      this.#at = 0;
    }
    return first;
  }
}

function weightOf({ body }: Arrival): number {
  return body.length + OVERHEAD;
}
