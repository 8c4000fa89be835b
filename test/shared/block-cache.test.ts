import { describe, expect, test } from 'vitest';
import { BlockCache } from '../../shared/dist/recording/block-cache.js';

/** Loads `block <index>` of 10 bytes and remembers what it was asked for. */
function countingLoader() {
  const asked: number[] = [];
  const loader = async (index: number) => {
    asked.push(index);
    return { block: `block ${index}`, rawLength: 10 };
  };
  return { asked, loader };
}

describe('[R2] the cache of decoded blocks', () => {
  test('keeps what was used last, up to its bytes', () => {
    const cache = new BlockCache<string>(30);
    for (const index of [1, 2, 3]) cache.set(index, `block ${index}`, 10);
    expect(cache.get(1)).toBe('block 1');
    cache.set(4, 'block 4', 10);
    expect([1, 2, 3, 4].map((index) => cache.get(index))).toEqual(['block 1', undefined, 'block 3', 'block 4']);
    expect({ bytes: cache.bytes, size: cache.size }).toEqual({ bytes: 30, size: 3 });
    cache.set(5, 'block 5', 25);
    expect([1, 3, 4, 5].map((index) => cache.get(index))).toEqual([undefined, undefined, undefined, 'block 5']);
  });

  test('keeps at least the block used last, however long it is', () => {
    for (const maxBytes of [30, 0]) {
      const cache = new BlockCache<string>(maxBytes);
      cache.set(1, 'small', 10);
      cache.set(2, 'huge', 1_000);
      expect({ first: cache.get(1), last: cache.get(2), bytes: cache.bytes }).toEqual({ last: 'huge', bytes: 1_000 });
      cache.set(3, 'small', 10);
      expect({ huge: cache.get(2), bytes: cache.bytes }).toEqual({ bytes: 10 });
    }
  });

  test('counts a block that is replaced once', () => {
    const cache = new BlockCache<string>(30);
    cache.set(1, 'old', 20);
    cache.set(1, 'new', 5);
    expect({ block: cache.get(1), bytes: cache.bytes, size: cache.size }).toEqual({ block: 'new', bytes: 5, size: 1 });
    // Empty blocks cost nothing, and are not thrown out for others.
    cache.set(2, 'empty', 0);
    cache.set(3, 'other', 25);
    expect(cache.size).toBe(3);
  });

  test('loads a block once, however many ask for it at the same time', async () => {
    const cache = new BlockCache<string>(100);
    const { asked, loader } = countingLoader();
    const blocks = await Promise.all([1, 2, 1, 1, 2].map((index) => cache.load(index, loader)));
    expect(blocks).toEqual([1, 2, 1, 1, 2].map((index) => `block ${index}`));
    await cache.load(1, loader);
    expect(asked).toEqual([1, 2]);
  });

  test('loads again what had to go, and counts a load as a use', async () => {
    const cache = new BlockCache<string>(20);
    const { asked, loader } = countingLoader();
    for (const index of [1, 2, 1, 3, 1, 2]) await cache.load(index, loader);
    expect(asked).toEqual([1, 2, 3, 2]);
  });

  test('gives a failure to all who wait for it, and tries again for the next', async () => {
    const cache = new BlockCache<string>(100);
    let fails = true;
    const loader = async () => {
      if (fails) throw new Error('gone');
      return { block: 'here', rawLength: 1 };
    };
    const results = await Promise.allSettled([cache.load(1, loader), cache.load(1, loader)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(cache.size).toBe(0);
    fails = false;
    expect(await cache.load(1, loader)).toBe('here');
  });

  test('loads an undefined block too only once', async () => {
    const cache = new BlockCache<undefined>(100);
    let loads = 0;
    const loader = async () => {
      loads++;
      return { block: undefined, rawLength: 1 };
    };
    await cache.load(1, loader);
    await cache.load(1, loader);
    expect(loads).toBe(1);
  });

  test('refuses lengths that are none', () => {
    for (const bad of [-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY]) {
      expect(() => new BlockCache<string>(10).set(1, 'x', bad)).toThrow(TypeError);
    }
    for (const bad of [-1, Number.NaN]) expect(() => new BlockCache(bad)).toThrow(TypeError);
  });
});
