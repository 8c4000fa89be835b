import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClockEstimate } from '../../server/dist/timeline/clock-estimate.js';
import { isLater, type Key, ORIGIN } from '../../server/dist/timeline/key.js';
import { Timeline } from '../../server/dist/timeline/timeline.js';

/** What a producer may send: stamps of a clock that is anything at all. */
const messages = fc.array(
  fc.record({
    producer: fc.nat({ max: 2 }),
    stampDelta: fc.oneof(
      fc.integer({ min: -1_000, max: 100_000 }),
      fc.integer({ min: -(2 ** 49), max: 2 ** 49 }),
      fc.constant(0),
    ),
    waitUs: fc.nat({ max: 50_000 }),
    shownBack: fc.nat({ max: 30 }),
    probe: fc.option(fc.record({ received: fc.nat({ max: 2 ** 40 }), tookUs: fc.integer({ min: -10, max: 10_000 }) })),
    report: fc.option(fc.record({ jumpUs: fc.integer(), clock: fc.maxSafeNat() }), { freq: 20 }),
  }),
  { minLength: 1, maxLength: 150 },
);

describe('where events are placed', () => {
  test('[T3] [T4] [T5] keys only rise, causes come first, nothing is after its arrival: whatever clocks say', () => {
    fc.assert(
      fc.property(messages, (sent) => {
        const timeline = new Timeline();
        const producers = [0, 1, 2].map(() => ({
          estimate: new ClockEstimate(1),
          previous: ORIGIN as Key,
          stamp: 0,
          pseq: 0,
        }));
        const keys: Key[] = [ORIGIN];
        let now = 0;
        for (const { producer: index, stampDelta, waitUs, shownBack, probe, report } of sent) {
          now += waitUs;
          const producer = producers[index] as (typeof producers)[number];
          const { estimate, previous } = producer;
          if (producer.pseq === 0) estimate.greet(now, 0);
          if (probe) {
            const clientSent = probe.received + probe.tookUs;
            estimate.add({ sentAt: now - 20_000, answeredAt: now, clientReceived: probe.received, clientSent });
          }
          if (report) estimate.report({ pseq: producer.pseq + 1, ...report }, now);
          const stamp = Math.min(2 ** 50, Math.max(producer.stamp, producer.stamp + stampDelta));
          const shown = Math.max(0, keys.length - 1 - shownBack);
          const wentBackUs = Math.max(0, -stampDelta);
          const pseq = ++producer.pseq;
          const key = timeline.place({ previous, estimate, pseq, stamp, wentBackUs, arrival: now, shown });
          expect(Number.isSafeInteger(key.time)).toBe(true);
          expect(isLater(key, previous)).toBe(true);
          for (const cause of keys.slice(0, shown + 1)) expect(isLater(key, cause)).toBe(true);
          expect(key.time).toBeLessThanOrEqual(now);
          timeline.remember(keys.length, key);
          keys.push(key);
          producer.previous = key;
          producer.stamp = stamp;
        }
      }),
      { numRuns: 300 },
    );
  });

  test('[T4] an effect comes after the latest of what its player had been shown, also after 60,000 other events', () => {
    const timeline = new Timeline();
    const estimate = new ClockEstimate(1);
    estimate.greet(1_000, 1_000);
    // A late event is the last that was shown: what came before it stands later.
    timeline.remember(1, { time: 5_000, hlc: 3 });
    timeline.remember(2, { time: 2_000, hlc: 0 });
    for (let seq = 3; seq < 60_000; seq++) timeline.remember(seq, { time: 3_000 + seq, hlc: 0 });
    const place = (shown: number) =>
      timeline.place({ previous: ORIGIN, estimate, pseq: 1, stamp: 1_000, arrival: 90_000, shown });
    expect(place(2)).toEqual({ time: 5_000, hlc: 4 });
    expect(place(30_000)).toEqual({ time: 33_000, hlc: 1 });
    expect(estimate.counts.early).toBe(2);
  });

  test('[T5] what is overruled is counted', () => {
    const timeline = new Timeline();
    const estimate = new ClockEstimate(1);
    estimate.greet(10_000, 0);
    estimate.add({ sentAt: 10_000, answeredAt: 30_000, clientReceived: 10_000, clientSent: 10_000 });
    const place = (pseq: number, stamp: number, arrival: number, previous: Key, wentBackUs = 0) =>
      timeline.place({ previous, estimate, pseq, stamp, wentBackUs, arrival, shown: 0 });
    const first = place(1, 20_000, 45_000, ORIGIN);
    expect(first.time).toBe(30_000);
    // 8 ms ahead of what it can be: no proof of a jump, and after its arrival all the same.
    const second = place(2, 48_000, 51_000, first);
    expect(second.time).toBe(51_000);
    place(3, 48_000, 60_000, second, 300);
    expect(estimate.counts).toEqual({ ahead: 1, early: 0, backwards: 1, alarms: 0 });
    place(4, 48_000, 90_000, second, 700_000);
    expect(estimate.counts).toMatchObject({ backwards: 2, alarms: 1 });
  });
});
