import { connect } from '@gametape/client-sdk';
import type { ClockJump } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { ClockJumps } from '../../client-sdk/dist/clock-jumps.js';
import { ClockWatch, tickOf } from '../../client-sdk/dist/clock-watch.js';
import { NODE } from '../../client-sdk/dist/platform/node.js';
import { connectOn } from '../../client-sdk/dist/session.js';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

describe('the clock of an SDK', () => {
  test('[T2] a jump is what the wall clock and it disagree about', () => {
    let [now, wall] = [0, 1e15];
    const watch = new ClockWatch(
      () => now,
      () => wall,
    );
    const jumpedIn = (nowUs: number, wallUs: number) => {
      now += nowUs;
      wall += wallUs;
      return watch.jumped();
    };
    expect(jumpedIn(1_000_000, 1_000_000)).toBe(0);
    // Slewed, or coarse: no jump, however often.
    for (let i = 0; i < 10; i++) expect(jumpedIn(1_000_000, 1_200_000)).toBe(0);
    expect(jumpedIn(100, 7_200_000_000)).toBe(7_199_999_900);
    expect(jumpedIn(100, 100)).toBe(0);
    expect(jumpedIn(1_000, -3_600_000_000)).toBe(-3_600_001_000);
  });

  test('[T2] how coarsely a clock ticks is measured', () => {
    const clock = (tick: number, step: number) => {
      let exact = 0;
      return () => {
        exact += step;
        return Math.floor(exact / tick) * tick;
      };
    };
    expect(tickOf(clock(100, 7))).toBe(100);
    expect(tickOf(clock(1_000, 3))).toBe(1_000);
    expect(tickOf(clock(0.05, 0.04))).toBe(1);
    // One that stands still for as long as anybody looks may tick in anything.
    expect(tickOf(clock(100_000, 0.1))).toBe(100_000);
    expect(tickOf(NODE.now)).toBeLessThanOrEqual(100);
  });

  test('[T2] a jump is said before the next event, and again until events after it are accepted', () => {
    let [jump, pseq] = [0, 1];
    const sent: ClockJump[] = [];
    const watch = { jumped: () => jump } as ClockWatch;
    const jumps = new ClockJumps({ watch, nextPseq: () => pseq, clock: () => 5, send: (one) => sent.push(one) });
    const check = (jumpUs: number, nextPseq: number) => {
      [jump, pseq] = [jumpUs, nextPseq];
      jumps.check();
    };
    check(1_000_000, 3);
    expect(sent, 'nobody asked').toEqual([]);
    jumps.welcomed(0, true);
    check(0, 4);
    check(2_000_000, 7);
    check(500_000, 7);
    jumps.lost();
    check(300_000, 9);
    jumps.welcomed(6, true);
    const told = sent.map((one) => [one.pseq, one.jump]);
    expect(told).toEqual([
      [3, 1_000_000],
      [7, 2_000_000],
      [7, 2_500_000],
      [7, 2_500_000],
      [9, 300_000],
    ]);
  });
});

test('[T1] [T2] [T6] events around a sleep stand where they happened, and everybody knows how exactly', async () => {
  const relay = await TestRelay.start();
  let sleptUs = 0;
  let heldAt: number | undefined;
  const real = () => performance.now() * 1_000;
  const now = () => (heldAt ?? real()) - sleptUs;
  const options = { url: relay.wsUrl, room: 'arena', profile: 'json' as const };
  const sleeper = await connectOn({ ...NODE, now, wallNow: real }, { ...options, player: 'sleeper' });
  const other = await connect({ ...options, player: 'other' });
  await waitFor('the clocks to be known', async () => {
    sleeper.say('here');
    other.say('here');
    await Promise.all([sleeper.stable(), other.stable()]);
    const seen = other.players.get('sleeper')?.clockErrorS;
    return seen !== undefined && sleeper.status.clockErrorS !== undefined && other.status.clockErrorS !== undefined;
  });
  sleeper.say('before');
  other.say('before');
  await Promise.all([sleeper.stable(), other.stable()]);
  heldAt = real();
  // Its time stands still: that is what is tested.
  await new Promise((resolve) => setTimeout(resolve, 900));
  sleptUs = real() - heldAt;
  heldAt = undefined;
  const saidAt = performance.now();
  sleeper.say('after');
  other.say('after');
  const saidUs = (performance.now() - saidAt) * 1_000;
  await Promise.all([sleeper.stable(), other.stable()]);
  const { own, summary } = await relay.recording((await other.end()).recordingId);
  const timeOf = (player: string, message: string) =>
    own.find((entry) => entry.player === player && entry.data.message === message)?.time ?? Number.NaN;
  const slept = timeOf('sleeper', 'after') - timeOf('sleeper', 'before');
  expect(slept).toBeGreaterThanOrEqual(sleptUs - 50_000);
  expect(Math.abs(timeOf('sleeper', 'after') - timeOf('other', 'after'))).toBeLessThan(saidUs + 100_000);
  const clocks = new Map(summary.players.map(({ id, clock }) => [id, clock]));
  // Once by what the SDK says, and by each answer in between: a device that sleeps gives none.
  expect(clocks.get('sleeper')?.alarms).toBeGreaterThanOrEqual(1);
  expect(clocks.get('other')).toMatchObject({ alarms: 0, backwards: 0, unknown: 0 });
  expect(clocks.get('other')?.errorUs).toBeLessThan(1_000_000);
});
