import { crc32, type GameEvent, GametapeError, JSON_PROFILE } from '@gametape/shared';
import { expect, test } from 'vitest';
import { after, RecentArrivals } from '../../client-sdk/dist/arrivals.js';
import { LiveCursor, type LiveSource } from '../../client-sdk/dist/live-cursor.js';
import { RoomOver } from '../../client-sdk/dist/room-over.js';
import type { Fragment, RoomPast } from '../../client-sdk/dist/room-past.js';
import { type Arrival, RoomStates } from '../../client-sdk/dist/room-states.js';
import { TestProducer } from '../support/test-producer.ts';

const START_US = 1_000_000;
const EVENT: GameEvent = { type: 'keystroke', data: { char: 'x', modifiers: [] } };

// A fragment begins with what is placed before the end of the one before, and goes on at the very time of that.
test.each([
  ['at once', 0],
  ['after the fragments that were named are gone', 1],
  ['after they are gone three times', 3],
])('[V1] [T3] what is placed before the start of a fragment, and at it, is shown %s', async (_, losses) => {
  const arrivals = arrivalsAt([START_US - 5, START_US, START_US, START_US + 1]);
  const cursor = new LiveCursor(sourceOf(arrivals, losses), startAfter(1));
  expect(await stepsOf(cursor, 4)).toEqual([2, 3, 4, 5]);
});

test('[V1] [T3] nor is any of it left out when fragments go in the middle of it', async () => {
  const arrivals = arrivalsAt([START_US - 5, START_US, START_US, START_US + 1]);
  const source = sourceOf(arrivals, 0);
  const cursor = new LiveCursor(source, startAfter(1));
  const first = await stepsOf(cursor, 2);
  // So much comes that what is at hand does not go back that far any more: it lists the fragments anew.
  source.recent.startAt(6);
  expect([...first, ...(await stepsOf(cursor, 2))]).toEqual([2, 3, 4, 5]);
});

test('[T6] [V1] nor what came late, when fragments are listed anew before it is shown', async () => {
  const [late] = arrivalsAt([START_US - 2]);
  const early = { ...(late as Arrival), seq: 4, producer: 1 };
  const source = sourceOf([early, ...arrivalsAt([START_US, START_US + 1])], 0);
  source.recent.startAt(3);
  const cursor = new LiveCursor(source, startAfter(1));
  expect(await stepsOf(cursor, 2)).toEqual([2, 3]);
  source.recent.add(early);
  // Waiting at first among what has arrived, then in a fragment.
  for (const seq of [5, 6]) {
    expect(await cursor.nextTime()).toBe((START_US - 2) / 1e6);
    source.recent.startAt(seq);
  }
  expect(await stepsOf(cursor, 2)).toEqual([4]);
  expect(cursor.stateOf('bob')).toEqual({ n: 0 });
});

test('[W4] [V1] what came instead of what is lost is to come, also where the room is over by then', async () => {
  const arrivals = arrivalsAt([START_US - 5, START_US, START_US + 1, START_US + 2]);
  const source = sourceOf(arrivals, 0);
  source.recent.lose(3);
  source.recent.startAt(3);
  const states = startAfter(0).states;
  const nothing = Object.assign(states, { nextAt: 0, nextTime: () => Number.POSITIVE_INFINITY, step: fail });
  let from = 0;
  const passed: boolean[] = [];
  const over: LiveSource = {
    ...source,
    past: () => Promise.reject(new RoomOver('the-room')),
    statesAfter: () => Promise.reject(new RoomOver('the-room')),
    recorded: async (_, at, isPassed) => {
      from = at;
      // 4 and 5 are other entries now, placed where the lost ones were.
      passed.push(...arrivals.map((place) => isPassed(place)));
      return nothing;
    },
  };
  const again = new LiveCursor(over, { ...startAfter(5), last: after(START_US + 2) });
  expect(await again.nextTime()).toBe(Number.POSITIVE_INFINITY);
  expect([from, passed]).toEqual([START_US + 2, [true, true, false, false]]);
});

test('[W4] [V1] states after a loss are those that are kept, and a step for who looks otherwise says so', async () => {
  const arrivals = arrivalsAt([START_US - 5, START_US, START_US + 1, START_US + 2]);
  const source = sourceOf(arrivals, 0);
  const kept = startAfter(1).states;
  const asked: unknown[] = [];
  const cursor = new LiveCursor(
    {
      ...source,
      statesAfter: async (passed) => {
        asked.push(passed.map(({ seq }) => seq));
        return kept;
      },
    },
    startAfter(1),
  );
  expect(await stepsOf(cursor, 4)).toEqual([2, 3, 4, 5]);
  expect(cursor.stateOf('ann')).toEqual({ n: 3 });
  source.recent.lose(3);
  await cursor.nextTime();
  expect(cursor.step()).toMatchObject({ player: 'ann', at: START_US + 2, event: undefined });
  expect([asked, cursor.stateOf('ann')]).toEqual([[[3]], undefined]);
});

function fail(): never {
  throw new Error('not to be called');
}

function startAfter(seq: number) {
  const producers = new Map(
    ['ann', 'bob'].map((player, index) => [index, { index, player, instance: `of-${player}` }]),
  );
  return { states: new RoomStates(JSON_PROFILE, producers, crc32), queue: [], seq, last: after(START_US), losses: 0 };
}

/** Seqs from 2 on. */
function arrivalsAt(times: readonly number[]): Arrival[] {
  const producer = new TestProducer(JSON_PROFILE);
  return times.map((time, index) => ({
    seq: index + 2,
    producer: 0,
    time,
    hlc: index,
    stamp: time,
    body: producer.encode(EVENT, { n: index }, time),
    restarts: false,
  }));
}

/** A past of one fragment, which is not there the first `losses` times. */
function sourceOf(arrivals: readonly Arrival[], losses: number): LiveSource {
  const [firstSeq, lastSeq] = [2, arrivals.length + 1];
  const row = { name: 'f', firstSeq, lastSeq, firstTime: START_US - 5, lastTime: START_US + 1, startTime: START_US };
  const fragment: Fragment = {
    row,
    keyframes: () => [],
    length: arrivals.length,
    placeAt: (index) => arrivals[index] as Arrival,
    at: (index) => arrivals[index] as Arrival,
  };
  let lossesLeft = losses;
  const load = () =>
    lossesLeft-- > 0 ? Promise.reject(new GametapeError('NOT_FOUND', 'gone')) : Promise.resolve(fragment);
  const recent = new RecentArrivals();
  recent.startAt(lastSeq);
  let loaded = false;
  const past = {
    rows: [row],
    headSeq: lastSeq,
    load: () => {
      if (loaded) return fragment;
      return load().then((found) => {
        loaded = true;
        return found;
      });
    },
  };
  return {
    recent,
    rest: undefined,
    secondsAt: (time) => time / 1e6,
    past: async () => past as unknown as RoomPast,
    statesAfter: () => Promise.reject(new Error('nothing is lost')),
    recorded: () => Promise.reject(new Error('the room is not over')),
  };
}

async function stepsOf(cursor: LiveCursor, count: number): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < count && Number.isFinite(await cursor.nextTime())) seqs.push(cursor.step().seq);
  return seqs;
}
