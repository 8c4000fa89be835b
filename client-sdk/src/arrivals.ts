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
  /** Of the first that is still here. */
  #first = 0;
  #bytes = 0;
  #from = 0;
  #upTo = 0;
  readonly #losses: number[] = [];

  /** Seq of the last entry that is not here any more. */
  get from(): number {
    return this.#from;
  }

  get upTo(): number {
    return this.#upTo;
  }

  /** How often the room has lost what had been shown. */
  get losses(): number {
    return this.#losses.length;
  }

  add(arrival: Arrival): void {
    this.#items.push(arrival);
    this.#bytes += weightOf(arrival);
    this.#upTo = arrival.seq;
    while (this.#bytes > MAX_BYTES && this.#first < this.#items.length - 1) {
      const oldest = this.#items[this.#first++] as Arrival;
      this.#bytes -= weightOf(oldest);
      this.#from = oldest.seq;
    }
    if (this.#first <= this.#items.length / 2) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }

  /** Nothing came up to there that is not here. */
  advanceTo(seq: number): void {
    this.#upTo = Math.max(this.#upTo, seq);
  }

  /** All before is somewhere else. */
  startAt(seq: number): void {
    this.#items = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#from = seq;
    this.#upTo = seq;
  }

  /** Of what has been shown, nothing after `seq` is there any more: what had those seqs was lost, and others get them. */
  lose(seq: number): void {
    this.#losses.push(seq);
  }

  /** The seq up to which all is still so that was so before the loss with that number, the first being 0. */
  keptSince(loss: number): number {
    return Math.min(...this.#losses.slice(loss));
  }

  /** What came after `seq`. @throws TypeError when some of that is not here any more: ask `from` first */
  after(seq: number): readonly Arrival[] {
    if (seq < this.#from) throw new TypeError(`arrivals after ${seq}: only those after ${this.#from} are here`);
    let [low, high] = [this.#first, this.#items.length];
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
    this.bytes += weightOf(arrival);
    const last = this.#items.at(-1);
    if (!last || comparePlaces(last, arrival) <= 0) {
      this.#items.push(arrival);
      return;
    }
    let [low, high] = [this.#at, this.#items.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comparePlaces(this.#items[middle] as Arrival, arrival) <= 0) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, arrival);
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
