import {
  applyTextPatch,
  type BlockLimits,
  type ByteSource,
  BytesSink,
  BytesSource,
  ByteWriter,
  FOOTER_BYTES,
  JSON_PROFILE,
  LIMITS,
  LMSP_PROFILE,
  makeRecordingId,
  PlayClock,
  type ProducerContext,
  type Profile,
  patchText,
  RecordingReader,
  RecordingWriter,
  writeKeyframe,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifyRecording } from '../../server/dist/recording/verify.js';
import { anyText } from '../support/arbitraries.ts';
import { type RecordedSession, recordSession } from '../support/recorded-session.ts';

const ID = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(7));
const META = { recordingId: ID, room: 'arena', profile: 'json', createdAt: 1 };
const SMALL: BlockLimits = { entries: 60, bytes: 64 * 1024 };

describe('text patches', () => {
  test('[D2] lead from any text to any other', () => {
    const edits = fc.array(fc.tuple(fc.nat(400), fc.nat(60), anyText()), { maxLength: 8 });
    fc.assert(
      fc.property(anyText(), edits, (base, changes) => {
        const before = base.repeat(12);
        const after = Array.from(before);
        for (const [at, remove, insert] of changes)
          after.splice(at % (after.length + 1), remove, ...Array.from(insert));
        const text = after.join('');
        expect(applyTextPatch(before, patchText(before, text))).toBe(text);
      }),
    );
  });

  test('are short where a long text was edited in several places', () => {
    const lines = Array.from({ length: 500 }, (_, i) => `line ${i * 7919}: ${(i * 104_729).toString(36)}\n`);
    const before = lines.join('');
    const after = lines.map((line, i) => (i % 100 === 3 ? `// edited\n${line}` : line)).join('');
    const inserted = patchText(before, after).reduce((sum, { insert }) => sum + insert.length, 0);
    expect(applyTextPatch(before, patchText(before, after))).toBe(after);
    expect(inserted).toBeLessThan(200);
  });

  test('that do not fit are refused', () => {
    for (const step of [
      { keep: 0, remove: 4, insert: '' },
      { keep: 4, remove: 0, insert: 'x' },
      { keep: 1, remove: 1, insert: '' },
    ])
      expect(applyTextPatch('a🙂', [step])).toBeUndefined();
  });
});

describe('a writer', () => {
  test('[S2] refuses more than any reader takes, by name', async () => {
    const writer = new RecordingWriter(new BytesSink(), META);
    const refused = (what: string) => ({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining(what) });
    for (let index = 0; index < LIMITS.producers; index++)
      writer.addProducer({ index, player: 'p', instance: `${index}` });
    const one = { index: LIMITS.producers, player: 'p', instance: 'one more' };
    expect(() => writer.addProducer(one)).toThrow(expect.objectContaining(refused('producers')));
    for (let seq = 1; seq <= LIMITS.checkpoints; seq++) writer.addCheckpoint(`c${seq}`, { seq, time: 0 }, 0);
    expect(() => writer.addCheckpoint('one more', { seq: 1, time: 0 }, 0)).toThrow(
      expect.objectContaining(refused('checkpoints')),
    );
    const gap = (pseq: number) => ({ producer: 0, firstPseq: pseq, lastPseq: pseq, reason: '' });
    for (let pseq = 1; pseq <= LIMITS.gaps; pseq++) writer.addGap(gap(pseq));
    expect(() => writer.addGap(gap(LIMITS.gaps + 1))).toThrow(expect.objectContaining(refused('gaps')));
  });

  test('[S2] at every limit makes a file that opens', async () => {
    const sink = new BytesSink();
    const writer = new RecordingWriter(sink, META);
    for (let index = 0; index < LIMITS.producers; index++)
      writer.addProducer({ index, player: `p${index}`, instance: '' });
    for (let i = 1; i <= LIMITS.gaps; i++) writer.addGap({ producer: 0, firstPseq: i, lastPseq: i, reason: 'r' });
    for (let seq = 1; seq <= LIMITS.checkpoints; seq++) writer.addCheckpoint(`c${seq}`, { seq, time: 0 }, 0);
    await writer.finish();
    const reader = await RecordingReader.open(new BytesSource(sink.bytes()));
    expect(reader.producers.size).toBe(LIMITS.producers);
    expect([reader.gaps.length, reader.checkpoints.length]).toEqual([LIMITS.gaps, LIMITS.checkpoints]);
  });
});

