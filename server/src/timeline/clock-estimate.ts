import type { ClockCounts, ClockMapRecord } from '@gametape/shared';
import { ClockEra, type PlacedEvent, PROOF_US } from './clock-era.ts';

const MAX_RTT_US = 5_000_000;
/** Browsers tick in 100 µs or less, where an SDK does not say otherwise. */
const USUAL_TICK_US = 100;
const MAX_TICK_US = 1_000_000;
/** A clock that goes back no further than this was read in the wrong order; one that does has been set back. */
const COARSE_US = 5_000;
/** Of events that have not come yet, so many changes of the clock are remembered. */
const MAX_ERAS = 8;
/** A clock that was proven wrong so often, lately, is believed nothing: its events stand where they arrive. */
const MOST_ALARMS = 16;
const FORGIVEN_US = 60_000_000;
/** Stamps are rounded to 100 µs: one may be later than the clock was. */
const ROUNDING_US = 60;

/** One probe: sent and answered in room time, received and answered in the client's. All in microseconds. */
export interface ProbeSample {
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly clientReceived: number;
  readonly clientSent: number;
  /** The relay was busy meanwhile: the answer may have waited for it. */
  readonly isDelayed?: boolean;
}

/** What an SDK says of a clock that has stood still or was set: events from `pseq` on are stamped by the one after. */
export interface ClockReport {
  readonly pseq: number;
  /** How much more time has passed than the clock shows, in microseconds. */
  readonly jumpUs: number;
  /** The clock when it was said. */
  readonly clock: number;
}

/**
 * The map from one client's clock to room time: offset and drift from the probes it answers, continuous but where it is
 * proven wrong (T2), and the bound of its error. It never relies on the client: what a clock that lies can do is in `Timeline`.
 */
export class ClockEstimate {
  readonly #epoch: number;
  /** The last is the clock as it is now; those before it are of events that have not come yet. */
  #eras: ClockEra[] = [new ClockEra({ clockEpoch: 0, fromPseq: 0, tickUs: USUAL_TICK_US })];
  #tickUs = USUAL_TICK_US;
  #clock = Number.NEGATIVE_INFINITY;
  #pseq = 0;
  #samples = 0;
  /** Alarms, each counting less the longer ago it was. */
  #strikes = 0;
  #struckAt = 0;
  /** How much of what was counted is recorded. */
  #told = 0;
  readonly #counts = { ahead: 0, early: 0, backwards: 0, alarms: 0 };

  /** @param epoch of the room's journal: every one starts all maps anew */
  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  get counts(): ClockCounts {
    return this.#counts;
  }

  /** Bound of the error of the events that were placed last, in microseconds; null while it is not known. */
  get errorUs(): number | null {
    return this.#era.errorUs;
  }

  get typicalUs(): number {
    return this.#era.typicalUs;
  }

  /** How many probes were of use. */
  get samples(): number {
    return this.#samples;
  }

  get clockEpoch(): number {
    return this.#now.clockEpoch;
  }

