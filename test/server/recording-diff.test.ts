import { type DiffOptions, diffRecordings, type RecordingDiff } from '@gametape/server';
import type { Json, JsonObject, RecordingReader } from '@gametape/shared';
import type { ImportedStep } from '@gametape/shared/lmsp';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demoRecording } from '../cli/demo-recording.ts';
import { anyData, anyStateEdit, editState } from '../support/arbitraries.ts';
import { recordingOf, relayedRecording, throughText, unfinished } from '../support/imported-recording.ts';
import { seededRandom } from '../support/seeded-random.ts';

const PLAYERS = ['ann', 'bob', 'eve'] as const;
const TYPES = ['keystroke', 'move', 'jump'] as const;
const OPPOSITE: Readonly<Record<string, string>> = { removed: 'added', added: 'removed' };
const RUNS = { numRuns: 40 };

/** A session in which no two events share a time, and every state is its own. */
const anySession: fc.Arbitrary<ImportedStep[]> = fc
  .array(
    fc.record({
      player: fc.constantFrom(...PLAYERS),
      type: fc.constantFrom(...TYPES),
      data: anyData,
      afterUs: fc.integer({ min: 1, max: 3_000_000 }),
      edit: anyStateEdit,
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((moves) => {
    const states = new Map<string, JsonObject>();
    let timeUs = 0;
    return moves.map(({ player, type, data, afterUs, edit }) => {
      timeUs += afterUs;
      const state = editState(states.get(player) ?? { score: 0 }, edit);
      states.set(player, state);
      return { timestamp: timeUs / 1e6, player, event: { type, data }, state };
    });
  });

/** `count` keystrokes of one player, a second apart. */
function typed(count: number, { player = 'ann', from = 0 } = {}): ImportedStep[] {
  const random = seededRandom(1);
  return Array.from({ length: count }, (_, index) => ({
    timestamp: from + index,
    player,
    event: { type: 'keystroke', data: { char: String.fromCharCode(97 + Math.floor(random() * 26)) } },
    state: { code: index },
  }));
}

/** Compares, and checks what must hold of any comparison. */
async function diff(a: RecordingReader, b: RecordingReader, options: DiffOptions = {}): Promise<RecordingDiff> {
  const found = await diffRecordings(a, b, options);
  const { equal, changed, retimed, removed, added } = found.events;
  expect(equal + changed + retimed + removed).toBe(found.events.a);
  expect(equal + changed + retimed + added).toBe(found.events.b);
  expect(found.equal).toBe(found.differenceCount === 0);
  const back = await diffRecordings(b, a, options);
  expect(summaryOf(back)).toEqual(swapped(summaryOf(found)));
  return found;
}

async function diffSteps(a: readonly ImportedStep[], b: readonly ImportedStep[], options?: DiffOptions) {
  const durationS = Math.max(0, ...[...a, ...b].map(({ timestamp }) => timestamp));
  return diff(await recordingOf(a, { durationS }), await recordingOf(b, { durationS }), options);
}

function hasHugeNumber(steps: readonly ImportedStep[]): boolean {
  let isFound = false;
  JSON.stringify(steps, (_, value: Json) => {
    isFound ||= typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
    return value;
  });
  return isFound;
}

/** Each difference in a word or two, in an order of its own. */
function summaryOf({ differences, differenceCount, events, states }: RecordingDiff) {
  const words = differences.map((difference) => {
    const { kind } = difference;
    if (kind === 'header') return `header ${difference.key}`;
    if (kind === 'removed' || kind === 'added') return `${kind} ${difference.player} ${difference.event.timeS}`;
    return kind;
  });
  const { removed, added, order: _, a, b, ...both } = events;
  return { words: words.sort(), differenceCount, states, both, removed, added, a, b };
}

function swapped({ words, removed, added, a, b, ...rest }: ReturnType<typeof summaryOf>) {
  const others = words.map((word) => word.replace(/^(removed|added)/, (kind) => OPPOSITE[kind] as string));
  return { ...rest, words: others.sort(), removed: added, added: removed, a: b, b: a };
}

function withoutHeader({ differences }: RecordingDiff) {
  return differences.filter(({ kind }) => kind !== 'header');
}

describe('diff of recordings that hold the same', () => {
  test('is empty for any recording and itself', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, async (steps) => {
        const found = await diffSteps(steps, steps, { order: true });
        expect(found).toMatchObject({ equal: true, differences: [], events: { equal: steps.length } });
      }),
      RUNS,
    );
  });

  test('[L2] is empty for a recording and what it was converted to', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, fc.constantFrom('json' as const, 'ndjson' as const), async (steps, format) => {
        // The importers refuse whole numbers that may have been rounded on the way.
        fc.pre(!hasHugeNumber(steps));
        const reader = await recordingOf(steps);
        expect((await diff(reader, await throughText(reader, format))).differences).toEqual([]);
      }),
      RUNS,
    );
  });

  test('[L2] is empty for a session of a relay and its ndjson: instances, gaps and entries without events', async () => {
    for (const seed of [1, 2, 3]) {
      const reader = await relayedRecording(seed);
      expect(await diff(reader, reader)).toMatchObject({ equal: true });
      expect((await diff(reader, await throughText(reader, 'ndjson'))).differences).toEqual([]);
    }
  });

  test('[L2] of a session of a relay and its JSON finds only what came after the last events', async () => {
    for (const seed of [1, 2, 3]) {
      const reader = await relayedRecording(seed);
      const { differences } = await diff(reader, await throughText(reader, 'json'));
      expect(differences.filter(({ kind }) => kind !== 'final')).toEqual([]);
    }
  });

  test('[L2] is empty for an LMSP session in every format', async () => {
    const { events, checkpoints } = demoRecording(3) as ReturnType<typeof demoRecording> & {
      checkpoints: Record<string, number>;
    };
    const names = Object.entries(checkpoints);
    const steps = events.map(({ timestamp, event, game_state }, index): ImportedStep => {
      const { type, player_id: player, data } = event;
      const here = names.filter(([, at]) => at === index).map(([name]) => name);
      return { timestamp, player, event: { type, data }, state: game_state, checkpoints: here };
    });
    const reader = await recordingOf(steps, { profile: 'lmsp', durationS: 60.25 });
    for (const format of ['json', 'ndjson'] as const) {
      expect((await diff(reader, await throughText(reader, format))).differences).toEqual([]);
    }
  });

  test('takes a recording that was never finished for what it is', async () => {
    const reader = await relayedRecording(7);
    const found = await diff(reader, await unfinished(reader));
    expect(found.differences).toMatchObject([{ kind: 'header', key: 'complete' }].slice(0, found.differenceCount));
    expect(found.events.equal).toBe(found.events.a);
  });

  test('is empty for two empty recordings', async () => {
    expect(await diffSteps([], [])).toMatchObject({ equal: true, events: { a: 0, b: 0 } });
    expect((await diffSteps([], typed(3))).events).toMatchObject({ added: 3, removed: 0, equal: 0 });
  });
});

