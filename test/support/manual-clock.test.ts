import { afterEach, describe, expect, test } from 'vitest';
import { ManualClock } from './manual-clock.ts';

let restore: (() => void) | undefined;

afterEach(() => restore?.());

describe('the manual clock', () => {
  test('runs what is due in order, and its microtasks before what comes next', async () => {
    const clock = new ManualClock();
    restore = clock.install();
    const done: string[] = [];
    setTimeout(() => done.push(`late ${performance.now()}`), 50);
    setTimeout(() => {
      done.push(`first ${performance.now()}`);
      void Promise.resolve().then(() => done.push('its microtask'));
      setImmediate(() => done.push('immediate'));
    }, 10);
    setTimeout(() => done.push('second'), 10);
    clearTimeout(setTimeout(() => done.push('never'), 20));
    let beats = 0;
    const interval = setInterval(() => ++beats === 3 && clearInterval(interval), 5);
    expect(await clock.run(() => done.length === 5, 1_000)).toBe(true);
    expect(done).toEqual(['first 10', 'its microtask', 'second', 'immediate', 'late 50']);
    expect([beats, clock.now]).toEqual([3, 50]);
  });

  test('time passes only as far as something happens, and no further than the limit', async () => {
    const clock = new ManualClock();
    restore = clock.install();
    setTimeout(() => {}, 10_000);
    expect(await clock.run(() => false, 500)).toBe(false);
    expect(clock.now).toBe(0);
    expect(await clock.run(() => clock.now >= 10_000, 20_000)).toBe(true);
  });

  test('what a process has planned dies with it, and its clocks are its own', async () => {
    const clock = new ManualClock();
    restore = clock.install();
    const done: string[] = [];
    await clock.run(() => false, 0);
    clock.schedule(100, () => {});
    await clock.run(() => clock.now === 100, 1_000);
    const [a, b] = [clock.spawn('a'), clock.spawn('b', 3_600_000)];
    const wall = Date.now();
    clock.schedule(0, () => setTimeout(() => done.push(`a ${performance.now()}`), 20), a);
    clock.schedule(0, () => setTimeout(() => done.push(`b ${performance.now()} ${Date.now() - wall}`), 30), b);
    clock.schedule(0, () => setTimeout(() => done.push('never'), 40), a);
    await clock.run(() => done.length === 1, 1_000);
    clock.kill(a);
    await clock.run(() => false, 1_000);
    expect(done).toEqual(['a 20', 'b 30 3600030']);
  });
});
