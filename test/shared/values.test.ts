import {
  ByteReader,
  ByteWriter,
  canonicalJson,
  captureJson,
  decodeValue,
  encodeValue,
  type Json,
  jsonEqual,
  LIMITS,
} from '@gametape/shared';
import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { anyJson } from '../support/arbitraries.ts';
import { bitFlips, truncations } from '../support/damage.ts';
import { codeOf, errorOf } from '../support/errors.ts';

describe('values', () => {
  test('what is encoded is read back, by this reader and by msgpackr', () => {
    const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
    fc.assert(
      fc.property(anyJson(), (value) => {
        const bytes = encoded(value);
        expect(decoded(bytes)).toEqual(value);
        expect(unpackr.unpack(bytes)).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  test('what msgpackr encodes is read, with and without its smaller maps', () => {
    const packrs = [new Packr({ useRecords: false }), new Packr({ useRecords: false, variableMapSize: true })];
    fc.assert(
      fc.property(anyJson(), (value) => {
        for (const packr of packrs) expect(decoded(packr.pack(value))).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  test('numbers of every MessagePack size are read', () => {
    const sizes: [string, number][] = [
      ['00', 0],
      ['7f', 127],
      ['e0', -32],
      ['ff', -1],
      ['ccff', 255],
      ['cdffff', 65_535],
      ['ceffffffff', 2 ** 32 - 1],
      ['cf001fffffffffffff', 2 ** 53 - 1],
      ['d080', -128],
      ['d18000', -32_768],
      ['d280000000', -(2 ** 31)],
      ['d3ffe0000000000001', -(2 ** 53) + 1],
      ['d3ffffffffffffffff', -1],
      ['ca3fc00000', 1.5],
      ['cb3ff8000000000000', 1.5],
    ];
    for (const [hex, number] of sizes) expect(decoded(Buffer.from(hex, 'hex'))).toBe(number);
    expect(Object.is(decoded(Buffer.from('cb8000000000000000', 'hex')), 0)).toBe(true);
  });

  test('[W11] whatever is not in the subset is refused', () => {
    const hostile = {
      'byte c1': 'c1',
      'bin 8, 16, 32': ['c40100', 'c5000100', 'c60000000100'],
      'ext and fixext': ['d40000', 'd501ffff', 'd6ff00000000', 'c7010000', 'c800010000', 'c90000000100'],
      'a record definition of msgpackr': 'd472409161',
      'a huge array': ['ddffffffff', 'dcffff', 'dd7fffffff00'],
      'a huge map': ['dfffffffff', 'deffff', 'df7fffffffa000'],
      'a huge text': ['dbffffffff', 'daffff', 'd9ff', 'bf'],
      'NaN and infinities': ['ca7fc00000', 'cb7ff8000000000000', 'cb7ff0000000000000', 'caff800000'],
      'numbers over 2^53': ['cf0020000000000000', 'cfffffffffffffffff', 'd3ffdfffffffffffff', 'd38000000000000000'],
      'a key twice': '82a16101a16102',
      'a key that is no text': ['810101', '81c001', '819001', '81c20a'],
      'a forbidden key': ['__proto__', 'prototype', 'constructor'].map(
        (key) => `81${(0xa0 + key.length).toString(16)}${Buffer.from(key).toString('hex')}80`,
      ),
      'bad UTF-8': ['a180', 'a2c0af', 'a3eda080', '81a18001', `d928${'61'.repeat(39)}ff`],
      'what trails': ['0000', '90c0', 'a16100'],
      nothing: '',
    };
    for (const [what, hexes] of Object.entries(hostile)) {
      for (const hex of [hexes].flat())
        expect([what, codeOf(() => decoded(Buffer.from(hex, 'hex')))]).toEqual([what, 'BAD_MESSAGE']);
    }
  });

  test('[W11] a body of maps inside maps is refused before the stack ends', () => {
    const arrays = Buffer.alloc(100_000, 0x91);
    const maps = Buffer.from('81a161'.repeat(100_000), 'hex');
    for (const bytes of [arrays, maps]) expect(codeOf(() => decoded(bytes))).toBe('BAD_MESSAGE');
    const nested = (depth: number) => decoded(Buffer.from(`${'91'.repeat(depth)}01`, 'hex'));
    expect(codeOf(() => nested(LIMITS.depth))).toBeUndefined();
    expect(codeOf(() => nested(LIMITS.depth + 1))).toBe('BAD_MESSAGE');
  });

  test('[W11] a promise of four billion items allocates nothing', () => {
    const promises = ['ddffffffff', 'dfffffffff', 'dbffffffff'].map((hex) => Buffer.from(hex + '00'.repeat(64), 'hex'));
    const before = process.memoryUsage();
    for (let i = 0; i < 2_000; i++) for (const bytes of promises) codeOf(() => decoded(bytes));
    const after = process.memoryUsage();
    expect(after.arrayBuffers + after.heapTotal - before.arrayBuffers - before.heapTotal).toBeLessThan(64 * 2 ** 20);
  });

  test('[W11] keys are not nodes: whatever can be captured can be read', () => {
    const keys = Array.from({ length: LIMITS.nodes - 1 }, (_, index) => [`k${index}`, index]);
    const value = captureJson(Object.fromEntries(keys), 'state');
    expect(decoded(encoded(value))).toEqual(value);
    const array = captureJson(new Array(LIMITS.nodes - 1).fill(0), 'list') as Json[];
    expect(decoded(encoded(array))).toEqual(array);
    expect(codeOf(() => decoded(encoded([...array, 0])))).toBe('BAD_MESSAGE');
  });

  test('[W11] every truncation and every flipped bit gives a value or an error, and touches no prototype', () => {
    const value = { __proto_: [1, { a: 'é' }], constructo: { b: null, c: [true, -70_000, 1.5] }, prototyp: 'x' };
    const bytes = encoded(value);
    for (const short of truncations(bytes)) expect(codeOf(() => decoded(short))).toBe('BAD_MESSAGE');
    const names = Object.getOwnPropertyNames(Object.prototype);
    for (const flipped of bitFlips(bytes)) {
      const error = errorOf(() => {
        const value = decoded(flipped);
        expect(decoded(encoded(value))).toEqual(value);
      });
      expect([undefined, 'BAD_MESSAGE']).toContain(error?.code);
    }
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(names);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('[W11] random bytes give a value or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect([undefined, 'BAD_MESSAGE']).toContain(codeOf(() => decoded(bytes)));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('capture', () => {
  test('JSON comes back equal, and later changes to the original do not reach it', () => {
    fc.assert(
      fc.property(anyJson(), (value) => {
        expect(captureJson(value, 'value')).toEqual(value);
      }),
    );
    const inner = { list: [1, { deep: 'a' }] };
    const captured = captureJson({ inner }, 'state');
    inner.list.push(2);
    (inner.list[1] as { deep: string }).deep = 'b';
    expect(captured).toEqual({ inner: { list: [1, { deep: 'a' }] } });
  });

  test('each value that is not JSON is refused by its path', () => {
    class Point {
      x = 1;
    }
    const bad: [unknown, string][] = [
      [undefined, 'undefined'],
      [Number.NaN, 'NaN'],
      [Number.NEGATIVE_INFINITY, '-Infinity'],
      [1n, 'bigint'],
      [Symbol('s'), 'symbol'],
      [() => 1, 'function'],
      [new Date(0), 'Date'],
      [new Map(), 'Map'],
      [new Point(), 'Point'],
      [new Uint8Array(1), 'Uint8Array'],
      [Object(1), 'Number'],
    ];
    for (const [value, found] of bad) {
      const error = errorOf(() => captureJson({ a: [0, { b: value }] }, 'data'));
      expect([error?.code, error?.message]).toEqual(['BAD_VALUE', expect.stringContaining('data.a[1].b: ')]);
      expect(error?.message).toContain(found);
    }
    // A hole of an array is no value either.
    expect(errorOf(() => captureJson(new Array(2), 'data'))?.message).toContain('data[0]: ');
  });

  test('[W11] names that reach into every object are refused by their path', () => {
    for (const key of ['__proto__', 'prototype', 'constructor']) {
      const error = errorOf(() => captureJson({ a: JSON.parse(`{"${key}": 1}`) }, 'data'));
      expect([error?.code, error?.message]).toEqual(['BAD_VALUE', expect.stringContaining(`data.a.${key}: `)]);
    }
  });

  test('objects without a prototype are plain, and cycles end at the depth limit', () => {
    const bare = Object.assign(Object.create(null), { a: 1 });
    expect(captureJson(bare, 'data')).toEqual({ a: 1 });
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(codeOf(() => captureJson(cycle, 'data'))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => captureJson(new Array(LIMITS.nodes).fill(0), 'data'))).toBe('LIMIT_EXCEEDED');
  });

  test('[D2] lone surrogates are replaced, in values and in names', () => {
    expect(captureJson(['a\ud800b', { 'k\udc00': '\udfff' }, '😀', -0], 'data')).toEqual([
      'a\ufffdb',
      { 'k\ufffd': '\ufffd' },
      '😀',
      0,
    ]);
    expect(codeOf(() => captureJson({ 'k\ud800': 1, 'k\ud801': 2 }, 'data'))).toBe('BAD_VALUE');
  });
});

describe('comparison', () => {
  test('equal values have the same canonical JSON, others do not', () => {
    fc.assert(
      fc.property(anyJson(), anyJson(), (one, other) => {
        expect(jsonEqual(one, other)).toBe(canonicalJson(one) === canonicalJson(other));
        expect(jsonEqual(one, JSON.parse(JSON.stringify(one)) as Json)).toBe(true);
        expect(JSON.parse(canonicalJson(one))).toEqual(one);
      }),
    );
  });

  test('canonical JSON sorts names by code units and prints numbers as ECMAScript does', () => {
    const value = { '\ufb33': 1, '\u{1f600}': 2, a: [1e21, 1e-7, -0, 0.1], '€': '\u0007"' };
    expect(canonicalJson(value)).toBe('{"a":[1e+21,1e-7,0,0.1],"€":"\\u0007\\"","😀":2,"\ufb33":1}');
  });
});

function encoded(value: Json): Uint8Array {
  const writer = new ByteWriter();
  encodeValue(writer, value);
  return writer.take();
}

function decoded(bytes: Uint8Array): Json {
  const reader = new ByteReader(bytes, 'BAD_MESSAGE');
  const value = decodeValue(reader);
  reader.end();
  return value;
}
