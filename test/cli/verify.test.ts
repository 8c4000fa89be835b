import {
  BytesSink,
  BytesSource,
  ByteWriter,
  crc32,
  encodeBody,
  JSON_PROFILE,
  makeRecordingId,
  RecordingWriter,
  type TimelineEntry,
  Vocabulary,
} from '@gametape/shared';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyRecording } from '../../server/dist/recording/verify.js';
import { recover } from '../support/recovered.ts';

interface Step {
  readonly seq?: number;
  readonly producer?: number;
  readonly time: number;
  readonly pseq: number;
}

/** Whatever these steps say, written the way the relay writes: every checksum is right. */
async function written(steps: readonly Step[], gaps: readonly (readonly [number, number])[] = []): Promise<Uint8Array> {
  const sink = new BytesSink();
  const recordingId = makeRecordingId(1, new Uint8Array(10));
  const writer = new RecordingWriter(sink, { recordingId, room: 'r', profile: 'json', createdAt: 1 });
  const vocabularies = [new Vocabulary(JSON_PROFILE), new Vocabulary(JSON_PROFILE)];
  const pseqs = [0, 0];
  for (const [index, player] of ['ann', 'bob'].entries()) writer.addProducer({ index, player, instance: 'i' });
  for (const [firstPseq, lastPseq] of gaps) writer.addGap({ producer: 0, firstPseq, lastPseq, reason: 'test' });
  for (const [index, { seq = index + 1, producer = 0, time, pseq }] of steps.entries()) {
    const body = new ByteWriter();
    // After a hole nothing that was learned before it counts: it may have been lost.
    if (pseq > (pseqs[producer] ?? 0) + 1) vocabularies[producer] = new Vocabulary(JSON_PROFILE);
    pseqs[producer] = pseq;
    const vocabulary = vocabularies[producer] as Vocabulary;
    const change = { form: 'keyframe', entries: [['count', index]] } as const;
    encodeBody(
      body,
      vocabulary,
      { event: { type: 'move', data: { index } }, change },
      { learn: true, editEnd: () => 0 },
    );
    const entry: TimelineEntry = { seq, producer, pseq, time, hlc: 0, stamp: time, body: body.take() };
    await writer.add(entry);
    if (index === 1) writer.addCheckpoint('second', entry);
  }
  await writer.finish();
  return sink.bytes();
}

async function problemsOf(bytes: Uint8Array): Promise<string[]> {
  const { problems } = await verifyRecording(new BytesSource(bytes));
  return problems.map(({ where, message }) => `${where}: ${message}`);
}

const STEPS: readonly Step[] = [
  { time: 100, pseq: 1 },
  { time: 200, pseq: 2 },
  { time: 200, pseq: 1, producer: 1 },
  { time: 300, pseq: 3 },
];

describe('verify', () => {
  let intact: Uint8Array;
  beforeAll(async () => {
    intact = await written(STEPS);
  });

  test('[R4] compares every state of which a hash was recorded', async () => {
    const report = await verifyRecording(new BytesSource(intact));
    // One at the checkpoint, two at the end.
    expect(report).toMatchObject({ intact: true, complete: true, events: 4, checkpoints: 1, statesChecked: 3 });
  });

  test('[R3] finds every flipped bit', async () => {
    const missed: number[] = [];
    for (let at = 0; at < intact.length * 8; at++) {
      const bytes = Uint8Array.from(intact);
      bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
      if (await isBelieved(bytes)) missed.push(at);
    }
    expect(missed).toEqual([]);
  });

  test('[R3] finds every truncation', async () => {
    for (let length = 0; length < intact.length; length++) {
      expect(await isBelieved(intact.subarray(0, length)), `first ${length} bytes`).toBe(false);
    }
  });

  test('[T3] finds events that are out of order', async () => {
    const swapped = [STEPS[0], STEPS[1], STEPS[3], STEPS[2]] as Step[];
    expect(await problemsOf(await written(swapped))).toEqual([
      'event 4 of player bob: it does not come after event 3 in the order of the timeline (T3)',
    ]);
  });

  test('[W2] finds an event that is there twice', async () => {
    const twice = [...STEPS, { time: 400, pseq: 3 }];
    expect(await problemsOf(await written(twice))).toEqual([
      'event 5 of player ann: its number 3 comes after number 3 of the same producer',
    ]);
  });

  test('[T3] finds a seq that is there twice, next to the other and far from it', async () => {
    const twice = 'block 0 at byte 16: its event 2 is there already: a seq is given once';
    expect(await problemsOf(await written([...STEPS, { seq: 2, time: 400, pseq: 4 }]))).toEqual([twice]);
    expect(await problemsOf(await written([...STEPS.slice(0, 2), { seq: 2, time: 400, pseq: 3 }]))).toEqual([twice]);
    const late = [
      { seq: 3, time: 100, pseq: 1 },
      { seq: 1, time: 200, pseq: 1, producer: 1 },
      { time: 300, pseq: 2, seq: 2 },
    ];
    expect(await problemsOf(await written(late))).toEqual([]);
  });

  test('[W6] finds a hole that no gap states, and none in one that is stated', async () => {
    const holed = [...STEPS, { time: 400, pseq: 7 }];
    expect(await problemsOf(await written(holed))).toEqual([
      'event 5 of player ann: numbers 4 to 6 of its producer are missing, and no gap says so',
    ]);
    const stated = await written(holed, [[4, 6]]);
    expect(await verifyRecording(new BytesSource(stated))).toMatchObject({ intact: true, complete: false });
  });
});

