import { type EventFilter, openRecording, type Tape, type TapeEvent } from '@gametape/client-sdk';
import {
  BytesSink,
  encodeFileHeader,
  FOOTER_BYTES,
  JSON_PROFILE,
  LMSP_PROFILE,
  makeRecordingId,
  PORTABLE_COMPRESSION,
  type Profile,
  RecordingWriter,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RecordedStep, recordSession } from '../support/recorded-session.ts';

describe('the events of a tape', () => {
  test('[R3] are those that were recorded, each with its state, whatever is asked for', async () => {
    const anyAsk = fc.record({
      seed: fc.nat({ max: 500 }),
      profile: fc.constantFrom(JSON_PROFILE, LMSP_PROFILE),
      isFinished: fc.boolean(),
      who: fc.constantFrom<EventFilter>({}, { player: 'player-0' }, { player: 'player-1' }, { player: 'nobody' }),
      what: fc.constantFrom<EventFilter>({}, { type: 'keystroke' }, { type: 'checkpoint' }, { type: 'speed_change' }),
      span: fc.option(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
        {
          nil: undefined,
        },
      ),
      every: fc.integer({ min: 1, max: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(anyAsk, async ({ seed, profile, isFinished, who, what, span, every }) => {
        const { bytes, steps } = await recorded(profile, seed);
        const tape = await openRecording(isFinished ? bytes : unfinished(bytes));
        const all = await eventsOf(tape);
        const expected = steps.filter(({ event }) => event);
        expect(all.map(({ index, seq, type, data }) => ({ index, seq, type, data }))).toEqual(
          expected.map(({ entry, event }, index) => ({ index, seq: entry.seq, ...event })),
        );
        const [from, to] = (span ?? []).map((part) => all[Math.floor(part * (all.length - 1))]?.time ?? 0);
        const filter = { ...(from !== undefined && { from }), ...(to !== undefined && { to }), ...who, ...what };
        const end = all.findIndex(({ time }) => to !== undefined && time >= to);
        const wanted = all
          .slice(0, end < 0 ? all.length : end)
          .filter(({ time }) => from === undefined || time >= from)
          .filter((event) => (who.player ?? event.player) === event.player && (what.type ?? event.type) === event.type);
        let seen = 0;
        for await (const event of tape.events(filter)) {
          const same = wanted[seen++];
          expect({ ...event }).toEqual({ ...same });
          if (event.index % every === 0) expect(event.state).toEqual(expected[event.index]?.state ?? {});
        }
        expect(seen).toBe(wanted.length);
        await tape.close();
      }),
      { numRuns: 60 },
    );
  });

  test('calls that are made at once are answered in order, and after the end with the end', async () => {
    const { bytes } = await recorded(JSON_PROFILE, 3);
    const tape = await openRecording(bytes);
    const all = (await eventsOf(tape)).map(({ seq }) => seq);
    const events = tape.events();
    const answers = await Promise.all(Array.from({ length: all.length + 3 }, () => events.next()));
    expect(answers.map(({ value }) => value?.seq)).toEqual([...all, undefined, undefined, undefined]);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('end when the loop does, or when something is thrown into them', async () => {
    const { bytes } = await recorded(JSON_PROFILE, 4);
    const tape = await openRecording(bytes);
    const events = tape.events();
    for await (const event of events) if (event.index === 2) break;
    expect(await events.next()).toEqual({ done: true, value: undefined });
    const others = tape.events();
    await others.next();
    await expect(others.throw(new RangeError('enough'))).rejects.toThrow('enough');
    expect(await others.next()).toEqual({ done: true, value: undefined });
  });

  test('[R4] stop with the error at a damaged block, and stay ended', async () => {
    const { bytes } = await recorded(JSON_PROFILE, 5);
    const tape = await openRecording(bytes);
    const damaged = Uint8Array.from(bytes);
    const at = encodeFileHeader(PORTABLE_COMPRESSION).length + 120;
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    const bad = (await openRecording(damaged)).events();
    await expect(bad.next()).rejects.toMatchObject({ code: 'DAMAGED' });
    expect(await bad.next()).toEqual({ done: true, value: undefined });
    await tape.close();
  });
});

async function eventsOf(tape: Tape, filter?: EventFilter): Promise<TapeEvent[]> {
  const events: TapeEvent[] = [];
  for await (const event of tape.events(filter)) events.push(event);
  return events;
}

async function recorded(
  profile: Profile,
  seed: number,
): Promise<{ bytes: Uint8Array; steps: readonly RecordedStep[] }> {
  const { steps, producers } = recordSession({ profile, seed, entries: 120, players: 2, exact: seed % 2 === 0 });
  const sink = new BytesSink();
  const recordingId = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(seed % 256));
  const writer = new RecordingWriter(sink, { recordingId, room: 'r', profile: profile.name, createdAt: 1 });
  for (const producer of producers) writer.addProducer(producer);
  for (const { entry, gap } of steps) {
    if (gap) writer.addGap(gap);
    await writer.add(entry);
  }
  await writer.finish();
  return { bytes: sink.bytes(), steps };
}

/** As a crash would leave it: without a footer. */
function unfinished(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length - FOOTER_BYTES);
}