describe('diff after one change', () => {
  const anyPlace = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

  test('finds exactly the event that was taken out, and nothing else when it was put in', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, anyPlace, async (steps, place) => {
        const at = Math.floor(place * steps.length);
        const gone = steps[at] as ImportedStep;
        fc.pre(steps.filter(({ player }) => player === gone.player).length > 1);
        // Its state change would show in the next event's: it is left to that.
        const found = await diffSteps(steps, steps.toSpliced(at, 1));
        const [first, ...others] = withoutHeader(found).filter(({ kind }) => kind !== 'final');
        expect(first).toMatchObject({ kind: 'removed', player: gone.player, events: 1, event: { index: at } });
        expect(others).toEqual([]);
      }),
      RUNS,
    );
  });

  test.each<[string, (step: ImportedStep) => ImportedStep, object]>([
    ['data', (step) => ({ ...step, event: { type: step.event?.type ?? '', data: { other: 1 } } }), { kind: 'changed' }],
    ['type', (step) => ({ ...step, event: { type: 'other', data: step.event?.data ?? {} } }), { kind: 'changed' }],
    ['time', (step) => ({ ...step, timestamp: step.timestamp + 4e-7 }), { kind: 'time', events: 1 }],
    ['state', (step) => ({ ...step, state: { ...step.state, other: 1 } }), { kind: 'state', keys: [{ key: 'other' }] }],
  ])('finds exactly the event whose %s was changed', async (_, change, expected) => {
    await fc.assert(
      fc.asyncProperty(anySession, anyPlace, async (steps, place) => {
        const at = Math.floor(place * steps.length);
        const changed = change(steps[at] as ImportedStep);
        const found = withoutHeader(await diffSteps(steps, steps.with(at, changed)));
        expect(found).toMatchObject([{ ...expected, player: changed.player, a: { index: at } }]);
      }),
      RUNS,
    );
  });

  test('tells a state that differs once, with where it begins and ends', async () => {
    const steps = typed(50);
    const other = steps.map((step, index) =>
      index < 10 || index >= 30 ? step : { ...step, state: { ...step.state, extra: 'x' } },
    );
    const { differences, states } = await diffSteps(steps, other);
    expect(differences).toEqual([
      {
        kind: 'state',
        player: 'ann',
        a: { index: 10, timeS: 10, type: 'keystroke' },
        b: { index: 10, timeS: 10, type: 'keystroke' },
        keys: [{ key: 'extra', a: null, b: '"x"' }],
        until: { index: 30, timeS: 30, type: 'keystroke' },
      },
    ]);
    expect(states).toEqual({ compared: 50, different: 20 });
  });

  test('passes any number of missing events', async () => {
    const steps = typed(3_000);
    const found = await diffSteps(steps, steps.toSpliced(700, 2_000));
    expect(found.differences).toMatchObject([
      { kind: 'removed', event: { index: 700, timeS: 700 }, events: 2_000, untilS: 2_699 },
    ]);
    expect(found.events).toMatchObject({ equal: 1_000, removed: 2_000, added: 0, changed: 0, retimed: 0 });
  });

  test('tells a shift of all times once', async () => {
    const found = await diffSteps(typed(500), typed(500, { from: 0.25 }));
    expect(found.differences).toMatchObject([{ kind: 'time', events: 500, minS: 0.25, maxS: 0.25 }]);
  });

  test('shows long texts around where they differ', async () => {
    const [before, after] = ['x'.repeat(500), 'y'.repeat(500)];
    const make = (word: string): ImportedStep[] => [
      { timestamp: 0, player: 'ann', event: { type: 'move', data: {} }, state: { code: `${before}${word}${after}` } },
    ];
    const { differences } = await diffSteps(make('one'), make('two'));
    expect(differences).toMatchObject([{ kind: 'state', keys: [{ key: 'code', at: 500 }] }]);
    const [first] = differences;
    const [key] = first?.kind === 'state' ? first.keys : [];
    expect(key?.a).toMatch(/^…"x+oney+"…$/);
    expect(key?.b).toMatch(/^…"x+twoy+"…$/);
  });
});