test('[R3] what is lost with a block is told from its own header: its seqs may lie among those of others', async () => {
  const late = [
    { seq: 1, time: 100, pseq: 1 },
    { seq: 5, time: 200, pseq: 2 },
    { seq: 3, time: 300, pseq: 3 },
  ];
  const bytes = Uint8Array.from(await written(late));
  const lostAt = async (at: number) => {
    const damaged = Uint8Array.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    return (await problemsOf(damaged)).find((line) => line.startsWith('block 0'))?.split('; ')[1];
  };
  expect(await lostAt(16 + 92 + 5)).toBe('lost: 3 entries, events 1 to 5, seconds 0.000 to 0.000');
  expect(await lostAt(16 + 30)).toBe('lost: 3 entries, events from 1 on, seconds 0.000 to 0.000');
});

describe('what stands around the blocks', () => {
  const FOOTER = 32;

  /** The footer with a number of 8 bytes in it changed, and its own crc right. */
  async function withFooter(at: number, value: bigint): Promise<Uint8Array> {
    const bytes = Uint8Array.from(await written(STEPS));
    const view = new DataView(bytes.buffer, bytes.length - FOOTER);
    view.setBigUint64(at, value, true);
    view.setUint32(24, crc32(bytes.subarray(bytes.length - FOOTER, bytes.length - 8)), true);
    return bytes;
  }

  test('[R3] a footer with numbers that can be no place in a file is none: all blocks come back', async () => {
    for (const at of [0, 16]) {
      const bytes = await withFooter(at, 2n ** 60n);
      expect(await problemsOf(bytes)).toEqual([
        'footer: there is none that is intact: the recording was never finished, or its end is gone',
      ]);
      const recovered = await recover(bytes);
      expect(recovered?.report).toMatchObject({ entries: 4, complete: true, lost: [] });
    }
  });

  test('[R5] a header of another version is refused, however intact the rest is; other flags are reported', async () => {
    const changed = async (offset: number, value: number) => {
      const bytes = Uint8Array.from(await written(STEPS));
      const view = new DataView(bytes.buffer);
      view.setUint32(offset, value, true);
      view.setUint32(12, crc32(bytes.subarray(0, 12)), true);
      return bytes;
    };
    await expect(problemsOf(await changed(4, 3))).rejects.toThrow('expected version 2 of the format, found 3');
    expect(await problemsOf(await changed(8, 5))).toEqual([
      'header: the first 16 bytes are not the header of a version 2 recording',
    ]);
  });

  test('[R3] a file that lost both ends is damaged, not something else', async () => {
    const bytes = await written(STEPS);
    // Its only block lies where the header should be.
    await expect(problemsOf(bytes.subarray(16, bytes.length - FOOTER))).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});

/** True if a damaged file passes for intact. */
async function isBelieved(bytes: Uint8Array): Promise<boolean> {
  try {
    return (await verifyRecording(new BytesSource(bytes))).intact;
  } catch {
    return false;
  }
}
