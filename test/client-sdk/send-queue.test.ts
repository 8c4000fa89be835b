import { describe, expect, test } from 'vitest';
import { SendQueue } from '../../client-sdk/dist/send-queue.js';

const MINUTE_US = 60_000_000;

describe('the send queue', () => {
  test('[W3] it is overfull with over 8 MiB, sent or not', () => {
    const queue = new SendQueue();
    for (let i = 1; i <= 8; i++) add(queue, i, { bytes: 1024 * 1024 });
    expect(queue.isOverfull(0, 8)).toBe(false);
    add(queue, 9, { bytes: 1 });
    expect(queue.isOverfull(0, 9)).toBe(true);
    queue.release(1);
    expect(queue.isOverfull(0, 9)).toBe(false);
  });

  test('[W3] it is overfull when something was not sent for over 10 minutes', () => {
    const queue = new SendQueue();
    add(queue, 1, { queuedAt: 0 });
    add(queue, 2, { queuedAt: MINUTE_US });
    expect(queue.isOverfull(10 * MINUTE_US, 0)).toBe(false);
    expect(queue.isOverfull(10 * MINUTE_US + 1, 0)).toBe(true);
    // What was sent may have arrived: it is the next one that counts.
    expect(queue.isOverfull(10 * MINUTE_US + 1, 1)).toBe(false);
    expect(queue.isOverfull(60 * MINUTE_US, 2)).toBe(false);
  });

  test('[W3] what is dropped is named, with the stamp of the last event that is not', () => {
    const queue = new SendQueue();
    for (let i = 0; i < 5; i++) addRange(queue, i * 10 + 1, i * 10 + 10);
    expect(queue.dropAfter(50)).toBeUndefined();
    expect(queue.dropAfter(40)).toEqual({ firstPseq: 41, lastPseq: 50, stamp: 4_000 });
    expect(queue.after(40)).toBeUndefined();
    // In the middle of a message: it goes whole, as it is only ever sent as the bytes it is.
    expect(queue.dropAfter(33)).toEqual({ firstPseq: 34, lastPseq: 40, stamp: 3_300 });
    expect(queue.after(30)).toBeUndefined();
    expect(queue.dropAfter(0)).toEqual({ firstPseq: 1, lastPseq: 30, stamp: 0 });
    expect(queue.bytes).toBe(0);
  });

  test('[W3] a gap may be dropped for a longer one', () => {
    const queue = new SendQueue();
    addRange(queue, 1, 10);
    queue.add({ bytes: new Uint8Array(1), firstPseq: 11, lastPseq: 20, stamps: [1_000], queuedAt: 0 });
    addRange(queue, 21, 30);
    expect(queue.dropAfter(10)).toEqual({ firstPseq: 11, lastPseq: 30, stamp: 1_000 });
  });

  test('[W2] it finds the message to go on with, also among thousands that are released', () => {
    const queue = new SendQueue();
    for (let i = 1; i <= 5_000; i++) {
      addRange(queue, i * 3 - 2, i * 3);
      if (i % 7 === 0) queue.release(Math.min(i * 3 - 9, 13_000));
    }
    queue.release(14_000);
    for (const pseq of [14_000, 14_001, 14_500, 14_999]) {
      const { firstPseq, lastPseq } = queue.after(pseq) ?? { firstPseq: 0, lastPseq: 0 };
      expect([firstPseq <= pseq + 1, lastPseq > pseq]).toEqual([true, true]);
    }
    expect(queue.after(15_000)).toBeUndefined();
    queue.release(15_000);
    expect(queue.bytes).toBe(0);
  });
});

function add(queue: SendQueue, pseq: number, { bytes = 1, queuedAt = 0 }: { bytes?: number; queuedAt?: number }): void {
  queue.add({ bytes: new Uint8Array(bytes), firstPseq: pseq, lastPseq: pseq, stamps: [0, 0], queuedAt });
}

/** One message; event n is stamped 100 n. */
function addRange(queue: SendQueue, firstPseq: number, lastPseq: number): void {
  const stamps = Array.from({ length: lastPseq - firstPseq + 2 }, (_, i) => (firstPseq - 1 + i) * 100);
  queue.add({ bytes: new Uint8Array(3), firstPseq, lastPseq, stamps, queuedAt: 0 });
}