describe('later keyframes', () => {
  test.each([
    ['lmsp', LMSP_PROFILE],
    ['json', JSON_PROFILE],
  ])('[V3] a seek to any entry (%s) comes to where a replay comes', async (_, profile) => {
    const reader = await open(await write(recordSession({ profile, seed: 5, entries: 5_000, players: 3 }), profile));
    let isSpared = false;
    for (const index of reader.blocks.keys()) {
      const { content } = await reader.readBlock(index);
      const places = new Set([...content.laterKeyframes()].map(({ entry }) => entry));
      isSpared ||= places.size > 0;
      const ends = [0, 1, content.entries.length, ...places, ...[...places].map((entry) => entry - 1)];
      for (let end = 17; end < content.entries.length; end += 331) ends.push(end);
      for (const end of ends)
        expect([end, await soughtTo(reader, index, end)]).toEqual([end, await replayedTo(reader, index, end)]);
    }
    expect(isSpared).toBe(true);
  });
});

describe('a file without its end', () => {
  test('[R2] opens from the last index on the way, and tells what one read from its start tells', async () => {
    const session = recordSession({ profile: LMSP_PROFILE, seed: 9, entries: 6_000, players: 3 });
    const bytes = await write(session, LMSP_PROFILE, SMALL);
    const whole = await open(bytes);
    expect(whole.blocks.length).toBeGreaterThan(3 * 32);
    for (const kept of [1, 31, 32, 33, 64, 70, whole.blocks.length]) {
      const last = whole.blocks[kept - 1];
      if (!last) continue;
      const cut = bytes.slice(0, last.offset + last.length);
      const source = new ReadBytes(cut);
      const reader = await RecordingReader.open(source);
      expect(reader.summary).toBeUndefined();
      expect(reader.blocks).toEqual(whole.blocks.slice(0, kept));
      expect(reader.gaps).toEqual(whole.gaps.slice(0, reader.gaps.length));
      expect(reader.markers).toEqual(whole.markers.slice(0, reader.markers.length));
      expect(reader.checkpoints.map(({ name, seq }) => [name, seq])).toEqual(
        whole.checkpoints.slice(0, reader.checkpoints.length).map(({ name, seq }) => [name, seq]),
      );
      const end = last.lastTime;
      for (let time = 0; time <= end; time += Math.max(1, Math.floor(end / 50)))
        expect(reader.playClock().playTime(time)).toBe(whole.playClock().playTime(time));
    }
  });

  test('[R3] whose index on the way is damaged is read from its start instead', async () => {
    const session = recordSession({ profile: JSON_PROFILE, seed: 2, entries: 3_000, players: 2 });
    const bytes = await write(session, JSON_PROFILE, SMALL);
    const whole = await open(bytes);
    const [before, after] = [whole.blocks[31], whole.blocks[32]];
    const cut = bytes.slice(0, -FOOTER_BYTES - 1);
    if (before) cut[before.offset + before.length + 100] = 0x55;
    expect(after?.offset).toBeGreaterThan((before?.offset ?? 0) + (before?.length ?? 0));
    expect((await open(cut)).blocks.length).toBe(32);
  });

  test('can be followed while it is written', async () => {
    const session = recordSession({ profile: JSON_PROFILE, seed: 4, entries: 4_000, players: 2 });
    const bytes = await write(session, JSON_PROFILE, SMALL);
    const whole = await open(bytes);
    const growing = new GrowingSource(bytes);
    growing.end = (whole.blocks[0]?.length ?? 0) + 16;
    const reader = await RecordingReader.open(growing);
    expect([reader.blocks.length, await reader.refresh()]).toEqual([1, false]);
    for (let step = 2_999; growing.end < bytes.length; growing.end = Math.min(bytes.length, growing.end + step)) {
      await reader.refresh();
      expect(reader.blocks).toEqual(whole.blocks.slice(0, reader.blocks.length));
    }
    expect(await reader.refresh()).toBe(true);
    expect(reader.summary).toEqual(whole.summary);
    expect(reader.blocks).toEqual(whole.blocks);
    expect(await reader.refresh()).toBe(false);
  });
});

