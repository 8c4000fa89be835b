import { timeOnLine } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { ClockEstimate } from '../../server/dist/timeline/clock-estimate.js';
import { seededRandom } from '../support/seeded-random.ts';

const SECOND = 1_000_000;
const TEN_MS = (): number => 10_000;

/** A client whose clock reads `start` at room time 0 and drifts, at the end of a path of this many microseconds each way. */
class Client {
  readonly estimate = new ClockEstimate(1);
  readonly #startUs: number;
  readonly #driftPpm: number;
  readonly #up: () => number;
  readonly #down: () => number;
  jumpedUs = 0;
  #pseq = 0;

  constructor({ startUs = 5_000_000, driftPpm = 0, up = TEN_MS, down = TEN_MS } = {}) {
    this.#startUs = startUs;
    this.#driftPpm = driftPpm;
    this.#up = up;
    this.#down = down;
    this.estimate.greet(this.#up(), this.clock(0), 1);
  }

  clock(time: number): number {
    return Math.round(this.#startUs + time * (1 + this.#driftPpm / 1e6) + this.jumpedUs);
  }

  probe(sentAt: number): boolean {
    const there = sentAt + this.#down();
    const [clientReceived, clientSent] = [this.clock(there), this.clock(there + 20)];
    return this.estimate.add({ sentAt, answeredAt: there + 20 + this.#up(), clientReceived, clientSent });
  }

  /** The burst and what follows it, up to a time. */
  probeUntil(end: number, from = 0): void {
    for (let i = 0; i < 8; i++) this.probe(from + i * 50_000);
    for (let at = from + SECOND; at < end; at += 2 * SECOND) this.probe(at);
  }

  /** Where the map puts an event that is made at `time`, and how far off that is. */
  errorAt(time: number, arrival = time + this.#up()): number {
    return this.estimate.roomTime(++this.#pseq, this.clock(time), arrival) - time;
  }

  get pseq(): number {
    return this.#pseq;
  }
}

describe('the map of a clock', () => {
  test('[T2] one answer is enough to place events, to half of what the two ways differ by', () => {
    const client = new Client({ up: () => 16_000, down: () => 4_000 });
    expect(client.probe(0)).toBe(true);
    expect(client.errorAt(100_000)).toBeCloseTo((16_000 - 4_000) / 2, -2);
  });

  test('[T2] drift is found: 200 ppm are off by less than a millisecond after the first minute', () => {
    for (const driftPpm of [-200, -40, 0, 40, 200]) {
      const random = seededRandom(7);
      const jitter = () => 10_000 - Math.log(1 - random()) * 2_000;
      const client = new Client({ driftPpm, up: jitter, down: jitter });
      client.probeUntil(120 * SECOND);
      expect(Math.abs(client.errorAt(121 * SECOND)), `${driftPpm} ppm`).toBeLessThan(1_000);
    }
  });

  test('[T2] a slow answer changes nothing', () => {
    let extra = 0;
    const client = new Client({ up: () => 10_000 + extra });
    client.probeUntil(30 * SECOND);
    const before = client.errorAt(31 * SECOND);
    extra = 400_000;
    client.probe(32 * SECOND);
    extra = 0;
    expect(Math.abs(client.errorAt(33 * SECOND) - before)).toBeLessThan(200);
  });

  test('[T2] answers that cannot be true are refused', () => {
    const { estimate } = new Client();
    const good = { sentAt: 100, answeredAt: 20_100, clientReceived: 5_010_100, clientSent: 5_010_120 };
    expect(estimate.add({ ...good, clientSent: good.clientReceived - 1 })).toBe(false);
    expect(estimate.add({ ...good, clientSent: good.clientReceived + 30_000 })).toBe(false);
    expect(estimate.add({ ...good, answeredAt: 6 * SECOND })).toBe(false);
    expect(estimate.add({ ...good, clientReceived: Number.NaN })).toBe(false);
    expect(estimate.add({ ...good, clientSent: Number.NaN })).toBe(false);
    expect(estimate.add(good)).toBe(true);
    // An answer to an earlier probe, say: it was read before the last one.
    expect(estimate.add({ ...good, clientReceived: 5_010_000, clientSent: 5_010_010 })).toBe(false);
    expect(estimate.samples).toBe(1);
  });

  test('[T2] what changes, changes by no more than 500 µs a second', () => {
    let up = 10_000;
    const client = new Client({ up: () => up });
    client.probeUntil(20 * SECOND);
    client.errorAt(20 * SECOND);
    // The way becomes shorter: the true offset turns out to be another, within what was possible.
    up = 2_000;
    client.probe(21 * SECOND);
    client.probe(22 * SECOND);
    let last = client.errorAt(22 * SECOND);
    let moved = 0;
    for (let at = 22.1 * SECOND; at < 40 * SECOND; at += 100_000) {
      const error = client.errorAt(at, at + 10_000);
      expect(Math.abs(error - last)).toBeLessThanOrEqual(500 * 0.1 + 2);
      moved += Math.abs(error - last);
      last = error;
    }
    expect(moved).toBeGreaterThan(2_000);
  });

  test('[T2] an answer that waited for a busy relay counts only where there is no other', () => {
    const client = new Client();
    const late = { sentAt: 0, clientReceived: client.clock(10_000), clientSent: client.clock(10_020) };
    client.estimate.add({ ...late, answeredAt: 60_000, isDelayed: true });
    expect(Math.abs(client.errorAt(50_000))).toBeGreaterThan(10_000);
    client.probe(100_000);
    client.estimate.add({
      sentAt: 200_000,
      answeredAt: 220_020,
      clientReceived: client.clock(210_000),
      clientSent: client.clock(210_020),
      isDelayed: true,
    });
    expect(Math.abs(client.errorAt(300_000))).toBeLessThan(200);
  });
});

describe('a clock that is not what it was', () => {
  test('[T2] a clock that slept starts a new map, by proof alone; earlier events keep theirs', () => {
    const client = new Client();
    client.probeUntil(60 * SECOND);
    expect(Math.abs(client.errorAt(61 * SECOND))).toBeLessThan(200);
    client.jumpedUs = -3_600 * SECOND;
    client.probe(62 * SECOND);
    // It went back: nobody had to say so.
    expect(client.estimate.clockEpoch).toBe(1);
    expect(client.estimate.counts.alarms).toBe(1);
    expect(Math.abs(client.errorAt(63 * SECOND))).toBeLessThan(200);
  });

  test('[T2] a clock that stands still for 30 ms is found out by the next answer', () => {
    const client = new Client({ up: () => 1_000, down: () => 1_000 });
    client.probeUntil(60 * SECOND);
    client.jumpedUs = -30_000;
    client.probe(61 * SECOND);
    expect(client.estimate.counts.alarms).toBe(1);
    expect(Math.abs(client.errorAt(62 * SECOND))).toBeLessThan(200);
  });

  test('[T6] events from before a jump that is reported are mapped by the clock before it', () => {
    const client = new Client();
    client.probeUntil(60 * SECOND);
    client.errorAt(60 * SECOND);
    // Two events are made while away, then the device sleeps for an hour, then a third is made.
    const before = [61 * SECOND, 62 * SECOND].map((time) => client.clock(time));
    const awake = 3_662 * SECOND;
    client.jumpedUs = -3_600 * SECOND;
    client.estimate.greet(awake + 10_000, client.clock(awake), 1);
    client.estimate.report({ pseq: 4, jumpUs: 3_600 * SECOND, clock: client.clock(awake + 30_000) }, awake + 40_000);
    client.probeUntil(awake + SECOND, awake + 50_000);
    const arrival = awake + SECOND;
    expect(client.estimate.roomTime(2, before[0] as number, arrival)).toBeCloseTo(61 * SECOND, -3);
    expect(client.estimate.roomTime(3, before[1] as number, arrival)).toBeCloseTo(62 * SECOND, -3);
    expect(client.estimate.roomTime(4, client.clock(awake + 500_000), arrival)).toBeCloseTo(awake + 500_000, -3);
  });

  test('[T6] that holds for a relay that was started anew meanwhile, as far as the wall clock is right', () => {
    const client = new Client();
    const before = client.clock(61 * SECOND);
    const awake = 3_662 * SECOND;
    client.jumpedUs = -3_600 * SECOND;
    const estimate = new ClockEstimate(2);
    estimate.greet(awake + 10_000, client.clock(awake), 1);
    estimate.report({ pseq: 4, jumpUs: 3_600 * SECOND, clock: client.clock(awake + 30_000) }, awake + 40_000);
    const there = awake + 60_000;
    const [clientReceived, clientSent] = [client.clock(there), client.clock(there + 20)];
    estimate.add({ sentAt: there - 10_000, answeredAt: there + 10_020, clientReceived, clientSent });
    expect(estimate.roomTime(3, before, awake + SECOND)).toBeCloseTo(61 * SECOND, -3);
  });

  test('[T6] what was recorded during ten minutes away is mapped from both sides', () => {
    const client = new Client({ driftPpm: 150 });
    client.probeUntil(100 * SECOND);
    client.errorAt(100 * SECOND);
    const back = 700 * SECOND;
    client.estimate.greet(back, client.clock(back - 10_000), 1);
    client.probeUntil(back + SECOND, back);
    for (let at = 100.1 * SECOND; at < back; at += 30 * SECOND) {
      expect(Math.abs(client.errorAt(at, back + SECOND))).toBeLessThan(500);
    }
  });

  test('[T5] a clock that is ahead is found out by what it sends', () => {
    const client = new Client();
    client.probeUntil(60 * SECOND);
    client.errorAt(61 * SECOND);
    client.jumpedUs = 600 * SECOND;
    const arrival = 62 * SECOND + 10_000;
    expect(client.errorAt(62 * SECOND, arrival)).toBeLessThanOrEqual(10_100);
    expect(client.estimate.counts.alarms).toBe(1);
  });

  test('[T5] one that is proven wrong again and again is believed nothing: its events stand at their arrival', () => {
    const client = new Client();
    client.probeUntil(20 * SECOND);
    let [at, changes] = [20 * SECOND, 0];
    for (let i = 0; i < 200; i++) {
      at += 100_000;
      client.jumpedUs = i % 2 === 0 ? 600 * SECOND : 0;
      client.errorAt(at);
      if (client.estimate.takeChange(0)) changes++;
      client.probe(at + 50_000);
    }
    expect(client.errorAt(at + SECOND, at + SECOND + 77_777)).toBe(77_777);
    expect(client.estimate.counts.alarms).toBeLessThan(40);
    expect(changes).toBeLessThan(100);
    // After some minutes without another one it is a clock like any other.
    client.jumpedUs = 0;
    client.probeUntil(at + 400 * SECOND, at + 2 * SECOND);
    client.errorAt(at + 401 * SECOND);
    client.probe(at + 402 * SECOND);
    expect(Math.abs(client.errorAt(at + 403 * SECOND))).toBeLessThan(200);
  });
});

describe('what is recorded of a map', () => {
  test('[T2] the changes that were taken lead to every time that was given', () => {
    const random = seededRandom(3);
    const jitter = () => 5_000 - Math.log(1 - random()) * 3_000;
    const client = new Client({ driftPpm: -120, up: jitter, down: jitter });
    let map = client.estimate.takeChange(5);
    let changes = 0;
    client.probe(0);
    for (let at = 100_000; at < 300 * SECOND; at += 200_000) {
      if (at % (2 * SECOND) < 200_000) client.probe(at);
      const stamp = client.clock(at);
      const time = client.errorAt(at) + at;
      client.estimate.placed({
        stamp,
        time,
        arrival: at + 50_000,
        causeTime: 0,
        wasAhead: false,
        wasEarly: false,
        wasBefore: false,
      });
      const change = client.estimate.takeChange(5);
      if (change) changes++;
      map = change ?? map;
      expect(map && timeOnLine(map, stamp)).toBe(time);
      expect(map?.producer).toBe(5);
      expect(Math.abs(time - at)).toBeLessThanOrEqual(map?.errorUs ?? 0);
    }
    expect(changes).toBeLessThan(150);
    expect(map?.typicalUs).toBeLessThan(3_000);
  });
});
