import {
  type ByteSource,
  BytesSink,
  BytesSource,
  ByteWriter,
  type CheckpointRecord,
  encodeBody,
  JSON_PROFILE,
  type LiveState,
  LMSP_PROFILE,
  makeRecordingId,
  ProducerContext,
  type Profile,
  type RecordingMeta,
  RecordingReader,
  type RecordingSummary,
  RecordingWriter,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RecordedSession, recordSession } from '../support/recorded-session.ts';

const ID = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(3));

describe('a recording', () => {
  const sessions = fc.record({
    profile: fc.constantFrom<Profile>(JSON_PROFILE, LMSP_PROFILE),
    seed: fc.integer(),
    entries: fc.nat({ max: 250 }),
    players: fc.integer({ min: 1, max: 4 }),
    exact: fc.boolean(),
  });

  test('gives back every entry, event and state of any session, and says how complete it is', async () => {
    await fc.assert(
      fc.asyncProperty(sessions, async (options) => {
        const session = recordSession(options);
        const { bytes, summary } = await write(session, options.profile);
        const reader = await RecordingReader.open(new BytesSource(bytes));
        expect(reader.meta).toEqual(metaOf(options.profile));
        expect([...reader.producers.values()]).toEqual(session.producers);
        expect(reader.gaps).toEqual(session.steps.flatMap(({ gap }) => gap ?? []));
        expect(reader.summary).toEqual(summary);
        expectSummary(summary, session);
        expect(reader.checkpoints).toEqual(checkpointsOf(session));
        await expectSteps(reader, session, 0);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ['lmsp', LMSP_PROFILE],
    ['json', JSON_PROFILE],
  ])('[R1] of several blocks (%s) can be read from the start of each, with the states it needs', async (_, profile) => {
    const session = recordSession({ profile, seed: 7, entries: 17_000, players: 3, exact: false });
    const { bytes } = await write(session, profile);
    const reader = await RecordingReader.open(new BytesSource(bytes));
    expect(reader.blocks.length).toBeGreaterThanOrEqual(3);
    let first = 0;
    for (const [index, row] of reader.blocks.entries()) {
      const { header, content } = await reader.readBlock(index);
      const steps = session.steps.slice(first, first + row.entries);
      expect(header.selfContained).toBe(true);
      expect([row.firstTime, row.lastTime]).toEqual([steps[0]?.entry.time, steps.at(-1)?.entry.time]);
      expect(row.firstSeq).toBe(Math.min(...steps.map(({ entry }) => entry.seq)));
      expect(row.events).toBe(steps.filter(({ event }) => event).length);
      expect(content.entries.length).toBe(row.entries);
      if (index > 0) await expectSteps(reader, { ...session, steps: session.steps.slice(first) }, index, row.entries);
      first += row.entries;
    }
    expect(first).toBe(session.steps.length);
    await expectSteps(reader, session, 0);
  });

  test('[R2] opens with two reads at most, and a block takes one more', async () => {
    const session = recordSession({ profile: LMSP_PROFILE, seed: 3, entries: 20_000, players: 4, exact: false });
    const { bytes } = await write(session, LMSP_PROFILE);
    expect(bytes.length).toBeGreaterThan(64 * 1024);
    const source = new CountingSource(bytes);
    const reader = await RecordingReader.open(source);
    expect(source.reads).toBeLessThanOrEqual(2);
    expect([reader.producers.size, reader.checkpoints.length > 0, reader.summary !== undefined]).toEqual([
      5,
      true,
      true,
    ]);
    source.reads = 0;
    await reader.readBlock(1);
    expect(source.reads).toBe(1);
    const small = new CountingSource(
      (await write(recordSession({ profile: JSON_PROFILE, seed: 1, entries: 9, players: 1 }), JSON_PROFILE)).bytes,
    );
    await RecordingReader.open(small);
    expect(small.reads).toBe(1);
  });

  test('[R4] checkpoints and the end carry the hash of every state', async () => {
    const session = recordSession({ profile: LMSP_PROFILE, seed: 11, entries: 2_000, players: 2, exact: false });
    const { bytes } = await write(session, LMSP_PROFILE);
    const reader = await RecordingReader.open(new BytesSource(bytes));
    const bySeq = new Map(reader.checkpoints.map((checkpoint) => [checkpoint.seq, checkpoint]));
    const states = new Map<number, LiveState>();
    let checked = 0;
    for await (const { entry, context } of reader.steps()) {
      states.set(context.index, context.state);
      for (const [producer, hash] of bySeq.get(entry.seq)?.hashes ?? []) {
        expect(states.get(producer)?.hash()).toBe(hash);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(20);
    for (const [producer, hash] of reader.summary?.hashes ?? []) expect(states.get(producer)?.hash()).toBe(hash);
  });

  test('of nothing, and one that begins with a gap, are recordings too', async () => {
    const empty = await write({ producers: [], steps: [] }, JSON_PROFILE);
    const reader = await RecordingReader.open(new BytesSource(empty.bytes));
    expect([reader.meta.room, reader.summary?.complete, reader.producers.size]).toEqual(['room', true, 0]);
    for await (const step of reader.steps()) throw new Error(`found ${step.entry.seq}`);

    const session = recordSession({ profile: JSON_PROFILE, seed: 5, entries: 20, players: 1, exact: false });
    const sink = new BytesSink();
    const writer = new RecordingWriter(sink, metaOf(JSON_PROFILE));
    for (const producer of session.producers) writer.addProducer(producer);
    writer.addCheckpoint('opening', { seq: 0, time: 0 }, 0);
    writer.addGap({ producer: 0, firstPseq: 1, lastPseq: 2, reason: 'late' });
    for (const { entry } of session.steps) await writer.add(entry);
    await writer.finish();
    const second = await RecordingReader.open(new BytesSource(sink.bytes()));
    expect((await second.readBlock(0)).header.selfContained).toBe(true);
    await expectSteps(second, session, 0);
    // Its blocks say all of it, without the index.
    const unfinished = await RecordingReader.open(new BytesSource(sink.bytes().slice(0, -40)));
    expect([unfinished.gaps.length, unfinished.checkpoints.length >= 1, unfinished.meta.room]).toEqual([
      1,
      true,
      'room',
    ]);
  });

  test('with more pauses and gaps than a value may have nodes can be opened', async () => {
    const sink = new BytesSink();
    const writer = new RecordingWriter(sink, metaOf(JSON_PROFILE));
    writer.addProducer({ index: 0, player: 'ada', instance: 'i' });
    for (let i = 0; i < 9_000; i++)
      writer.addGap({ producer: 0, firstPseq: 2 * i + 1, lastPseq: 2 * i + 1, reason: 'r' });
    await writer.finish();
    const reader = await RecordingReader.open(new BytesSource(sink.bytes()));
    expect(reader.summary?.players[0]?.gaps.length).toBe(9_000);
  });

  test('a producer without a state goes on after a loss, from what it is there and not from what it was', async () => {
    const sink = new BytesSink();
    const writer = new RecordingWriter(sink, metaOf(JSON_PROFILE));
    const producer = { index: 0, player: 'ada', instance: 'i' };
    writer.addProducer(producer);
    const encode = (context: ProducerContext) => {
      const body = new ByteWriter();
      const event = { type: 'say', data: {} };
      encodeBody(body, context.vocabulary, { event, change: undefined }, { editEnd: () => 0, learn: true });
      return body.take();
    };
    const entry = { producer: 0, hlc: 0, stamp: 0 };
    const before = encode(new ProducerContext(JSON_PROFILE, producer));
    await writer.add({ ...entry, seq: 1, pseq: 1, time: 1, body: before });
    const later = new ProducerContext(JSON_PROFILE, producer);
    later.advance({ ...entry, seq: 5, pseq: 5, time: 5, body: encode(later) }, 'DAMAGED');
    const after = encode(later);
    await writer.resume([later]);
    writer.addGap({ producer: 0, firstPseq: 2, lastPseq: 5, reason: 'lost' });
    await writer.add({ ...entry, seq: 6, pseq: 6, time: 6, body: after });
    await writer.finish();
    const reader = await RecordingReader.open(new BytesSource(sink.bytes()));
    const seen: [number, string | undefined][] = [];
    for await (const { entry, body } of reader.steps()) seen.push([entry.pseq, body.event?.type]);
    expect(seen).toEqual([
      [1, 'say'],
      [6, 'say'],
    ]);
  });

  test('a body that does not decode or fit is refused and named', async () => {
    const writer = new RecordingWriter(new BytesSink(), metaOf(JSON_PROFILE));
    writer.addProducer({ index: 0, player: 'ada', instance: 'i' });
    const entry = { seq: 1, producer: 0, pseq: 1, time: 0, hlc: 0, stamp: 0 };
    await expect(writer.add({ ...entry, body: Uint8Array.of(0xff) })).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('event 1 of player ada'),
    });
    const splice = Uint8Array.of(0x01, 0x80, 1, 0x61, 0, 0, 1, 0x62);
    await expect(writer.add({ ...entry, body: splice })).rejects.toMatchObject({ code: 'BAD_DELTA' });
    await expect(writer.add({ ...entry, producer: 1, body: splice })).rejects.toThrow(TypeError);
  });
});

class CountingSource implements ByteSource {
  readonly name = 'counting';
  readonly #source: BytesSource;
  reads = 0;

  constructor(bytes: Uint8Array) {
    this.#source = new BytesSource(bytes);
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.reads++;
    return this.#source.read(offset, length);
  }
}

async function write(
  session: RecordedSession,
  profile: Profile,
): Promise<{ bytes: Uint8Array; summary: RecordingSummary }> {
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, metaOf(profile));
  for (const producer of session.producers) writer.addProducer(producer);
  for (const { entry, event, gap, checkpoint } of session.steps) {
    if (gap) writer.addGap(gap);
    expect((await writer.add(entry)).event).toEqual(event);
    if (checkpoint) writer.addCheckpoint(checkpoint, entry);
  }
  const summary = await writer.finish({ outcome: { success: true } });
  return { bytes: sink.bytes(), summary };
}

function metaOf(profile: Profile): RecordingMeta {
  return { recordingId: ID, room: 'room', profile: profile.name, createdAt: 1_700_000_000.25 };
}

async function expectSteps(
  reader: RecordingReader,
  session: RecordedSession,
  fromBlock: number,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  let index = 0;
  for await (const { entry, body, context } of reader.steps(fromBlock)) {
    if (index === most) return;
    const expected = session.steps[index++];
    // Compared without the matcher first: it is slow over thousands of entries.
    const state = context.state.toJson();
    const same =
      JSON.stringify([{ ...entry, body: 0 }, body.event]) ===
        JSON.stringify([{ ...inOrder(entry, expected), body: 0 }, expected?.event]) &&
      Buffer.compare(entry.body, expected?.entry.body ?? new Uint8Array()) === 0 &&
      entry.exact === expected?.entry.exact;
    if (!same) expect({ entry, event: body.event }).toEqual({ entry: expected?.entry, event: expected?.event });
    expect(state).toEqual(expected?.state ?? {});
  }
  expect(index).toBe(Math.min(most, session.steps.length));
}

/** The expected entry with its fields in the order of the one that was read. */
function inOrder(entry: object, expected: RecordedSession['steps'][number] | undefined): object {
  const fields = (expected?.entry ?? {}) as unknown as Record<string, unknown>;
  return Object.fromEntries(Object.keys(entry).map((key) => [key, fields[key]]));
}

function checkpointsOf(session: RecordedSession): unknown[] {
  const found: CheckpointRecord[] = [];
  let events = 0;
  for (const { entry, event, checkpoint } of session.steps) {
    if (event) events++;
    if (!checkpoint) continue;
    const { seq, time } = entry;
    found.push({ name: checkpoint, seq, time, eventIndex: events - 1, hashes: expect.any(Array) as never });
  }
  return found;
}

function expectSummary(summary: RecordingSummary, session: RecordedSession): void {
  const { steps, producers } = session;
  expect(summary.events).toBe(steps.filter(({ event }) => event).length);
  expect(summary.endedAt).toBe(Math.max(0, ...steps.map(({ entry }) => entry.time)));
  expect(summary.outcome).toEqual({ success: true });
  expect(summary.complete).toBe(steps.every(({ gap }) => !gap));
  const paused = summary.pauses.reduce((sum, [from, to]) => sum + to - from, 0);
  expect(summary.durationUs).toBe(summary.endedAt - paused);
  for (const player of summary.players) {
    const indexes = producers.filter(({ player: id }) => id === player.id).map(({ index }) => index);
    const own = steps.filter(({ entry }) => indexes.includes(entry.producer));
    expect(player.events).toBe(own.filter(({ event }) => event).length);
    expect(player.received).toBe(own.filter(({ entry }) => entry.pseq > 0).length);
    expect(player.gaps).toEqual(own.flatMap(({ gap }) => (gap ? [[gap.firstPseq, gap.lastPseq]] : [])));
  }
}
