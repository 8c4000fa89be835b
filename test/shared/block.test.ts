import {
  BLOCK_HEADER_BYTES,
  BlockBuilder,
  type BlockHeader,
  BlockKind,
  type BlockLink,
  BytesSink,
  BytesSource,
  ByteWriter,
  type CheckpointRecord,
  type ClockMapRecord,
  chainFault,
  crc32,
  decodeBlockHeader,
  decodeBlockPayload,
  type EventBlock,
  encodeBlock,
  encodeFileHeader,
  FOOTER_BYTES,
  type GapRecord,
  isGametapeError,
  JSON_PROFILE,
  linkOf,
  makeRecordingId,
  NO_BLOCK,
  PORTABLE_COMPRESSION,
  ProducerContext,
  RecordingIdentity,
  RecordingReader,
  RecordingWriter,
  RecordType,
  readEventBlock,
  readRecords,
  type TimelineEntry,
  writeRecord,
} from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from '../support/arbitraries.ts';
import { bitFlips, truncations } from '../support/damage.ts';
import { codeOf } from '../support/errors.ts';
import { recordSession } from '../support/recorded-session.ts';

const ID = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(1));
const OTHER_ID = makeRecordingId(1_700_000_000_001, new Uint8Array(10).fill(1));
const META = { recordingId: ID, room: 'room', profile: 'json', createdAt: 1_700_000_000 };
const anyTime = fc.integer({ min: -(2 ** 49), max: 2 ** 49 });
const anyCount = fc.oneof(fc.nat(), fc.maxSafeNat());

