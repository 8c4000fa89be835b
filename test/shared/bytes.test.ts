import { crc32 as zlibCrc32 } from 'node:zlib';
import { ByteReader, ByteWriter, crc32 } from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from '../support/arbitraries.ts';
import { truncations } from '../support/damage.ts';
import { codeOf } from '../support/errors.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const powers = Array.from({ length: 53 }, (_, bit) => 2 ** bit);
const boundaries = [0, ...powers, ...powers.map((power) => power - 1), MAX, MAX - 1];

describe('numbers', () => {
  test('a varint comes back at every boundary, in as few bytes as it needs', () => {
    for (const value of boundaries) {
      const bytes = written((writer) => writer.varint(value));
      expect(bytes.length).toBe(Math.max(1, Math.ceil(value.toString(2).length / 7)));
      expect(readAll(bytes, (reader) => reader.varint())).toBe(value);
    }
  });

  test('a zigzag comes back at every boundary, with its sign', () => {
    for (const value of boundaries.filter((one) => one < 2 ** 52).flatMap((one) => [one, -one - 1])) {
      const bytes = written((writer) => writer.zigzag(value));
      expect(readAll(bytes, (reader) => reader.zigzag())).toBe(value);
    }
  });

  test('a zigzag unit comes back, and multiples of 100 take fewer bytes', () => {
    const numbers = fc.oneof(fc.maxSafeInteger(), fc.integer()).filter((n) => Math.abs(n) < 2 ** 51);
    fc.assert(
      fc.property(numbers, (number) => {
        for (const value of [number, Math.trunc(number / 100) * 100 + 0]) {
          expect(
            readAll(
              written((writer) => writer.zigzagUnit(value)),
              (reader) => reader.zigzagUnit(),
            ),
          ).toBe(value);
        }
      }),
    );
    expect(written((writer) => writer.zigzagUnit(3_100)).length).toBe(1);
    expect(written((writer) => writer.zigzagUnit(-3_101)).length).toBe(2);
  });

  test('fixed-size numbers come back', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.double(), (big, small, float) => {
        const bytes = written((writer) => {
          writer.u64(big);
          writer.u32(small);
          writer.f64(float);
        });
        const reader = new ByteReader(bytes, 'DAMAGED');
        expect([reader.u64(), reader.u32(), reader.f64(), reader.left]).toEqual([big, small, float, 0]);
      }),
    );
  });

  test('a number that its field cannot hold is never written as another', () => {
    const writer = new ByteWriter();
    for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, MAX + 1]) {
      expect(() => writer.varint(value)).toThrow(TypeError);
      expect(() => writer.u64(value)).toThrow(TypeError);
    }
    for (const value of [2 ** 52, -(2 ** 52) - 1, 0.1]) expect(() => writer.zigzag(value)).toThrow(TypeError);
    for (const value of [2 ** 52 + 1, 0.1]) expect(() => writer.zigzagUnit(value)).toThrow(TypeError);
    expect(writer.length).toBe(0);
  });

  test('[W11] needless bytes, more than 8 bytes and numbers over 2^53 are refused', () => {
    const varint = (...bytes: number[]) => codeOf(() => new ByteReader(Uint8Array.from(bytes), 'BAD_MESSAGE').varint());
    expect(varint(0x80, 0x00)).toBe('BAD_MESSAGE');
    expect(varint(0xff, 0x80, 0x00)).toBe('BAD_MESSAGE');
    expect(varint(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)).toBeUndefined();
    expect(varint(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10)).toBe('BAD_MESSAGE');
    expect(varint(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)).toBe('BAD_MESSAGE');
    const coarse = written((writer) => writer.varint(2 ** 53 - 4));
    expect(codeOf(() => new ByteReader(coarse, 'BAD_MESSAGE').zigzagUnit())).toBe('BAD_MESSAGE');
    const u64 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0);
    expect(codeOf(() => new ByteReader(u64, 'BAD_MESSAGE').u64())).toBe('BAD_MESSAGE');
  });
});