describe('diff with options', () => {
  const steps = typed(40);

  test('--times: within a tolerance, or not at all', async () => {
    const later = steps.map((step, index) => ({ ...step, timestamp: step.timestamp + (index % 5) / 100 }));
    expect((await diffSteps(steps, later)).events.retimed).toBe(32);
    expect(await diffSteps(steps, later, { toleranceS: 0.04 })).toMatchObject({ equal: true });
    expect((await diffSteps(steps, later, { toleranceS: 0.03 })).events.retimed).toBe(8);
    const slow = steps.map((step) => ({ ...step, timestamp: step.timestamp * 3 }));
    expect(await diffSteps(steps, slow, { toleranceS: Number.POSITIVE_INFINITY })).toMatchObject({ equal: true });
  });

  test('--times ignore still finds a missing event', async () => {
    const rest = steps.toSpliced(20, 1).map((step) => ({ ...step, timestamp: step.timestamp * 2 }));
    const { differences } = await diffSteps(steps, rest, { toleranceS: Number.POSITIVE_INFINITY });
    expect(differences).toMatchObject([{ kind: 'removed', event: { index: 20 }, events: 1 }]);
  });

  test('--ignore leaves out state keys, fields of data and header facts', async () => {
    const other = steps.map((step) => ({
      ...step,
      event: { type: 'keystroke', data: { ...step.event?.data, ms: 1 } as JsonObject },
      state: { ...step.state, volume: step.timestamp as Json },
    }));
    const [a, b] = [await recordingOf(steps), await recordingOf(other, { durationS: 100 })];
    expect(await diff(a, b, { ignore: ['ms', 'volume', 'duration'] })).toMatchObject({ equal: true });
    expect(await diff(a, b, { ignore: ['ms'] })).toMatchObject({ differenceCount: 2 });
  });

  test('--limit lists so many and counts all, the header first', async () => {
    const other = steps.map((step) => ({ ...step, event: { type: 'keystroke', data: {} } }));
    const [a, b] = [await recordingOf(steps), await recordingOf(other, { durationS: 100 })];
    const found = await diff(a, b, { limit: 3 });
    expect(found.differenceCount).toBe(41);
    expect(found.differences.map(({ kind }) => kind)).toEqual(['header', 'changed', 'changed']);
    expect(await diff(a, b, { limit: 0 })).toMatchObject({ equal: false, differences: [], differenceCount: 41 });
  });

  test('--order: the order among players counts only when asked for', async () => {
    const both = [...typed(40), ...typed(40, { player: 'bob' })].sort((x, y) => x.timestamp - y.timestamp);
    const other = [...typed(40, { player: 'bob' }), ...typed(40)].sort((x, y) => x.timestamp - y.timestamp);
    expect(await diffSteps(both, other)).toMatchObject({ equal: true, events: { order: 40 } });
    const { differences } = await diffSteps(both, other, { order: true });
    expect(differences).toEqual([{ kind: 'order', events: 40 }]);
  });

  test('a checkpoint at another event, or of another name, is a difference of the header', async () => {
    const named = (at: number, name: string) =>
      steps.map((step, index) => (index === at ? { ...step, checkpoints: [name] } : step));
    expect((await diffSteps(named(5, 'x'), named(6, 'x'))).differences).toMatchObject([
      { kind: 'header', key: 'checkpoint x', a: expect.stringContaining('5'), b: expect.stringContaining('6') },
    ]);
    expect((await diffSteps(named(5, 'x'), named(5, 'y'))).differences).toMatchObject([
      { kind: 'header', key: 'checkpoints', a: '["x"]', b: '["y"]' },
    ]);
    expect(await diffSteps(named(5, 'x'), named(5, 'x').toSpliced(2, 1))).toMatchObject({ differenceCount: 1 });
  });
});

describe('diff of recordings that have little in common', () => {
  test('[R6] waits in bounded memory when one has its players one after another', async () => {
    const count = 9_000;
    const at = (player: string, from: number) => typed(count, { player, from });
    const a = [...at('ann', 0), ...at('bob', count)];
    const b = [...at('bob', 0), ...at('ann', count)];
    const found = await diffRecordings(await recordingOf(a), await recordingOf(b), {
      toleranceS: Number.POSITIVE_INFINITY,
    });
    expect(found.events).toMatchObject({ a: 2 * count, b: 2 * count });
    expect(found.events.equal).toBeGreaterThan(count);
  });

  test('ends, and counts every event, whatever the two are', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, anySession, fc.boolean(), async (a, b, isTimeless) => {
        await diffSteps(a, b, { ...(isTimeless && { toleranceS: Number.POSITIVE_INFINITY }) });
      }),
      RUNS,
    );
  });
});
