import { describe, expect, test } from 'vitest';
import { Probes } from '../../server/dist/session/probes.js';

/** Answers each probe after `rttUs`, and returns when each was sent. */
function sentTimes(probes: Probes, endUs: number, rttUs: number, seed = 0): number[] {
  const sent: number[] = [];
  let now = 0;
  probes.begin(now, seed);
  while (now < endUs) {
    const id = probes.next(now);
    if (id !== undefined) {
      probes.sent(id, now);
      sent.push(now);
      if (Number.isFinite(rttUs)) {
        now += rttUs;
        expect(probes.answer(id)).toBe(sent.at(-1));
        expect(probes.answer(id), 'a second answer').toBeUndefined();
      }
    }
    now = Math.max(now + 1, probes.dueAt);
  }
  return sent;
}

describe('clock probes', () => {
  test('[T2] come in a burst that slows down, then every two seconds more or less', () => {
    const gaps = differences(sentTimes(new Probes(), 60_000_000, 20_000));
    expect(gaps.slice(0, 7).every((gap) => gap === 50_000)).toBe(true);
    expect(gaps.slice(7, 15).every((gap) => gap === 250_000)).toBe(true);
    expect(gaps.slice(15, 47).every((gap) => gap === 500_000)).toBe(true);
    const later = gaps.slice(47);
    expect(later.length).toBeGreaterThan(15);
    expect(Math.min(...later)).toBeGreaterThanOrEqual(1_500_000);
    expect(Math.max(...later)).toBeLessThanOrEqual(2_500_000);
    expect(new Set(later).size).toBe(later.length);
  });

  test('[T2] are one at a time, and one that is not answered is given up after 5 s', () => {
    expect(differences(sentTimes(new Probes(), 2_000_000, 300_000)).slice(0, 4)).toEqual(Array(4).fill(300_001));
    expect(differences(sentTimes(new Probes(), 21_000_000, Number.POSITIVE_INFINITY))).toEqual(
      Array(4).fill(5_000_000),
    );
  });

  test('[T2] of one room are not sent together', () => {
    const [one, other] = [0, 1].map((seed) => sentTimes(new Probes(), 60_000_000, 1_000, seed)) as [number[], number[]];
    expect(one.slice(48).filter((at) => other.includes(at))).toEqual([]);
  });

  test('[T2] start over when the clock is another one, and wait while the socket is full', () => {
    const probes = new Probes();
    sentTimes(probes, 30_000_000, 1_000);
    expect(probes.hasEnough).toBe(true);
    probes.begin(30_000_000, 0);
    expect(probes.hasEnough).toBe(false);
    expect(probes.next(30_000_000)).toBeDefined();
    probes.postpone(30_000_000);
    expect(probes.next(30_049_999)).toBeUndefined();
    expect(probes.next(30_050_000)).toBeDefined();
  });
});

function differences(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] as number));
}