describe('text', () => {
  test('[D2] text comes back byte for byte, at every length around the size of its length', () => {
    const lengths = [0, 1, 23, 24, 42, 43, 63, 64, 127, 128, 5_461, 5_462, 16_383, 16_384, 70_000];
    for (const unit of ['a', 'é', '世', '😀']) {
      for (const length of lengths) {
        const text = unit.repeat(length);
        const bytes = written((writer) => writer.text(text));
        expect(readAll(bytes, (reader) => reader.text())).toBe(text);
        expect(
          Buffer.from(bytes)
            .subarray(-Buffer.byteLength(text) || bytes.length)
            .toString(),
        ).toBe(text);
      }
    }
    fc.assert(
      fc.property(fc.array(anyText(60)), (texts) => {
        const writer = new ByteWriter(1);
        for (const text of texts) writer.text(text);
        const reader = new ByteReader(writer.take(), 'DAMAGED');
        expect(texts.map(() => reader.text())).toEqual(texts);
        reader.end();
      }),
    );
  });

  test('[W11] bytes that are not UTF-8 are refused', () => {
    const bad = ['80', 'c0af', 'c1bf', 'e08080', 'eda080', 'edbfbf', 'f08080af', 'f4908080', 'f5808080', 'e282', 'ff'];
    for (const hex of bad) {
      const utf8 = Buffer.from(hex, 'hex');
      for (const bytes of [utf8, Buffer.concat([Buffer.from('x'.repeat(40)), utf8])]) {
        expect(codeOf(() => new ByteReader(bytes, 'BAD_MESSAGE').utf8(bytes.length))).toBe('BAD_MESSAGE');
      }
    }
  });
});

describe('a reader', () => {
  test('[W11] refuses every truncation with its own code', () => {
    const write = (writer: ByteWriter) => {
      writer.varint(300);
      writer.zigzag(-70_000);
      writer.zigzagUnit(123_456);
      writer.u32(7);
      writer.u64(2 ** 40);
      writer.f64(0.1);
      writer.text('née 😀');
      writer.raw(Uint8Array.of(1, 2, 3));
      writer.byte(9);
    };
    const read = (reader: ByteReader) => [
      reader.varint(),
      reader.zigzag(),
      reader.zigzagUnit(),
      reader.u32(),
      reader.u64(),
      reader.f64(),
      reader.text(),
      [...reader.raw(3)],
      reader.byte(),
    ];
    const whole = written(write);
    expect(readAll(whole, read)).toEqual([300, -70_000, 123_456, 7, 2 ** 40, 0.1, 'née 😀', [1, 2, 3], 9]);
    for (const bytes of truncations(whole)) {
      expect(codeOf(() => read(new ByteReader(bytes, 'BAD_RECORDING')))).toBe('BAD_RECORDING');
    }
    // The end of a sub-reader is as hard as the end of the bytes.
    for (let length = 0; length < whole.length; length++) {
      const sub = new ByteReader(whole, 'BAD_MESSAGE').sub(length);
      expect(codeOf(() => read(sub))).toBe('BAD_MESSAGE');
    }
  });

  test('[W11] refuses counts that promise more than is there, and what trails', () => {
    const reader = (...bytes: number[]) => new ByteReader(Uint8Array.from(bytes), 'BAD_MESSAGE');
    expect(reader(3, 0, 0, 0).count(1)).toBe(3);
    expect(codeOf(() => reader(4, 0, 0, 0).count(1))).toBe('BAD_MESSAGE');
    expect(codeOf(() => reader(2, 0, 0, 0).count(2))).toBe('BAD_MESSAGE');
    expect(codeOf(() => reader(0xff, 0xff, 0xff, 0xff, 0x0f).count(1))).toBe('BAD_MESSAGE');
    expect(codeOf(() => reader(0xff, 0xff, 0xff, 0x7f).text())).toBe('BAD_MESSAGE');
    expect(codeOf(() => reader(1).end())).toBe('BAD_MESSAGE');
  });

  test('reads from a view into a larger buffer', () => {
    const large = Uint8Array.of(9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    expect(new ByteReader(large.subarray(2, 6), 'DAMAGED').u32()).toBe(0x04030201);
    expect([...new ByteReader(large.subarray(2), 'DAMAGED', 1, 3).raw(2)]).toEqual([2, 3]);
  });
});

describe('a writer', () => {
  test('grows from nothing and starts over after take', () => {
    const writer = new ByteWriter(0);
    for (let i = 0; i < 1_000; i++) writer.byte(i & 0xff);
    const first = writer.take();
    writer.byte(7);
    expect(first).toEqual(Uint8Array.from({ length: 1_000 }, (_, i) => i & 0xff));
    expect(writer.take()).toEqual(Uint8Array.of(7));
  });
});

test('the crc is the one of gzip, also when it is continued', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (one, other) => {
      expect(crc32(one)).toBe(zlibCrc32(one));
      expect(crc32(other, crc32(one))).toBe(zlibCrc32(Buffer.concat([one, other])));
    }),
  );
});

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  write(writer);
  return writer.take();
}

function readAll<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes, 'DAMAGED');
  const value = read(reader);
  reader.end();
  return value;
}