describe('a block', () => {
  const anyContent = fc.record({
    kind: fc.constantFrom(BlockKind.Events, BlockKind.Index),
    recordingId: fc.constantFrom(ID, OTHER_ID),
    epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    selfContained: fc.boolean(),
    firstSeq: anyCount,
    lastSeq: anyCount,
    firstTime: anyTime,
    lastTime: anyTime,
    events: fc.nat(),
    previous: fc.record({ length: fc.nat(), headerCrc: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat({ max: 3_000 }).map((length) => new Uint8Array(length).fill(7)),
    ),
    compress: fc.boolean(),
  });

  test('[R1] says about itself what was put into it, wherever it starts', () => {
    fc.assert(
      fc.property(anyContent, fc.nat({ max: 40 }), (content, offset) => {
        const { bytes, link } = encodeBlock(content, PORTABLE_COMPRESSION);
        const placed = new Uint8Array(offset + bytes.length);
        placed.set(bytes, offset);
        const header = decodeBlockHeader(placed, offset, PORTABLE_COMPRESSION);
        const { payload, compress: _, ...fields } = content;
        expect(header).toMatchObject({ ...fields, rawLength: payload.length });
        expect(linkOf(header)).toEqual(link);
        expect(bytes.length).toBe(BLOCK_HEADER_BYTES + header.storedLength);
        const stored = placed.subarray(offset + BLOCK_HEADER_BYTES);
        expect(decodeBlockPayload(header, stored, PORTABLE_COMPRESSION)).toEqual(payload);
      }),
    );
  });

  test('[R3] every flipped bit and every truncation of a block is detected', () => {
    for (const payload of [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(400).fill(5)]) {
      const { bytes } = encodeBlock(contentOf(payload), PORTABLE_COMPRESSION);
      const read = (damaged: Uint8Array) => {
        const header = decodeBlockHeader(damaged, 0, PORTABLE_COMPRESSION);
        return decodeBlockPayload(header, damaged.subarray(BLOCK_HEADER_BYTES), PORTABLE_COMPRESSION);
      };
      expect(read(bytes)).toEqual(payload);
      for (const damaged of [...truncations(bytes), ...bitFlips(bytes)])
        expect(codeOf(() => read(damaged))).toBe('DAMAGED');
    }
  });

  test('[W11] a payload of another length than its header says is refused, before memory is taken for it', () => {
    const payload = new Uint8Array(5_000).fill(9);
    const { bytes } = encodeBlock(contentOf(payload), PORTABLE_COMPRESSION);
    const header = decodeBlockHeader(bytes, 0, PORTABLE_COMPRESSION);
    const stored = bytes.subarray(BLOCK_HEADER_BYTES);
    for (const rawLength of [0, 4_999, 5_001, 64 * 2 ** 20]) {
      expect(codeOf(() => decodeBlockPayload({ ...header, rawLength }, stored, PORTABLE_COMPRESSION))).toBe('DAMAGED');
      const plain = { ...header, rawLength, codec: 0, storedCrc: crc32(stored) };
      expect(codeOf(() => decodeBlockPayload(plain, stored, PORTABLE_COMPRESSION))).toBe('DAMAGED');
    }
    const garbage = PORTABLE_COMPRESSION.deflate(payload).map((byte) => byte ^ 0x55);
    const bad = { ...header, storedLength: garbage.length, storedCrc: crc32(garbage) };
    expect(codeOf(() => decodeBlockPayload(bad, garbage, PORTABLE_COMPRESSION))).toBe('DAMAGED');
    expect(codeOf(() => decodeBlockPayload({ ...header, codec: 2 }, stored, PORTABLE_COMPRESSION))).toBe(
      'VERSION_UNKNOWN',
    );
  });

  test('[R4] a chain of blocks has no other order', () => {
    const first = encodeBlock(contentOf(Uint8Array.of(1)), PORTABLE_COMPRESSION);
    const second = encodeBlock({ ...contentOf(Uint8Array.of(2)), previous: first.link }, PORTABLE_COMPRESSION);
    const headers = [first, second].map(({ bytes }) => decodeBlockHeader(bytes, 0, PORTABLE_COMPRESSION)) as [
      BlockHeader,
      BlockHeader,
    ];
    expect([chainFault(headers[0], NO_BLOCK), chainFault(headers[1], first.link)]).toEqual([undefined, undefined]);
    expect(chainFault(headers[1], NO_BLOCK)).toBeDefined();
    expect(chainFault(headers[0], second.link)).toBeDefined();
  });
});

describe('entries', () => {
  const anyEntry = fc.record(
    {
      producer: fc.nat({ max: 3 }),
      seq: fc.nat({ max: 1_000_000 }),
      time: anyTime,
      hlc: fc.oneof(fc.constant(0), anyCount),
      pseq: fc.oneof(fc.nat({ max: 500 }), fc.nat({ max: 2 ** 50 })),
      stamp: fc.option(
        fc.oneof(
          anyTime,
          fc.nat().map((n) => n * 100),
        ),
      ),
      exact: fc.double({ noNaN: true, noDefaultInfinity: true }),
      body: fc.uint8Array({ maxLength: 12 }),
    },
    { requiredKeys: ['producer', 'seq', 'time', 'hlc', 'pseq', 'stamp', 'body'] },
  );
  const anyEntries = fc.array(anyEntry, { minLength: 1, maxLength: 30 }).map((entries) =>
    // Entries that the relay made have no number of the producer's.
    entries.map((entry): TimelineEntry => ({ ...entry, pseq: entry.stamp === null ? 0 : entry.pseq })),
  );

  test('come back from their columns, whatever their numbers are', () => {
    fc.assert(
      fc.property(anyEntries, fc.boolean(), anyTime, (entries, known, time) => {
        const builder = builderOf({ keyframes: known ? [{ index: 1, time, stamp: -time, pseq: 77 }] : [] });
        for (const entry of entries) builder.add(entry);
        const { header, block } = read(builder.close(NO_BLOCK, { compress: true }).bytes);
        expect(block.entries).toEqual(entries);
        expect(header.events).toBe(entries.length);
        const [seqs, times] = [entries.map(({ seq }) => seq), entries.map((entry) => entry.time)];
        expect([header.firstSeq, header.lastSeq]).toEqual([Math.min(...seqs), Math.max(...seqs)]);
        expect([header.firstTime, header.lastTime]).toEqual([Math.min(...times), Math.max(...times)]);
      }),
      { numRuns: 400 },
    );
  });

  test('steady typing takes few bytes beside the bodies', () => {
    const builder = builderOf({ keyframes: [{ index: 0, time: 0, stamp: 0, pseq: 0 }] });
    for (let i = 1; i <= 1_000; i++) {
      const [time, stamp] = [i * 120_000, i * 120_000];
      builder.add({ seq: i, producer: 0, pseq: i, time, hlc: 0, stamp, body: Uint8Array.of(9) });
    }
    // Producer, time (2) and length; seq, stamp, pseq and hlc are as foretold.
    expect(builder.close(NO_BLOCK, { compress: false }).bytes.length).toBeLessThan(1_000 * 5 + 250);
  });

  test('[R5] columns and records of later versions are skipped, and records kept', () => {
    const entries: TimelineEntry[] = [
      { seq: 4, producer: 0, pseq: 1, time: 10, hlc: 0, stamp: 5, body: Uint8Array.of(1) },
      { seq: 5, producer: 0, pseq: 0, time: 20, hlc: 1, stamp: null, body: Uint8Array.of(2) },
    ];
    const builder = builderOf({});
    builder.record(99, Uint8Array.of(1, 2, 3));
    for (const entry of entries) builder.add(entry);
    builder.record(4_000, new Uint8Array(0));
    const later = rewritten(builder.close(NO_BLOCK, { compress: true }).bytes, (type, bytes) =>
      type === RecordType.Events ? Uint8Array.of(...bytes, 200, 3, 7, 7, 7) : bytes,
    );
    const { block } = read(later);
    expect(block.entries).toEqual(entries);
    expect(block.unknown.map(({ type, bytes }) => [type, [...bytes]])).toEqual([
      [99, [1, 2, 3]],
      [4_000, []],
    ]);
    const twice = rewritten(later, (type, bytes) =>
      type === RecordType.Events ? Uint8Array.of(...bytes, 200, 0) : bytes,
    );
    expect(codeOf(() => read(twice))).toBe('DAMAGED');
  });

  test('[W11] every flipped bit of a payload that is signed again gives a block or DAMAGED', () => {
    const { steps, producers } = recordSession({
      profile: JSON_PROFILE,
      seed: 21,
      entries: 12,
      players: 2,
      exact: true,
    });
    const builder = new BlockBuilder(ID, 1, PORTABLE_COMPRESSION);
    builder.meta(META);
    for (const producer of producers) builder.keyframe(new ProducerContext(JSON_PROFILE, producer));
    for (const { entry } of steps) builder.add(entry);
    builder.gap({ producer: 0, firstPseq: 1, lastPseq: 2, reason: 'r' });
    builder.checkpoint({ name: 'c', seq: 3, eventIndex: 1, time: -4, hashes: [[0, 5]] });
    const { bytes } = builder.close(NO_BLOCK, { compress: false });
    const header = decodeBlockHeader(bytes, 0, PORTABLE_COMPRESSION);
    const payload = bytes.subarray(BLOCK_HEADER_BYTES);
    const names = Object.getOwnPropertyNames(Object.prototype);
    for (const damaged of [...bitFlips(payload), ...truncations(payload)]) {
      const { kind, recordingId, epoch, selfContained, previous, events } = header;
      const { firstSeq, lastSeq, firstTime, lastTime } = header;
      const fields = {
        kind: kind as 1,
        recordingId,
        epoch,
        selfContained,
        previous,
        events,
        firstSeq,
        lastSeq,
        firstTime,
        lastTime,
      };
      const signed = encodeBlock({ ...fields, payload: damaged, compress: false }, PORTABLE_COMPRESSION).bytes;
      expect([undefined, 'DAMAGED', 'PROFILE_MISMATCH']).toContain(codeOf(() => read(signed)));
    }
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(names);
  });

  test('checkpoints, gaps, producers and keyframes come back', () => {
    const anyCheckpoint: fc.Arbitrary<CheckpointRecord> = fc.record({
      name: anyText(),
      seq: anyCount,
      eventIndex: anyCount,
      time: anyTime,
      hashes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 2 ** 32 - 1 })), { maxLength: 4 }),
    });
    const anyGap: fc.Arbitrary<GapRecord> = fc.record({
      producer: fc.nat(),
      firstPseq: anyCount,
      lastPseq: anyCount,
      reason: anyText(),
    });
    fc.assert(
      fc.property(fc.array(anyCheckpoint), fc.array(anyGap), anyText(), (checkpoints, gaps, player) => {
        const builder = builderOf({});
        builder.keyframe(new ProducerContext(JSON_PROFILE, { index: 5, player, instance: 'i' }));
        for (const checkpoint of checkpoints) builder.checkpoint(checkpoint);
        for (const gap of gaps) builder.gap(gap);
        const { block, identity } = read(builder.close(NO_BLOCK, { compress: true }).bytes);
        expect([block.checkpoints, block.gaps, block.entries]).toEqual([checkpoints, gaps, []]);
        expect(block.keyframes().map(({ index }) => index)).toEqual([5]);
        expect([identity.meta, identity.producers.get(5)]).toEqual([META, { index: 5, player, instance: 'i' }]);
      }),
    );
  });

  test('a block that contradicts what is known of the recording is DAMAGED', () => {
    const identity = new RecordingIdentity();
    const first = builderOf({});
    first.producer({ index: 0, player: 'ada', instance: 'i' });
    read(first.close(NO_BLOCK, { compress: false }).bytes, identity);
    const other = new BlockBuilder(ID, 1, PORTABLE_COMPRESSION);
    other.producer({ index: 0, player: 'bob', instance: 'i' });
    expect(codeOf(() => read(other.close(NO_BLOCK, { compress: false }).bytes, identity))).toBe('DAMAGED');
    other.meta({ ...META, recordingId: OTHER_ID });
    expect(codeOf(() => read(other.close(NO_BLOCK, { compress: false }).bytes, identity))).toBe('DAMAGED');
    expect(identity.producers.get(0)?.player).toBe('ada');
  });
});