describe('what a recording says of itself', () => {
  test('[R4] verifies, with indexes on the way and a digest; a digest that is not of its blocks does not', async () => {
    const session = recordSession({ profile: LMSP_PROFILE, seed: 6, entries: 3_000, players: 3 });
    const bytes = await write(session, LMSP_PROFILE, SMALL);
    expect(await verifyRecording(new BytesSource(bytes))).toMatchObject({ intact: true, problems: [] });
    const { summary } = await open(bytes);
    expect(summary?.digest).toMatch(/^[0-9a-f]{64}$/);
    const other = await open(await write(session, LMSP_PROFILE, { entries: 61, bytes: 64 * 1024 }));
    expect(other.summary?.digest).not.toBe(summary?.digest);
    expect(other.summary).toEqual({ ...summary, digest: other.summary?.digest });
  });

  test('[R5] records of types that this version does not know come back, of blocks and of the index', async () => {
    const sink = new BytesSink();
    const writer = new RecordingWriter(sink, metaOf(JSON_PROFILE));
    writer.addProducer({ index: 0, player: 'ada', instance: 'i' });
    writer.addUnknown({ type: 77, bytes: Uint8Array.of(1, 2, 3) });
    writer.addUnknown({ type: 78, bytes: Uint8Array.of(4) }, 'index');
    await writer.finish();
    const reader = await open(sink.bytes());
    const { content } = await reader.readBlock(0);
    const plain = (records: readonly { type: number; bytes: Uint8Array }[]) =>
      records.map(({ type, bytes }) => [type, ...bytes]);
    expect([plain(content.unknown), plain(reader.unknown)]).toEqual([[[77, 1, 2, 3]], [[78, 4]]]);
  });
});

describe('play time after something lost', () => {
  test('[T7] agrees with what the next block says', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(1_000), fc.boolean(), (paused, later, isOpen) => {
        const clock = new PlayClock([[100, 200]]);
        const at = 5_000;
        const open = isOpen ? { since: at - later, players: ['ada'] } : undefined;
        clock.agree(at, 100 + paused, open);
        expect(clock.playTime(at)).toBe((open?.since ?? at) - 100 - paused);
        expect([clock.pausedUs, clock.paused]).toEqual([100 + paused, open]);
      }),
    );
  });
});

async function write(session: RecordedSession, profile: Profile, blockLimits?: BlockLimits): Promise<Uint8Array> {
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, metaOf(profile), blockLimits && { blockLimits });
  for (const producer of session.producers) writer.addProducer(producer);
  for (const { entry, gap, checkpoint } of session.steps) {
    if (gap) writer.addGap(gap);
    await writer.add(entry);
    if (checkpoint) writer.addCheckpoint(checkpoint, entry);
  }
  await writer.finish();
  return sink.bytes();
}

function metaOf({ name }: Profile) {
  return { recordingId: ID, room: 'room', profile: name, createdAt: 1_700_000_000 };
}

function open(bytes: Uint8Array): Promise<RecordingReader> {
  return RecordingReader.open(new BytesSource(bytes));
}

async function soughtTo(reader: RecordingReader, block: number, end: number): Promise<unknown> {
  let passed = 0;
  const { contexts } = await reader.seek(block, () => passed++ < end);
  return allOf(contexts);
}

async function replayedTo(reader: RecordingReader, block: number, end: number): Promise<unknown> {
  for await (const replay of reader.replayBlocks(block)) {
    let passed = 0;
    for (const _ of replay.steps(() => passed < end)) passed++;
    return allOf(replay.contexts);
  }
  return undefined;
}

/** Everything that the contexts say, as the bytes of their keyframes. */
function allOf(contexts: ReadonlyMap<number, ProducerContext>): [number, string][] {
  const keyframes = [...contexts.values()].map((context): [number, string] => {
    const writer = new ByteWriter();
    writeKeyframe(writer, context);
    return [context.index, Buffer.from(writer.take()).toString('latin1')];
  });
  return keyframes.sort(([one], [other]) => one - other);
}

class ReadBytes implements ByteSource {
  readonly name = 'read';
  bytes = 0;
  readonly #source: BytesSource;

  constructor(bytes: Uint8Array) {
    this.#source = new BytesSource(bytes);
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.bytes += length;
    return this.#source.read(offset, length);
  }
}

class GrowingSource implements ByteSource {
  readonly name = 'growing';
  end = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  async size(): Promise<number> {
    return this.end;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#bytes.slice(offset, Math.min(this.end, offset + length));
  }
}
