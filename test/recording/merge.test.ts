import {
  BytesSink,
  BytesSource,
  JSON_PROFILE,
  LMSP_PROFILE,
  makeRecordingId,
  RecordingReader,
  RecordingWriter,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutRecording } from '../../server/dist/recording/cut-recording.js';
import { type MergeOptions, mergeRecordings } from '../../server/dist/recording/merge-recordings.js';
import { redactRecording } from '../../server/dist/redaction/redact-recording.js';
import { anySession, expectIntact, newId, open, sessionBytes, statesAt, stepsOf } from '../support/edited-recording.ts';
import { WrittenSession } from '../support/written-session.ts';

async function cut(bytes: Uint8Array, from: number | undefined, to: number | undefined, id = 20): Promise<Uint8Array> {
  const sink = new BytesSink();
  const range = {
    ...(from !== undefined && { from: { seconds: from } }),
    ...(to !== undefined && { to: { seconds: to } }),
  };
  await cutRecording(await open(bytes), sink, { recordingId: newId(id), ...range });
  return sink.bytes();
}

async function merge(parts: readonly Uint8Array[], options: Partial<MergeOptions> = {}) {
  const sink = new BytesSink();
  const readers = await Promise.all(
    parts.map((bytes, at) => RecordingReader.open(new BytesSource(bytes, `part ${at}`))),
  );
  const result = await mergeRecordings(readers, sink, { recordingId: newId(), ...options });
  return { ...result, bytes: sink.bytes() };
}

async function expectSame(bytes: Uint8Array, original: Uint8Array): Promise<void> {
  await expectIntact(bytes);
  expect(await stepsOf(bytes)).toEqual(await stepsOf(original));
  const [one, other] = [await open(bytes), await open(original)];
  expect({ ...one.summary, digest: '' }).toEqual({ ...other.summary, digest: '' });
  expect([one.checkpoints, one.gaps, one.producers, one.meta.createdAt]).toEqual([
    other.checkpoints,
    other.gaps,
    other.producers,
    other.meta.createdAt,
  ]);
}

async function typing(player: string, text: string, meta: Record<string, number | string> = {}): Promise<Uint8Array> {
  const session = new WrittenSession(JSON_PROFILE, { [player]: { code: '' } }, meta);
  for (const [at, char] of [...text].entries()) {
    await session.add(
      player,
      { type: 'keystroke', data: { char, modifiers: [] } },
      { key: 'code', edit: { at, remove: 0, insert: char } },
    );
  }
  await session.add(player, { type: 'checkpoint', data: { name: `${player} is done` } });
  return session.finish();
}