describe('a block that is still being put together', () => {
  test('[V1] as it was at any point before, it is the block that would have been closed then', () => {
    const context = new ProducerContext(JSON_PROFILE, { index: 0, player: 'ann', instance: 'a1' });
    const previous = { length: 7, headerCrc: 9 };
    const steps: ((builder: BlockBuilder) => void)[] = [
      (builder) => builder.open([context]),
      ...[1, 2, 3, 4].map((seq) => (builder: BlockBuilder) => builder.add(madeEntry(seq))),
      (builder) => builder.producer({ index: 1, player: 'ben', instance: 'b1' }),
      (builder) => builder.clockMap(madeClockMap(5)),
      (builder) => builder.clockMap(madeClockMap(6)),
      (builder) => builder.gap({ producer: 0, firstPseq: 5, lastPseq: 6, reason: 'lost' }),
      (builder) => builder.add(madeEntry(5)),
    ];
    const make = (count: number): BlockBuilder => {
      const builder = new BlockBuilder(ID, 1, PORTABLE_COMPRESSION);
      for (const step of steps.slice(0, count)) step(builder);
      return builder;
    };
    const growing = make(0);
    const extents = steps.map((step) => {
      step(growing);
      return growing.extent;
    });
    for (const [i, extent] of extents.entries()) {
      const early = growing.closeUpTo(extent, previous, { compress: false });
      expect(early).toEqual(make(i + 1).close(previous, { compress: false }));
    }
    expect(growing.firstSeq).toBe(1);
    expect(growing.close(previous, { compress: false }).lastSeq).toBe(5);
    expect(growing.isNew).toBe(true);
  });
});

