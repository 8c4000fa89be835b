import { BytesSink, JSON_PROFILE, LMSP_PROFILE } from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CutOptions, type CutResult, cutRecording } from '../../server/dist/recording/cut-recording.js';
import {
  anySession,
  expectIntact,
  newId,
  open,
  type SeenStep,
  sessionBytes,
  statesAt,
  stepsOf,
} from '../support/edited-recording.ts';

type Range = Pick<CutOptions, 'from' | 'to'>;

async function cut(bytes: Uint8Array, range: Range, id = newId()): Promise<CutResult & { bytes: Uint8Array }> {
  const sink = new BytesSink();
  const result = await cutRecording(await open(bytes), sink, { recordingId: id, ...range });
  return { ...result, bytes: sink.bytes() };
}

function seconds(from: number | undefined, to?: number): Range {
  return { ...(from !== undefined && { from: { seconds: from } }), ...(to !== undefined && { to: { seconds: to } }) };
}

/** Times as close as a float can tell. */
function moved(steps: readonly SeenStep[], from: number): unknown[] {
  return steps.map(({ shown, ...step }) => ({ ...step, shown: Math.round((shown - from) * 1e9) }));
}

const fractions = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }));

/** Whole microseconds within the recording, in order; often exactly the time of an event. */
function rangeOf(steps: readonly SeenStep[], duration: number, [a, b]: readonly [number, number]): [number, number] {
  const timeAt = (fraction: number) => {
    const step = steps[Math.floor(fraction * steps.length)];
    if (step && Math.round(fraction * 1e6) % 2 === 0) return Math.round(step.shown * 1e6) / 1e6;
    return Math.round(fraction * duration * 1e6) / 1e6;
  };
  return [timeAt(a), timeAt(b)].sort((one, other) => one - other) as [number, number];
}