describe('merge', () => {
  const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 3 });

  test('[T3] the parts of a recording give the recording again, in any order, also where they overlap', async () => {
    await fc.assert(
      fc.asyncProperty(anySession, fc.boolean(), fractions, fc.nat({ max: 3 }), async (options, exact, at, turn) => {
        const bytes = await sessionBytes({ ...options, exact });
        const duration = (await open(bytes)).durationUs / 1e6;
        const places = [...at].sort((a, b) => a - b).map((fraction) => Math.round(fraction * duration * 1e6) / 1e6);
        const parts: Uint8Array[] = [];
        for (const [i, from] of [undefined, ...places].entries()) parts.push(await cut(bytes, from, places[i], 20 + i));
        const turned = [...parts.slice(turn), ...parts.slice(0, turn)];
        const merged = await merge(turned);
        await expectSame(merged.bytes, bytes);
        expect([merged.repeated, merged.losses]).toEqual([0, []]);
        expect((await merge(turned.reverse())).bytes).toEqual(merged.bytes);

        const overlapping = [
          await cut(bytes, places[0], undefined),
          await cut(bytes, undefined, places.at(-1), 21),
          bytes,
        ];
        const all = await merge(overlapping);
        await expectSame(all.bytes, bytes);
        expect(all.repeated).toBeGreaterThanOrEqual((await stepsOf(bytes)).length);
      }),
      { numRuns: 25 },
    );
  });

  test('[W6] what is in no part is a gap, and what comes after it is right', async () => {
    const bytes = await sessionBytes({ profile: LMSP_PROFILE, seed: 21, entries: 900, players: 2 });
    const duration = (await open(bytes)).durationUs / 1e6;
    const [a, b] = [Math.round(duration * 3e5) / 1e6, Math.round(duration * 6e5) / 1e6];
    const merged = await merge([await cut(bytes, b, undefined), await cut(bytes, undefined, a, 21)]);
    await expectIntact(merged.bytes);
    expect(merged.summary.complete).toBe(false);
    expect(merged.losses.length).toBeGreaterThan(0);
    expect(merged.losses.join()).toContain('none of the recordings has that');
    const steps = await stepsOf(bytes);
    const inside = (shown: number) => shown < a || shown >= b;
    const ids = (all: typeof steps) => all.map(({ seq, pseq, state, data }) => ({ seq, pseq, state, data }));
    expect(ids(await stepsOf(merged.bytes))).toEqual(ids(steps.filter(({ shown }) => inside(shown))));
    const missing = steps.filter(({ shown, stamp }) => !inside(shown) && stamp !== null).length;
    const sum = (summary: typeof merged.summary | undefined) =>
      (summary?.players ?? []).reduce((all, { received }) => all + received, 0);
    expect(sum(merged.summary)).toBe(sum((await open(bytes)).summary) - missing);
    // And a merge with holes can be cut, merged and redacted in turn.
    const half = Math.round(duration * 4.5e5) / 1e6;
    const again = await merge([await cut(merged.bytes, half, undefined), await cut(merged.bytes, undefined, half, 21)]);
    await expectIntact(again.bytes);
    expect(ids(await stepsOf(again.bytes))).toEqual(ids(await stepsOf(merged.bytes)));
    const sink = new BytesSink();
    await redactRecording(await open(merged.bytes), sink, {
      recordingId: newId(8),
      at: 1,
      player: 'player-0',
      name: 'p',
    });
    await expectIntact(sink.bytes());
  });

  test('recordings that were made apart come where the clock said, or begin together', async () => {
    const ann = await typing('ann', 'abc', { recordingId: newId(2) });
    const bob = await typing('bob', 'xyz', { recordingId: newId(3), createdAt: 1_700_000_000.0015 });
    const merged = await merge([bob, ann]);
    await expectIntact(merged.bytes);
    expect(merged.offsetsS).toEqual([0.0015, 0]);
    const typed = (steps: Awaited<ReturnType<typeof stepsOf>>) => steps.map(({ data }) => data?.char ?? data?.name);
    expect(typed(await stepsOf(merged.bytes))).toEqual(['a', 'b', 'x', 'c', 'y', 'ann is done', 'z', 'bob is done']);
    expect((await stepsOf(merged.bytes)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await open(merged.bytes)).checkpoints.map(({ eventIndex }) => eventIndex)).toEqual([5, 7]);
    expect((await merge([ann, bob])).bytes).toEqual(merged.bytes);
    const together = await merge([bob, ann], { align: 'start' });
    await expectIntact(together.bytes);
    expect(typed(await stepsOf(together.bytes))).toEqual(['a', 'x', 'b', 'y', 'c', 'z', 'ann is done', 'bob is done']);
    expect(await statesAt(together.bytes, 9)).toEqual({ ann: { code: 'abc' }, bob: { code: 'xyz' } });
  });

  test('a player who starts over in another recording is another producer', async () => {
    const first = await typing('ann', 'abc', { recordingId: newId(2) });
    const second = await typing('ann', 'xy', { recordingId: newId(3), createdAt: 1_700_000_060 });
    const merged = await merge([second, first]);
    await expectIntact(merged.bytes);
    const { producers, summary } = await open(merged.bytes);
    expect([...producers.values()].map(({ player, instance }) => [player, instance])).toEqual([
      ['ann', 'of-ann'],
      ['ann', 'of-ann~2'],
    ]);
    expect(summary?.players).toEqual([{ id: 'ann', events: 7, expected: 7, received: 7, gaps: [] }]);
    expect(await statesAt(merged.bytes, 99)).toEqual({ ann: { code: 'xy' } });
  });

  test('copies that say different things of one event are refused', async () => {
    const one = await typing('ann', 'abc');
    const other = await typing('ann', 'abd');
    await expect(merge([one, other])).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('event number 3'),
    });
  });

  test('other rooms and profiles are refused, rooms unless they get a name', async () => {
    const one = await typing('ann', 'a', { recordingId: newId(2) });
    const other = await typing('bob', 'b', { recordingId: newId(3), room: 'elsewhere' });
    await expect(merge([one, other])).rejects.toMatchObject({ hint: expect.stringContaining('--room') });
    const named = await merge([one, other], { room: 'both' });
    expect((await open(named.bytes)).meta).toMatchObject({
      room: 'both',
      source: [{ verb: 'merge' }, { verb: 'merge' }],
    });
    const lmsp = await new WrittenSession(LMSP_PROFILE, {}, { recordingId: newId(4) }).finish();
    await expect(merge([one, lmsp], { room: 'both' })).rejects.toMatchObject({ code: 'PROFILE_MISMATCH' });
  });

  test('[R5] records of unknown types are kept, once', async () => {
    const sink = new BytesSink();
    const meta = { recordingId: makeRecordingId(1, new Uint8Array(10)), room: 'r', profile: 'json', createdAt: 1 };
    const writer = new RecordingWriter(sink, meta);
    writer.addUnknown({ type: 99, bytes: Uint8Array.of(1, 2, 3) });
    await writer.finish();
    const merged = await merge([sink.bytes(), await cut(sink.bytes(), undefined, undefined)]);
    const { content } = await (await open(merged.bytes)).readBlock(0);
    expect(content.unknown.map(({ type, bytes }) => [type, [...bytes]])).toEqual([[99, [1, 2, 3]]]);
    const redacted = new BytesSink();
    const options = { recordingId: newId(), at: 1, patterns: { literals: ['x'], expressions: [], ignoreCase: false } };
    const { losses } = await redactRecording(await open(merged.bytes), redacted, options);
    expect(losses).toHaveLength(1);
    expect((await (await open(redacted.bytes())).readBlock(0)).content.unknown).toEqual([]);
  });
});