  /**
   * A hello: the client is here, or here again.
   *
   * @param tickUs in what steps its clock ticks, if it says so
   */
  greet(arrival: number, clock: number, tickUs: number = USUAL_TICK_US): void {
    this.#tickUs = Math.min(Math.max(1, tickUs), MAX_TICK_US);
    for (const era of this.#eras) era.tickUs = this.#tickUs;
    if (this.#isSetBack(clock)) this.#alarmNow(arrival);
    this.#clock = clock;
    this.#now.bounds.bridge();
    this.#prove(arrival, clock, Number.NEGATIVE_INFINITY, arrival - clock);
  }

  /** False for an answer that cannot be true. */
  add({ sentAt, answeredAt, clientReceived, clientSent, isDelayed = false }: ProbeSample): boolean {
    const delay = answeredAt - sentAt - (clientSent - clientReceived);
    // By a clock that ticks coarsely an answer can seem to have taken less than no time.
    if (!(clientSent >= clientReceived && delay >= -this.#tickUs && delay <= MAX_RTT_US)) return false;
    if (clientReceived < this.#clock) {
      if (!this.#isSetBack(clientReceived)) return false;
      this.#alarmNow(answeredAt);
    }
    this.#clock = clientSent;
    // A stamp may be as old as one tick: the clock read less than it was.
    const lowest = sentAt - clientReceived - this.#tickUs;
    this.#prove(answeredAt, clientSent, lowest, answeredAt - clientSent);
    const sample = {
      at: answeredAt,
      clock: clientSent,
      lowest: sentAt - clientReceived,
      highest: answeredAt - clientSent,
    };
    this.#now.add(sample, isDelayed);
    this.#samples++;
    return true;
  }

  /** The SDK has noticed that its clock stood still, or was set. */
  report({ pseq, jumpUs, clock }: ClockReport, arrival: number): void {
    const before = this.#now;
    this.#alarm(Math.max(pseq, this.#pseq + 1, before.fromPseq), arrival);
    if (this.#now === before) return;
    before.endBy(this.#now, jumpUs);
    this.#clock = clock;
    this.#now.bounds.narrow(clock, Number.NEGATIVE_INFINITY, arrival - clock);
  }

  /**
   * Room time of the next event, by its stamp alone.
   *
   * @param wentBackUs how far its stamp lies before the one before, of which it is given the value
   */
  roomTime(pseq: number, stamp: number, arrival: number, wentBackUs = 0): number {
    this.#pseq = pseq;
    if (wentBackUs > 0) this.#counts.backwards++;
    const isBelieved = this.#isBelieved(arrival);
    if (wentBackUs > COARSE_US) this.#alarm(pseq, arrival);
    this.#leaveErasBefore(pseq);
    if (!isBelieved) return this.#era.disbelieve(stamp, arrival);
    // It was made before it came: a clock that says otherwise has jumped ahead.
    const highest = arrival - stamp + ROUNDING_US;
    if (this.#era.bounds.narrow(stamp, Number.NEGATIVE_INFINITY, highest) > PROOF_US) {
      this.#alarm(pseq, arrival);
      this.#leaveErasBefore(pseq);
      this.#era.bounds.narrow(stamp, Number.NEGATIVE_INFINITY, highest);
    }
    return this.#era.roomTime(stamp);
  }

  /** Where that event was placed after all. */
  placed(
    event: PlacedEvent & { readonly wasAhead: boolean; readonly wasEarly: boolean; readonly wasBefore: boolean },
  ): void {
    if (event.wasAhead) this.#counts.ahead++;
    if (event.wasEarly) this.#counts.early++;
    if (event.wasBefore) this.#counts.backwards++;
    this.#era.placed(event);
  }

  /** The map that the event placed last is the first of; undefined where it is the same as before. */
  takeChange(producer: number): ClockMapRecord | undefined {
    return this.#era.takeNews() ? this.#describe(producer) : undefined;
  }

  /** The same map again, where something has been counted since the last change that was taken: for the end. */
  takeCounts(producer: number): ClockMapRecord | undefined {
    return total(this.#counts) > this.#told ? this.#describe(producer) : undefined;
  }

  #describe(producer: number): ClockMapRecord | undefined {
    const era = this.#era;
    if (!era.line) return undefined;
    this.#told = total(this.#counts);
    const { line, errorUs, typicalUs, clockEpoch } = era;
    return { producer, pseq: this.#pseq, epoch: this.#epoch, clockEpoch, ...line, errorUs, typicalUs, ...this.#counts };
  }

  /** Of the events that come now. */
  get #era(): ClockEra {
    return this.#eras[0] as ClockEra;
  }

  /** Of the clock as it is now. */
  get #now(): ClockEra {
    return this.#eras.at(-1) as ClockEra;
  }

  #leaveErasBefore(pseq: number): void {
    while (this.#eras.length > 1 && (this.#eras[1] as ClockEra).fromPseq <= pseq) this.#eras.shift();
  }

  #isSetBack(clock: number): boolean {
    return clock < this.#clock - COARSE_US;
  }

  #prove(now: number, clock: number, lowest: number, highest: number): void {
    if (this.#now.bounds.narrow(clock, lowest, highest) <= PROOF_US) return;
    this.#alarmNow(now);
    this.#now.bounds.narrow(clock, lowest, highest);
  }

  #isBelieved(now: number): boolean {
    return this.#strikesAt(now) < MOST_ALARMS;
  }

  #strikesAt(now: number): number {
    return this.#strikes * 0.5 ** (Math.max(0, now - this.#struckAt) / FORGIVEN_US);
  }

  /** The clock is another one from that event on, up to the next that is known. */
  #alarm(fromPseq: number, now: number): void {
    if (!this.#isBelieved(now)) return;
    this.#counts.alarms++;
    this.#strikes = this.#strikesAt(now) + 1;
    this.#struckAt = now;
    const era = new ClockEra({ clockEpoch: this.#counts.alarms, fromPseq, tickUs: this.#tickUs });
    const earlier = this.#eras.filter((other) => other.fromPseq < fromPseq);
    const later = this.#eras.filter((other) => other.fromPseq > fromPseq);
    this.#eras = [...earlier, era, ...later].slice(-MAX_ERAS);
    // Whatever went wrong went wrong since the clock was last read.
    this.#clock = Number.NEGATIVE_INFINITY;
  }

  /** The same of the clock as it is now. */
  #alarmNow(now: number): void {
    this.#alarm(Math.max(this.#pseq + 1, this.#now.fromPseq), now);
  }
}

function total({ ahead, early, backwards, alarms }: ClockCounts): number {
  return ahead + early + backwards + alarms;
}