function madeClockMap(pseq: number): ClockMapRecord {
  const line = { stamp: 1_000 * pseq, time: 900 * pseq, offset: -100 * pseq, drift: 5 };
  const counts = { ahead: 0, early: 0, backwards: 0, alarms: 0 };
  return { producer: 0, pseq, epoch: 1, clockEpoch: 0, errorUs: 1_000, typicalUs: 100, ...line, ...counts };
}

describe('a damaged file', () => {
  test('[R3] cut at any byte, an unfinished recording opens with exactly its intact blocks', async () => {
    const { file, ends } = unfinished(4);
    for (let length = 0; length < file.length; length++) {
      const whole = ends.filter((end) => end <= length).length;
      const opened = await open(file.slice(0, length));
      if (whole === 0) expect(['BAD_RECORDING', 'DAMAGED']).toContain(opened);
      else expect([opened instanceof RecordingReader && opened.blocks.length, length]).toEqual([whole, length]);
    }
  });

  test('[R3] cut at any byte, a finished recording opens with its block, or not at all', async () => {
    const { bytes, end, contents } = await finished();
    for (let length = 0; length < bytes.length; length++) {
      const opened = await open(bytes.slice(0, length));
      if (length < end) expect(['BAD_RECORDING', 'DAMAGED']).toContain(opened);
      else {
        // Where the footer alone is gone, the index still tells what is in the file.
        const hasIndex = length >= bytes.length - FOOTER_BYTES;
        expect([length, opened instanceof RecordingReader && opened.summary !== undefined]).toEqual([length, hasIndex]);
        expect(await contentsOf(opened)).toEqual(contents);
      }
    }
  });

  test('[R3] with any bit flipped, a finished recording says so, or gives back what it held', async () => {
    const { bytes, contents } = await finished();
    let unharmed = 0;
    for (const flipped of bitFlips(bytes)) {
      const found = await contentsOf(await open(flipped));
      if (typeof found === 'string') expect(['BAD_RECORDING', 'DAMAGED', 'VERSION_UNKNOWN']).toContain(found);
      else {
        unharmed++;
        expect(found).toEqual(contents);
      }
    }
    // Only the footer can be lost without a loss: the blocks are found without it.
    expect(unharmed).toBe(32 * 8);
  });

  test('files of other kinds and versions are told apart', async () => {
    const header = encodeFileHeader(PORTABLE_COMPRESSION);
    expect(await open(new Uint8Array(0))).toBe('BAD_RECORDING');
    expect(await open(Buffer.from('PK\x03\x04 something else'))).toBe('BAD_RECORDING');
    expect(await open(Uint8Array.of(...header.slice(0, 4), 1, 0, 0, 0, ...header.slice(8)))).toBe('VERSION_UNKNOWN');
    expect(await open(header)).toBe('DAMAGED');
  });
});

