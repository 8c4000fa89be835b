import { diffRecordings, recordingStats } from '@gametape/server';
import type { JsonObject } from '@gametape/shared';
import { type ImportedStep, lmspEvents } from '@gametape/shared/lmsp';
import { describe, expect, test } from 'vitest';
import { LogHistogram } from '../../server/dist/recording/log-histogram.js';
import { MAX_CURVE_POINTS, ThinnedCurve } from '../../server/dist/recording/thinned-curve.js';
import { recordingOf, relayedRecording, unfinished } from '../support/imported-recording.ts';
import { seededRandom } from '../support/seeded-random.ts';

function step(timestamp: number, type: string, data: JsonObject, state: JsonObject = {}): ImportedStep {
  return { timestamp, player: 'ann', event: { type, data }, state };
}

function key(timestamp: number, char: string, modifiers: readonly string[] = []): ImportedStep {
  return step(timestamp, 'keystroke', { char, modifiers });
}

async function statsOf(steps: readonly ImportedStep[], options?: Parameters<typeof recordingStats>[1]) {
  const stats = await recordingStats(await recordingOf(steps), options);
  const ann = stats.players.find(({ id }) => id === 'ann');
  if (!ann) throw new Error('ann is not in the stats');
  return { stats, ann };
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

describe('stats', () => {
  test('[R2] add up to what the summary says', async () => {
    for (const seed of [1, 2, 3]) {
      const reader = await relayedRecording(seed);
      const { summary } = reader;
      const stats = await recordingStats(reader);
      expect(stats.events).toBe(summary?.events);
      expect(stats.durationS).toBe((summary?.durationUs ?? 0) / 1e6);
      expect(stats.players.map(({ id, events }) => [id, events])).toEqual(
        summary?.players.map(({ id, events }) => [id, events]),
      );
      expect(stats.pauses.count).toBe(summary?.pauses.length);
      expect(stats.events + stats.stateChanges).toBe(400);
      expect(sum(stats.types)).toBe(stats.events);
      for (const { events, types, activity, activeS, idleS, firstS, lastS } of stats.players) {
        expect(sum(types)).toBe(events);
        expect(activity.events.reduce((a, b) => a + b, 0)).toBe(events);
        expect(activeS + idleS).toBeCloseTo((lastS ?? 0) - (firstS ?? 0), 6);
      }
      const { size } = stats;
      expect((size?.blockBytes ?? 0) + (size?.indexBytes ?? 0)).toBe(reader.bytes);
      expect(size?.rawKeyframeBytes).toBeLessThanOrEqual(size?.rawBytes ?? 0);
    }
  });

  test('of a recording that was never finished are those of its events', async () => {
    const reader = await relayedRecording(4);
    const [whole, torn] = await Promise.all([recordingStats(reader), recordingStats(await unfinished(reader))]);
    expect(torn).toMatchObject({ finished: false, complete: false, events: whole.events, types: whole.types });
    expect(torn.players).toEqual(whole.players);
    expect(torn.pauses).toEqual(whole.pauses);
  });

  test('of an empty recording and of one without states are there', async () => {
    expect(await recordingStats(await recordingOf([]))).toMatchObject({ events: 0, players: [], types: {} });
    const { stats, ann } = await statsOf([step(1, 'jump', {}), step(2, 'jump', {})]);
    expect(ann).not.toHaveProperty('typing');
    expect(ann).not.toHaveProperty('tests');
    expect(stats.tests.points).toEqual([]);
    expect(ann).toMatchObject({ activeS: 1, idleS: 0, firstS: 1, lastS: 2 });
  });

  test('tell how fast a player types, idle time left out', async () => {
    // Ten characters 0.5 s apart; a minute of nothing; a word of four, one of which is taken back; an arrow, a shortcut.
    const word = [..."it's a cat"].map((char, index) => key(index / 2, char));
    const later = ['c', 'a', 't', 'Backspace', 'ArrowLeft', 'Enter'].map((char, index) => key(64.5 + index / 4, char));
    const { ann } = await statsOf([...word, ...later, key(66, 's', ['ctrl']), key(66.25, 'x'.repeat(500))]);
    expect(ann.activeS).toBeCloseTo(4.5 + 1.75, 9);
    expect(ann.idleS).toBe(60);
    expect(ann.typing).toMatchObject({
      ...{ keystrokes: 18, characters: 14, pasted: 500, deletions: 1, otherKeys: 2, deletionsPerKeystroke: 1 / 18 },
      bursts: { count: 2, keystrokesEach: 9, longestKeystrokes: 10, longestS: 4.5 },
    });
    expect(ann.typing?.charactersPerMinute).toBeCloseTo((14 * 60) / 6.25, 9);
    expect(ann.typing?.wordsPerMinute).toBeCloseTo((14 * 60) / 6.25 / 5, 9);
    expect(Math.abs((ann.typing?.intervals.medianS ?? 0) / 0.5 - 1)).toBeLessThan(0.006);
    const patient = await statsOf([...word, ...later], { idleS: 100 });
    expect(patient.ann).toMatchObject({ activeS: 65.75, idleS: 0 });
  });

  test('draw how many tests pass, as they change', async () => {
    const tests = (timestamp: number, type: string, passing: number) =>
      step(timestamp, type, { tests_passing: passing }, { tests_passing: passing, tests_total: 9 });
    const steps = [
      tests(1, 'test_run', 0),
      tests(2, 'test_pass', 3),
      tests(3, 'test_pass', 3),
      tests(4, 'test_fail', 1),
    ];
    const { stats, ann } = await statsOf(steps);
    expect(stats.tests).toEqual({
      thinned: false,
      points: [
        { player: 'ann', timeS: 1, passing: 0, total: 9 },
        { player: 'ann', timeS: 2, passing: 3, total: 9 },
        { player: 'ann', timeS: 4, passing: 1, total: 9 },
      ],
    });
    expect(ann.tests).toEqual({ runs: 1, passes: 2, fails: 1, passing: 1, total: 9, best: 3 });
    // Without a state that says it, the events do.
    const told = await statsOf([step(1, 'test_fail', { tests_passing: 2, tests_total: 5 })]);
    expect(told.stats.tests.points).toEqual([{ player: 'ann', timeS: 1, passing: 2, total: 5 }]);
  });

  test('of a part are those of the events that lie in it', async () => {
    const reader = await relayedRecording(5);
    const all: { player: string; time: number }[] = [];
    for await (const { timestamp, event } of lmspEvents(reader)) all.push({ player: event.player_id, time: timestamp });
    const middle = all.map(({ time }) => time).sort((a, b) => a - b);
    const [from, to] = [middle[100] ?? 0, middle[250] ?? 0];
    const inside = all.filter(({ time }) => time >= from && time < to);
    const stats = await recordingStats(reader, { from, to });
    expect(stats.events).toBe(inside.length);
    expect(stats.size).toBeNull();
    const one = await recordingStats(reader, { from, to, player: 'player-1' });
    expect(one.events).toBe(inside.filter(({ player }) => player === 'player-1').length);
    expect(one.players.map(({ id }) => id)).toEqual(['player-1']);
    await expect(recordingStats(reader, { player: 'nobody' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('player-0, player-1, player-2'),
    });
  });

  test('[R6] stay small whatever is in the recording', async () => {
    const steps = Array.from({ length: 6_000 }, (_, index) =>
      step(index * 100, `type-${index}`, {}, { tests_passing: index, tests_total: 10 }),
    );
    const { stats, ann } = await statsOf(steps);
    expect(Object.keys(stats.types).length).toBeLessThanOrEqual(257);
    expect(sum(stats.types)).toBe(6_000);
    expect(stats.tests.thinned).toBe(true);
    expect(stats.tests.points.length).toBeLessThanOrEqual(MAX_CURVE_POINTS + 1);
    expect(stats.tests.points[0]).toMatchObject({ passing: 0 });
    expect(stats.tests.points.at(-1)).toMatchObject({ passing: 5_999 });
    expect(ann.activity.events.length).toBeLessThanOrEqual(60);
    expect(JSON.stringify(stats).length).toBeLessThan(64 * 1024);
  });

  test('are the same for a recording that diff calls equal', async () => {
    const reader = await relayedRecording(6);
    const again = await relayedRecording(6);
    expect(await diffRecordings(reader, again)).toMatchObject({ equal: true });
    expect(await recordingStats(again)).toEqual(await recordingStats(reader));
  });

  test('take a clock that goes back, and times of any size, as they come', async () => {
    const { ann } = await statsOf([key(10, 'a'), key(4, 'b'), key(11, 'c'), key(2 ** 50 / 1e6, 'd')], { idleS: 5 });
    expect(ann.activeS).toBe(1);
    expect(ann.idleS).toBeCloseTo(2 ** 50 / 1e6 - 11, 3);
    expect(ann.activity.events.reduce((a, b) => a + b, 0)).toBe(4);
  });
});

describe('the parts of stats', () => {
  test('[R6] a histogram tells quantiles to 0.6 %, whatever the order', () => {
    const random = seededRandom(5);
    const values = Array.from({ length: 5_000 }, () => Math.exp(random() * 18));
    const [forwards, backwards] = [new LogHistogram(), new LogHistogram()];
    for (const value of values) forwards.add(value);
    for (const value of values.toReversed()) backwards.add(value);
    const sorted = values.toSorted((a, b) => a - b);
    for (const fraction of [0.01, 0.5, 0.9, 1]) {
      const exact = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? 0;
      expect(Math.abs((forwards.quantile(fraction) ?? 0) / exact - 1)).toBeLessThan(0.006);
      expect(backwards.quantile(fraction)).toBe(forwards.quantile(fraction));
    }
    expect(new LogHistogram().quantile(0.5)).toBeNull();
  });

  test('[R6] a curve keeps its first and last points and few between, evenly', () => {
    for (const length of [0, 1, 256, 257, 258, 10_000]) {
      const curve = new ThinnedCurve<number>();
      for (let point = 0; point < length; point++) curve.push(point);
      const points = curve.points();
      expect(points.length).toBeLessThanOrEqual(MAX_CURVE_POINTS + 1);
      expect([points[0], points.at(-1)]).toEqual(length === 0 ? [undefined, undefined] : [0, length - 1]);
      const steps = new Set(points.slice(1, -1).map((point, index) => point - (points[index] ?? 0)));
      expect(steps.size).toBeLessThanOrEqual(1);
    }
  });
});
