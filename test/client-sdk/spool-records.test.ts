import { crc32, encodeMessage } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { readSpool, SpoolRecords, tailOf } from '../../client-sdk/dist/spool/spool-records.js';

const HEAD = { room: 'r', player: 'ann', instance: 'aa', profile: 'json', recordingId: 'rec' };
const MESSAGES = 12;

function messageOf(firstPseq: number, count: number) {
  const events = Array.from({ length: count }, (_, index) => ({
    stampDelta: 100,
    body: Uint8Array.of(firstPseq, index, 7, 0, 0, 0),
  }));
  const bytes = encodeMessage({ kind: 'events-up', firstPseq, events });
  const stamps = Array.from({ length: count + 1 }, (_, index) => (firstPseq - 1 + index) * 100);
  return { bytes, firstPseq, lastPseq: firstPseq + count - 1, stamps, queuedAt: 0 };
}

/** A segment with a start and messages of one to three events, all of them settled, and where each record ends. */
function segmentOf(): { bytes: Uint8Array; ends: number[]; messages: ReturnType<typeof messageOf>[] } {
  const records = new SpoolRecords(crc32);
  const parts: Uint8Array[] = [];
  const take = () => parts.push(records.take());
  records.start({ head: HEAD, helloState: Uint8Array.of(1), keyframe: Uint8Array.of() });
  take();
  const messages: ReturnType<typeof messageOf>[] = [];
  let pseq = 1;
  for (let i = 0; i < MESSAGES; i++) {
    const message = messageOf(pseq, 1 + (i % 3));
    pseq = message.lastPseq + 1;
    messages.push(message);
    records.message(message, pseq * 100, 1_700_000_000_000 + i, true);
    take();
  }
  const bytes = Buffer.concat(parts);
  const ends: number[] = [];
  for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.length);
  return { bytes, ends, messages };
}

function read(bytes: Uint8Array) {
  return readSpool([{ number: 1, bytes }], crc32);
}

describe('[W3] a spool as it is found', () => {
  const { bytes, ends, messages } = segmentOf();

  test('whole, it gives back the identical messages, and says that it is all', () => {
    const content = read(bytes);
    expect(content.messages.map((one) => Buffer.from(one.bytes))).toEqual(
      messages.map((one) => Buffer.from(one.bytes)),
    );
    const placeOf = ({ firstPseq, lastPseq, stamps: [before] }: (typeof messages)[number]) => [
      firstPseq,
      lastPseq,
      before,
    ];
    expect(content.messages.map((one) => placeOf({ ...one, stamps: [...one.stamps] }))).toEqual(messages.map(placeOf));
    expect(content).toMatchObject({ isSettled: true, damagedBytes: 0, isForeign: false, stable: 0 });
    expect(content.starts.map(({ start }) => start.head)).toEqual([HEAD]);
  });

  test('cut at every byte, it gives every message before the cut, and claims to be whole only between two records', () => {
    for (let length = 0; length <= bytes.length; length++) {
      const content = read(bytes.subarray(0, length));
      const intact = Math.max(
        0,
        ends.findLastIndex((end) => end <= length),
      );
      expect(content.messages.length, `cut at ${length}`).toBe(length < (ends[0] as number) ? 0 : intact);
      const isClean = length === 0 || ends.includes(length);
      expect(content.damagedBytes > 0, `cut at ${length}`).toBe(!isClean);
      if (!isClean) expect(content.isSettled, `cut at ${length}`).toBe(false);
    }
  });

  test('with any bit flipped, it lacks one message at most, and never gives a changed one', () => {
    const sent = new Set(messages.map((one) => Buffer.from(one.bytes).toString('hex')));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const content = read(flipped);
      expect(content.damagedBytes, `bit ${bit}`).toBeGreaterThan(0);
      const inHead = bit >> 3 < (ends[0] as number);
      expect(content.messages.length, `bit ${bit}`).toBe(inHead ? MESSAGES : MESSAGES - 1);
      for (const one of content.messages) expect(sent.has(Buffer.from(one.bytes).toString('hex'))).toBe(true);
    }
  });

  test('a gap takes the place of what it stands for, and what is stable is no tail', () => {
    const records = new SpoolRecords(crc32);
    records.start({ head: HEAD, helloState: new Uint8Array(0), keyframe: new Uint8Array(0) });
    for (const firstPseq of [1, 3, 5]) records.message(messageOf(firstPseq, 2), 0, 0, true);
    const gap = { bytes: encodeMessage({ kind: 'gap', firstPseq: 3, lastPseq: 6, reason: 'full' }), stamps: [200] };
    records.message({ ...gap, firstPseq: 3, lastPseq: 6, queuedAt: 0 }, 0, 0, false);
    records.stable(2);
    const content = read(records.take());
    expect(content.messages.map(({ firstPseq, lastPseq }) => [firstPseq, lastPseq])).toEqual([
      [1, 2],
      [3, 6],
    ]);
    expect(tailOf(content).map(({ bytes }) => Buffer.from(bytes))).toEqual([Buffer.from(gap.bytes)]);
    expect(content.isSettled).toBe(false);
  });

  test('of another version, it is not read', () => {
    const foreign = Uint8Array.from(bytes);
    foreign[9] = 2;
    new DataView(foreign.buffer).setUint32(4, crc32(foreign.subarray(8, ends[0])), true);
    expect(read(foreign)).toMatchObject({ isForeign: true, messages: [] });
  });
});