function contentOf(payload: Uint8Array): Parameters<typeof encodeBlock>[0] {
  const numbers = { epoch: 1, firstSeq: 1, lastSeq: 9, firstTime: -5, lastTime: 5, events: 3 };
  return {
    kind: BlockKind.Events,
    recordingId: ID,
    selfContained: true,
    ...numbers,
    previous: NO_BLOCK,
    payload,
    compress: true,
  };
}

function builderOf({
  keyframes = [],
}: {
  keyframes?: { index: number; time: number; stamp: number; pseq: number }[];
}): BlockBuilder {
  const builder = new BlockBuilder(ID, 1, PORTABLE_COMPRESSION);
  builder.meta(META);
  for (const { index, ...numbers } of keyframes) {
    const context = new ProducerContext(JSON_PROFILE, { index, player: 'ada', instance: 'i' });
    builder.keyframe(Object.assign(context, numbers));
  }
  return builder;
}

function read(
  bytes: Uint8Array,
  identity = new RecordingIdentity(),
): { header: BlockHeader; block: EventBlock; identity: RecordingIdentity } {
  const header = decodeBlockHeader(bytes, 0, PORTABLE_COMPRESSION);
  const block = readEventBlock(header, bytes.subarray(BLOCK_HEADER_BYTES), identity, PORTABLE_COMPRESSION);
  return { header, block, identity };
}

