import fc from 'fast-check';
import { expect, test } from 'vitest';
import { comparePlaces, RecentArrivals, TimelineQueue } from '../../client-sdk/dist/arrivals.js';
import type { Arrival } from '../../client-sdk/dist/room-states.js';

test('[T3] arrivals leave the queue in the order of the timeline, whatever order they came in', () => {
  const place = fc.record({ time: fc.nat(20), hlc: fc.nat(2), producer: fc.nat(3) });
  const turns = fc.array(fc.oneof(place, fc.constant('take' as const)), { maxLength: 200 });
  fc.assert(
    fc.property(turns, (all) => {
      const queue = new TimelineQueue();
      const waiting: Arrival[] = [];
      for (const [index, turn] of all.entries()) {
        if (turn === 'take') {
          waiting.sort(comparePlaces);
          expect(queue.shift()).toBe(waiting.shift());
        } else {
          const arrival = arrivalOf(index + 1, turn);
          queue.add(arrival);
          waiting.push(arrival);
        }
        expect(queue.items).toHaveLength(waiting.length);
      }
      expect(queue.items).toEqual(waiting.toSorted(comparePlaces));
      expect(queue.bytes === 0).toBe(waiting.length === 0);
    }),
  );
});

test('[W8] what came lately is kept up to a size, and says where it begins', () => {
  const recent = new RecentArrivals();
  for (let seq = 1; seq <= 3_000; seq++) recent.add(arrivalOf(seq, { time: seq }, 10_000));
  expect(recent.upTo).toBe(3_000);
  // Of 10 KB each, with what an arrival takes beside its body, as many as 4 MiB holds.
  expect(recent.after(recent.from)).toHaveLength(3_000 - recent.from);
  expect(3_000 - recent.from).toBe(Math.floor((4 * 1024 * 1024) / 10_160));
  expect(recent.after(2_998).map(({ seq }) => seq)).toEqual([2_999, 3_000]);
  expect(() => recent.after(recent.from - 1)).toThrow(TypeError);
  recent.startAt(4_000);
  expect([recent.from, recent.after(4_000)]).toEqual([4_000, []]);
});

test('[W4] of several losses each takes back more or less than the one before: what is kept since one is the least', () => {
  const recent = new RecentArrivals();
  for (const seq of [80, 40, 60]) recent.lose(seq);
  expect(recent.losses).toBe(3);
  expect([0, 1, 2].map((loss) => recent.keptSince(loss))).toEqual([40, 40, 60]);
});

function arrivalOf(seq: number, { time = 0, hlc = 0, producer = 0 }, bytes = 1): Arrival {
  return { seq, producer, time, hlc, stamp: time, body: new Uint8Array(bytes), restarts: false };
}
