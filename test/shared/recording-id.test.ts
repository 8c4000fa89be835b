import { isId, makeRecordingId, recordingIdBytes, recordingIdText } from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../support/errors.ts';

const anyBytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe('recording ids', () => {
  test('[S1] text and bytes are the same id, and the text is an id like any other', () => {
    fc.assert(
      fc.property(anyBytes(16), (bytes) => {
        const text = recordingIdText(bytes);
        expect(isId(text)).toBe(true);
        expect(recordingIdBytes(text)).toEqual(bytes);
      }),
    );
    expect(recordingIdText(new Uint8Array(16))).toBe('0'.repeat(26));
    expect(recordingIdText(new Uint8Array(16).fill(255))).toBe(`7${'Z'.repeat(25)}`);
  });

  test('ids of a later millisecond sort after those of an earlier one', () => {
    const millisecond = fc.nat({ max: 2 ** 48 - 1 });
    fc.assert(
      fc.property(millisecond, millisecond, anyBytes(10), anyBytes(10), (one, other, a, b) => {
        const [first, second] = [makeRecordingId(one, a), makeRecordingId(other, b)];
        if (one !== other) expect(first < second).toBe(one < other);
        expect(recordingIdBytes(first).subarray(6)).toEqual(a);
      }),
    );
    expect(makeRecordingId(1_469_918_176_385, new Uint8Array(10))).toBe(`01ARYZ6S41${'0'.repeat(16)}`);
  });

  test('[S1] anything else is BAD_ID', () => {
    const good = makeRecordingId(1, new Uint8Array(10).fill(7));
    const bad = ['', good.slice(1), `${good}0`, good.toLowerCase(), `8${good.slice(1)}`, 'x'.repeat(1_000_000)];
    for (const letter of 'ILOU-_/.é😀\n') bad.push(`${good.slice(0, 25)}${letter}`);
    for (const text of bad) expect(codeOf(() => recordingIdBytes(text))).toBe('BAD_ID');
  });
});