/** The same block with its records changed, as a later version might have written it. */
function rewritten(bytes: Uint8Array, change: (type: number, bytes: Uint8Array) => Uint8Array): Uint8Array {
  const header = decodeBlockHeader(bytes, 0, PORTABLE_COMPRESSION);
  const payload = new ByteWriter();
  for (const record of readRecords(
    decodeBlockPayload(header, bytes.subarray(BLOCK_HEADER_BYTES), PORTABLE_COMPRESSION),
  )) {
    const content = new ByteWriter();
    content.raw(change(record.type, record.bytes));
    writeRecord(payload, record.type, content);
  }
  const { codec: _, rawLength: __, storedLength: ___, storedCrc: ____, headerCrc: _____, ...content } = header;
  return encodeBlock(
    { ...content, payload: payload.take(), compress: false } as Parameters<typeof encodeBlock>[0],
    PORTABLE_COMPRESSION,
  ).bytes;
}

/** A file header and blocks, as an unfinished recording has them, and where each block ends. */
function unfinished(blocks: number): { file: Uint8Array; ends: number[] } {
  const { steps, producers } = recordSession({
    profile: JSON_PROFILE,
    seed: 2,
    entries: blocks * 5,
    players: 2,
    exact: false,
  });
  const contexts = producers.map((producer) => new ProducerContext(JSON_PROFILE, producer));
  const builder = new BlockBuilder(ID, 1, PORTABLE_COMPRESSION);
  const parts = [encodeFileHeader(PORTABLE_COMPRESSION)];
  const ends: number[] = [];
  let previous: BlockLink = NO_BLOCK;
  for (let i = 0; i < blocks; i++) {
    if (i === 0) builder.meta(META);
    builder.open(contexts);
    for (const { entry } of steps.slice(i * 5, i * 5 + 5)) {
      contexts[entry.producer]?.advance(entry, 'DAMAGED');
      builder.add(entry);
    }
    const closed = builder.close(previous, { compress: true });
    previous = closed.link;
    parts.push(closed.bytes);
    ends.push(parts.reduce((sum, part) => sum + part.length, 0));
  }
  return { file: Uint8Array.from(Buffer.concat(parts)), ends };
}

async function finished(): Promise<{ bytes: Uint8Array; end: number; contents: unknown }> {
  const session = recordSession({ profile: JSON_PROFILE, seed: 13, entries: 8, players: 1, exact: false });
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, META);
  for (const producer of session.producers) writer.addProducer(producer);
  for (const { entry } of session.steps) await writer.add(entry);
  await writer.finish();
  const bytes = sink.bytes();
  const reader = await RecordingReader.open(new BytesSource(bytes));
  const [row] = reader.blocks;
  return { bytes, end: row ? row.offset + row.length : 0, contents: await contentsOf(reader) };
}

/** The reader, or the code of the error. */
async function open(bytes: Uint8Array): Promise<RecordingReader | string> {
  return guarded(() => RecordingReader.open(new BytesSource(bytes)));
}

async function contentsOf(reader: RecordingReader | string): Promise<unknown> {
  if (typeof reader === 'string') return reader;
  return guarded(async () => {
    const steps: unknown[] = [];
    for await (const { entry, body, context } of reader.steps())
      steps.push({ entry, body, state: context.state.toJson() });
    return { steps, meta: reader.meta, gaps: reader.gaps, checkpoints: reader.checkpoints };
  });
}

async function guarded<T>(act: () => Promise<T>): Promise<T | string> {
  try {
    return await act();
  } catch (error) {
    if (isGametapeError(error)) return error.code;
    throw error;
  }
}

function madeEntry(seq: number): TimelineEntry {
  return { seq, producer: 0, pseq: seq, time: seq * 1_000, hlc: 0, stamp: seq * 1_000 + 5, body: Uint8Array.of(seq) };
}