describe('cut', () => {
  test('[R1] a part holds the events of its range, with the states they had, and verifies', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, fc.boolean(), fractions, async (options, exact, at) => {
        const bytes = await sessionBytes({ ...options, exact });
        const original = await open(bytes);
        const steps = await stepsOf(bytes);
        const [from, to] = rangeOf(steps, original.durationUs / 1e6, at);
        const part = await cut(bytes, seconds(from, to));
        await expectIntact(part.bytes);
        const first = steps.findIndex(({ shown }) => shown >= from);
        const inside = first < 0 ? [] : steps.slice(first);
        const end = inside.findIndex(({ shown }) => shown >= to);
        expect(moved(await stepsOf(part.bytes), 0)).toEqual(moved(end < 0 ? inside : inside.slice(0, end), from));
        const reader = await open(part.bytes);
        expect(reader.meta).toMatchObject({
          recordingId: newId(),
          room: 'room',
          source: [{ verb: 'cut', recordingId: newId(1) }],
        });
        // Before `to`: at `to` itself the original may have more.
        for (const t of [0, (to - from) / 3, to - from - 1e-6]) {
          if (t < 0 || t >= to - from) continue;
          expect(await statesAt(part.bytes, t)).toEqual(await statesAt(bytes, from + t));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('[R4] checkpoints inside of the part keep their hashes, those outside are gone', async () => {
    const bytes = await sessionBytes({ profile: LMSP_PROFILE, seed: 11, entries: 3_000, players: 3 });
    const original = await open(bytes);
    const clock = original.playClock();
    const [from, to] = [original.checkpoints[3], original.checkpoints.at(-5)];
    const part = await cut(bytes, { from: { checkpoint: from?.name ?? '' }, to: { checkpoint: to?.name ?? '' } });
    await expectIntact(part.bytes);
    const start = clock.playTime(from?.time ?? 0);
    const inside = original.checkpoints.filter(({ time }) => {
      return clock.playTime(time) >= start && clock.playTime(time) < clock.playTime(to?.time ?? 0);
    });
    expect(inside.length).toBeGreaterThan(20);
    const own = await open(part.bytes);
    const times = own.playClock();
    expect(own.checkpoints.map(({ name, hashes, time }) => [name, hashes, times.playTime(time)])).toEqual(
      inside.map(({ name, hashes, time }) => [name, hashes, clock.playTime(time) - start]),
    );
    const names = (await stepsOf(part.bytes)).filter(({ type }) => type).map(({ data }) => data?.name);
    for (const { name, eventIndex } of own.checkpoints) expect(names[eventIndex]).toBe(name);
  });

  test('a cut of a cut is that cut, and a cut of everything is the recording', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, fractions, fractions, async (options, outer, inner) => {
        const bytes = await sessionBytes(options);
        const [from, to] = rangeOf(await stepsOf(bytes), (await open(bytes)).durationUs / 1e6, outer);
        const part = await cut(bytes, seconds(from, to));
        const [a, b] = rangeOf(await stepsOf(part.bytes), (await open(part.bytes)).durationUs / 1e6, inner);
        const us = (s: number) => Math.round(s * 1e6) / 1e6;
        const nested = await cut(part.bytes, seconds(a, b));
        const direct = await cut(bytes, seconds(us(from + a), us(from + b)));
        await expectIntact(nested.bytes);
        expect(await stepsOf(nested.bytes)).toEqual(await stepsOf(direct.bytes));
        const [one, other] = [await open(nested.bytes), await open(direct.bytes)];
        expect({ ...one.meta, createdAt: 0 }).toEqual({ ...other.meta, createdAt: 0 });
        expect(one.meta.createdAt).toBeCloseTo(other.meta.createdAt, 5);
        expect({ ...one.summary, endedAt: 0, digest: '' }).toEqual({ ...other.summary, endedAt: 0, digest: '' });

        const whole = await cut(bytes, {});
        await expectIntact(whole.bytes);
        expect(await stepsOf(whole.bytes)).toEqual(await stepsOf(bytes));
        const [all, original] = [await open(whole.bytes), await open(bytes)];
        expect({ ...all.summary, digest: '' }).toEqual({ ...original.summary, digest: '' });
        expect([all.checkpoints, all.gaps, [...all.producers]]).toEqual([
          original.checkpoints,
          original.gaps,
          [...original.producers],
        ]);
      }),
      { numRuns: 25 },
    );
  });

  test('[W6] gaps and what is missing at the end belong to the part that they fall into', async () => {
    const bytes = await sessionBytes({ profile: JSON_PROFILE, seed: 5, entries: 3_000, players: 3 });
    const original = await open(bytes);
    const middle = Math.round(original.durationUs / 2) / 1e6;
    const [one, other] = [await cut(bytes, seconds(undefined, middle)), await cut(bytes, seconds(middle))];
    expect(original.gaps.length).toBeGreaterThan(10);
    const [a, b] = [await open(one.bytes), await open(other.bytes)];
    expect([...a.gaps, ...b.gaps]).toEqual(original.gaps);
    expect(Math.min(a.gaps.length, b.gaps.length)).toBeGreaterThan(3);
    for (const player of original.summary?.players ?? []) {
      const parts = [a, b].flatMap(({ summary }) => summary?.players.filter(({ id }) => id === player.id) ?? []);
      const sum = (count: 'events' | 'received') => parts.reduce((all, part) => all + part[count], 0);
      expect([sum('events'), sum('received')]).toEqual([player.events, player.received]);
      const missing = parts.map(({ gaps }) => gaps.reduce((all, [first, last]) => all + last - first + 1, 0));
      const atEnd = { 'player-0': 0, 'player-1': 2, 'player-2': null }[player.id] as number | null;
      expect(parts.map(({ expected }) => expected)).toEqual([
        (parts[0]?.received ?? 0) + (missing[0] ?? 0),
        atEnd === null ? null : (parts[1]?.received ?? 0) + (missing[1] ?? 0) + atEnd,
      ]);
    }
  });
});
