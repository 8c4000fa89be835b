import { type ClockLine, targetOffset, timeOnLine } from '@gametape/shared';
import { ClockFilter, type OffsetFit, type OffsetSample } from './clock-filter.ts';
import { HardBounds } from './hard-bounds.ts';

/** A map is wrong, or a clock has jumped, when what is certain excludes it by more than this. */
export const PROOF_US = 10_000;
/** Stamps are rounded to 100 µs, times to 1 µs. */
const ROUNDING_US = 60;
/** A new fit is taken over when it is off by this much, or by this share of what probes lie from it: each change is recorded. */
const CHANGE_US = 100;
const CHANGE_SHARE = 0.2;
/** Until so many probes are answered the map may step: what the first few say can be far off, and slewing takes its time. */
const BURST = 8;
/** What a bound grows by until the next probe, and a little more: else each event would have one of its own. */
const HEADROOM_US = 600;
const HEADROOM_SHARE = 1.1;
/** A bound is stated anew once it is this many times too wide, and has been stated for so long. */
const TOO_WIDE = 1.5;
const STATED_US = 10_000_000;

/** Where an event was placed, and what is certain about it. Room time. */
export interface PlacedEvent {
  readonly stamp: number;
  readonly time: number;
  readonly arrival: number;
  /** Of what its player had been shown by then: it happened after that. */
  readonly causeTime: number;
}

/** One clock between two alarms: what its probes say, the map that is in force, and how wrong that can be (T2). */
export class ClockEra {
  readonly clockEpoch: number;
  /** Its first event. */
  readonly fromPseq: number;
  readonly bounds = new HardBounds();
  readonly #filter = new ClockFilter();
  #tickUs: number;
  #fit: OffsetFit | undefined;
  #line: ClockLine | undefined;
  #samples = 0;
  /** The last stamp that was mapped, and its time: whatever changes, changes after it. */
  #mapped: { stamp: number; time: number } | undefined;
  #errorUs: number | null = null;
  #statedAt = 0;
  #isNews = false;
  #isDisbelieved = false;
  /** The clock after this one, and how much time passed in between that this one did not show. */
  #next: { readonly era: ClockEra; readonly jumpUs: number } | undefined;

  constructor({ clockEpoch, fromPseq, tickUs }: { clockEpoch: number; fromPseq: number; tickUs: number }) {
    this.clockEpoch = clockEpoch;
    this.fromPseq = fromPseq;
    this.#tickUs = tickUs;
  }

  set tickUs(tickUs: number) {
    this.#tickUs = tickUs;
  }

  get errorUs(): number | null {
    return this.#errorUs;
  }

  /** Whether a probe has been answered: before that, only a bound is known. */
  get isKnown(): boolean {
    return this.#fit !== undefined;
  }

  get typicalUs(): number {
    return Math.round(this.#fit?.typicalUs ?? 0);
  }

  get line(): ClockLine | undefined {
    return this.#line;
  }

  endBy(era: ClockEra, jumpUs: number): void {
    this.#next = { era, jumpUs };
  }

  add(sample: OffsetSample, isDelayed: boolean): void {
    // A relay that was busy saw the answer late: better than nothing, and else nothing.
    if (isDelayed && !this.#filter.isEmpty) return;
    this.#filter.add(sample);
    this.#samples++;
    this.#fit = this.#filter.fit();
  }

  /** Room time of a stamp that is not before the last one. */
  roomTime(stamp: number): number {
    const line = this.#isDisbelieved ? this.#start(stamp) : this.#lineAt(stamp);
    this.#isDisbelieved = false;
    const time = timeOnLine(line, stamp);
    this.#mapped = { stamp, time };
    return time;
  }

  /** The clock is not believed: this event, and those that follow, stand where they arrive. */
  disbelieve(stamp: number, arrival: number): number {
    if (!this.#isDisbelieved) this.#isNews = true;
    this.#isDisbelieved = true;
    this.#line = { stamp, time: arrival, offset: arrival - stamp, drift: 0 };
    this.#errorUs = null;
    return arrival;
  }

  /** Takes note of where an event was placed: the bound has to hold for it too. */
  placed({ stamp, time, arrival, causeTime }: PlacedEvent): void {
    if (!this.isKnown || this.#isDisbelieved) return;
    const earliest = Math.max(stamp + this.bounds.lowestAt(stamp) - ROUNDING_US, causeTime);
    const latest = Math.min(stamp + this.bounds.highestAt(stamp) + this.#tickUs + ROUNDING_US, arrival);
    const needed = Math.max(latest - time, time - earliest, 0);
    const stated = this.#errorUs;
    if (!Number.isFinite(needed)) return;
    const mayTighten = stated !== null && stamp - this.#statedAt > STATED_US;
    const isTooWide = mayTighten && stated > (needed + HEADROOM_US) * TOO_WIDE;
    if (stated !== null && needed <= stated && !isTooWide) return;
    this.#errorUs = Math.ceil(needed * HEADROOM_SHARE + HEADROOM_US);
    this.#statedAt = stamp;
    this.#isNews = true;
  }

  /** True once for each change of the map or its bound. */
  takeNews(): boolean {
    const isNews = this.#isNews;
    this.#isNews = false;
    return isNews;
  }

  #lineAt(stamp: number): ClockLine {
    const line = this.#line;
    if (!line) return this.#start(stamp);
    const offset = timeOnLine(line, stamp) - stamp;
    // A step: the map is proven wrong, and would take minutes to get where it has to be.
    const isTooLow = offset < this.bounds.lowestAt(stamp) - PROOF_US;
    if (isTooLow || offset > this.bounds.highestAt(stamp) + PROOF_US) return this.#start(stamp);
    // What only arrivals tell is rough: an event that would come after its own stands there anyway.
    const change = this.isKnown ? Math.max(CHANGE_US, CHANGE_SHARE * this.typicalUs, this.#tickUs / 10) : PROOF_US;
    if (Math.abs(this.#targetAt(stamp) - targetOffset(line, stamp)) <= change) return line;
    if (this.#samples < BURST) return this.#start(stamp);
    // What changes, changes after the last event that was mapped: for one that comes after a long while, that is most of it.
    const { stamp: from, time } = this.#mapped ?? { stamp, time: stamp + offset };
    return this.#take(from, time);
  }

  #start(stamp: number): ClockLine {
    return this.#take(stamp, stamp + Math.round(this.#targetAt(stamp)));
  }

  #take(stamp: number, time: number): ClockLine {
    const drift = Math.round((this.#fit?.drift ?? 0) * 1e9);
    this.#line = { stamp, time, offset: Math.round(this.#targetAt(stamp)), drift };
    this.#isNews = true;
    return this.#line;
  }

  /** Room time minus stamp, as far as is known: never outside of what is certain. */
  #targetAt(stamp: number): number {
    const lowest = this.bounds.lowestAt(stamp);
    const highest = this.bounds.highestAt(stamp);
    const fit = this.#fit;
    if (fit) return Math.min(Math.max(fit.offset + (stamp - fit.clock) * fit.drift, lowest), highest);
    const next = this.#next;
    if (!next) return highest;
    const after = next.era.#fit;
    return after ? Math.min(highest, after.offset - next.jumpUs) : highest;
  }
}
