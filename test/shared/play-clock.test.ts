import { EventType, type GameEvent, LIMITS, PlayClock } from '@gametape/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runningTime } from '../support/running-time.ts';

type TimedEvent = readonly [number, string, GameEvent];

const END = 60;
const anyEvent: fc.Arbitrary<GameEvent> = fc.oneof(
  fc.constantFrom(0, 0, 1, 2).map((speed) => ({ type: EventType.SPEED_CHANGE, data: { speed } })),
  fc.constant({ type: EventType.PLAYER_LEAVE, data: { reason: 'left' } }),
  fc.constant({ type: EventType.KEYSTROKE, data: { char: 'a', modifiers: [] } }),
);
const anyTimeline = fc
  .array(fc.tuple(fc.nat({ max: END }), fc.constantFrom('ada', 'bob', 'eve'), anyEvent), { maxLength: 25 })
  .map((events) => events.toSorted(([a], [b]) => a - b));

describe('play time', () => {
  test('[T7] is the room time that was not paused by anybody', () => {
    fc.assert(
      fc.property(anyTimeline, (events) => {
        const clock = new PlayClock();
        for (const event of events) clock.observe(...event);
        const ticks = runningTicks(events);
        const playTimes = Array.from({ length: END + 1 }, (_, time) => ticks.slice(0, time).filter(Boolean).length);
        expect(playTimes.map((_, time) => clock.playTime(time))).toEqual(playTimes);
        for (const [time, playTime] of playTimes.entries()) {
          expect(clock.roomTime(playTime)).toBe(Math.min(time, playTimes.indexOf(playTime)));
          const last = clock.lastRoomTime(playTime);
          if (clock.paused && playTime === clock.playTime(clock.paused.since))
            expect(last).toBe(Number.POSITIVE_INFINITY);
          else if (last <= END) expect(last).toBe(playTimes.lastIndexOf(playTime));
        }
        expectPauses(clock.pauses(END), ticks);
      }),
      { numRuns: 200 },
    );
  });

  test('[T7] is the same from the pauses that were noted, and from those and the pause that lasts', () => {
    fc.assert(
      fc.property(anyTimeline, fc.nat({ max: 25 }), (events, taken) => {
        const clock = new PlayClock();
        for (const event of events.slice(0, taken)) clock.observe(...event);
        const resumed = new PlayClock(clock.pauses(clock.paused?.since ?? END), clock.paused);
        for (const event of events.slice(taken)) {
          clock.observe(...event);
          resumed.observe(...event);
        }
        const finished = new PlayClock(clock.pauses(END));
        for (let time = 0; time <= END; time++) {
          expect(resumed.playTime(time)).toBe(clock.playTime(time));
          expect(finished.playTime(time)).toBe(clock.playTime(time));
        }
        expect(resumed.paused).toEqual(clock.paused);
      }),
      { numRuns: 200 },
    );
  });

  test('[T7] the pauses up to a moment end there', () => {
    const clock = new PlayClock([
      [10, 20],
      [30, 40],
    ]);
    expect(clock.pauses(35)).toEqual([
      [10, 20],
      [30, 35],
    ]);
    expect(clock.pauses(30)).toEqual([[10, 20]]);
    expect(clock.pauses(5)).toEqual([]);
  });

  test('[T6] an event that comes late into a pause that is over stops time only once', () => {
    const clock = new PlayClock();
    const speed = (time: number, player: string, to: number) =>
      clock.observe(time, player, { type: EventType.SPEED_CHANGE, data: { speed: to } });
    speed(10, 'ada', 0);
    speed(50, 'ada', 1);
    speed(20, 'bob', 0);
    speed(60, 'bob', 1);
    expect(clock.pauses(100)).toEqual([[10, 60]]);
    expect(clock.playTime(100)).toBe(50);
  });

  test('[T6] [S2] what comes later than a thousand other changes stops time no further back than they did', () => {
    const { clock, speed } = afterPauses(2_000);
    const before = clock.pauses(20_000);
    expect(before).toHaveLength(2_000);
    speed(16, 'bob', 0);
    speed(18, 'bob', 1);
    expect(clock.pauses(20_000)).toEqual(before);
    speed(19_986, 'bob', 0);
    speed(19_988, 'bob', 1);
    expect(clock.pauses(20_000)).toEqual([...before.slice(0, -1), [19_986, 19_988], [19_990, 19_994]]);
  });

  test('[T6] [T7] is the same in whatever order events come, as long as those that each player made come in theirs', () => {
    fc.assert(
      fc.property(anyTimeline.map(atDifferentTimes), fc.infiniteStream(fc.nat({ max: 11 })), (events, choices) => {
        const inOrder = new PlayClock();
        for (const event of events) inOrder.observe(...event);
        const clock = new PlayClock();
        for (const event of arrivalOrder(events, choices[Symbol.iterator]())) clock.observe(...event);
        for (let time = 0; time <= END; time++) expect(clock.playTime(time)).toBe(inOrder.playTime(time));
        expect([clock.pauses(END), clock.paused]).toEqual([inOrder.pauses(END), inOrder.paused]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('[T6] [T7] begun in the middle, from what it tells, is the same for ever after, whatever comes late', () => {
    const anyHistory = fc.record({ changes: fc.constantFrom(0, 0, 0, 700, 1_020, 1_300), holds: fc.boolean() });
    // Not only what is late by the changes that are remembered: what comes later than those goes to the same place too.
    const anyEvents = fc.array(
      fc.tuple(fc.integer({ min: -40, max: END }), fc.constantFrom('ada', 'bob', 'eve', 'old'), anyEvent),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(anyHistory, anyEvents, fc.nat({ max: 25 }), (history, events, taken) => {
        const clock = new PlayClock();
        for (const event of longPast(history)) clock.observe(...event);
        for (const event of events.slice(0, taken)) clock.observe(...event);
        const begun = begunFrom(clock);
        expectSameTimes(begun, clock);
        for (const event of events.slice(taken)) {
          clock.observe(...event);
          begun.observe(...event);
          expectSameTimes(begun, clock);
        }
        expectSameTimes(begunFrom(begun), clock);
      }),
      { numRuns: 500 },
    );
  });

  test('[T6] begun in the middle of two pauses, knows which of them a late resume ends', () => {
    const clock = new PlayClock();
    const speed = (time: number, player: string, to: number) =>
      [time, player, { type: EventType.SPEED_CHANGE, data: { speed: to } }] as const;
    clock.observe(...speed(10, 'ada', 0));
    clock.observe(...speed(20, 'bob', 0));
    const begun = begunFrom(clock);
    begun.observe(...speed(15, 'ada', 1));
    begun.observe(...speed(30, 'bob', 1));
    expect(begun.pauses(END)).toEqual([
      [10, 15],
      [20, 30],
    ]);
  });

  test('[T6] [S2] a pause that comes later than a thousand other changes, and lasts, begins no further back than they did', () => {
    const { clock, speed } = afterPauses(512);
    // The oldest 512 changes, 256 pauses, are settled by the one that is too many.
    speed(5_120, 'ada', 2);
    const over = clock.pauses(2_554);
    expect(over).toHaveLength(256);
    speed(16, 'bob', 0);
    expect(clock.pauses(6_000)).toEqual([...over, [2_554, 6_000]]);
    expect(clock.playTime(14)).toBe(6);
    expect(clock.playTime(6_000)).toBe(2_554 - 256 * 4);
    speed(17, 'bob', 1);
    expect(clock.playTime(6_000)).toBe(6_000 - 512 * 4);
  });

  test('[T6] a pause that a player makes while it is away ends where the relay let it go, or where the player had', () => {
    const clock = new PlayClock();
    const speed = (time: number, to: number) =>
      clock.observe(time, 'ada', { type: EventType.SPEED_CHANGE, data: { speed: to } });
    clock.observe(100, 'ada', { type: EventType.PLAYER_LEAVE, data: { reason: 'dropped' } });
    speed(50, 0);
    expect([clock.pauses(200), clock.paused]).toEqual([[[50, 100]], undefined]);
    speed(60, 1);
    expect(clock.pauses(200)).toEqual([[50, 60]]);
    speed(70, 0);
    speed(150, 1);
    expect(clock.pauses(200)).toEqual([
      [50, 60],
      [70, 100],
    ]);
  });

  test('[S2] goes on through pauses past as many as a recording may have', () => {
    const clock = new PlayClock();
    const change = (speed: number): GameEvent => ({ type: EventType.SPEED_CHANGE, data: { speed } });
    for (let i = 0; i < LIMITS.pauses + 3; i++) {
      clock.observe(10 * i, 'ada', change(0));
      clock.observe(10 * i + 4, 'ada', change(1));
    }
    const end = 10 * (LIMITS.pauses + 3);
    expect(clock.pauses(end)).toHaveLength(LIMITS.pauses);
    expect(clock.paused).toBeUndefined();
    expect(clock.playTime(end)).toBe(end - 4 * LIMITS.pauses);
  });

  test('[T7] costs little after a hundred thousand pauses', () => {
    const clock = new PlayClock(Array.from({ length: 100_000 }, (_, index) => [index * 10, index * 10 + 5]));
    const tookMs = runningTime();
    for (let time = 0; time < 1_000_000; time += 10) {
      if (clock.playTime(time + 7) !== time / 2 + 2) throw new Error(`wrong at ${time}`);
    }
    expect(tookMs()).toBeLessThan(2_000);
  });
});

/** Ada has paused so often, for 4 of each 10. */
function afterPauses(count: number): { clock: PlayClock; speed: (time: number, player: string, to: number) => void } {
  const clock = new PlayClock();
  const speed = (time: number, player: string, to: number) =>
    clock.observe(time, player, { type: EventType.SPEED_CHANGE, data: { speed: to } });
  for (let i = 0; i < count; i++) {
    speed(10 * i, 'ada', 0);
    speed(10 * i + 4, 'ada', 1);
  }
  return { clock, speed };
}

function begunFrom(clock: PlayClock): PlayClock {
  const { pauses, paused, changes } = clock.told;
  expect(changes.length).toBeLessThanOrEqual(LIMITS.pauseChanges);
  return new PlayClock(pauses, paused, changes);
}

function expectSameTimes(clock: PlayClock, expected: PlayClock): void {
  const times = Array.from({ length: END + 45 }, (_, time) => time - 42);
  expect(times.map((time) => clock.playTime(time))).toEqual(times.map((time) => expected.playTime(time)));
  expect([clock.pauses(END), clock.paused]).toEqual([expected.pauses(END), expected.paused]);
}

/** So many changes before -20, some of which a clock that remembers the newest has settled; one pause may still last. */
function longPast({ changes, holds }: { changes: number; holds: boolean }): TimedEvent[] {
  const speed = (time: number, player: string, to: number): TimedEvent => [
    time,
    player,
    { type: EventType.SPEED_CHANGE, data: { speed: to } },
  ];
  const past = Array.from({ length: changes }, (_, index) => speed(index - changes - 20, 'old', index % 2));
  return holds ? [...past.slice(0, changes / 2), speed(-changes / 2 - 20, 'mia', 0), ...past.slice(changes / 2)] : past;
}

function atDifferentTimes(events: readonly TimedEvent[]): TimedEvent[] {
  return events.filter(([time], index) => time !== events[index - 1]?.[0]);
}

/** What the relay notes comes when it happens; what a player makes any time later, after what it made before. */
function arrivalOrder(events: readonly TimedEvent[], choices: Iterator<number>): TimedEvent[] {
  const onTheirWay = new Map<string, TimedEvent[]>();
  const order: TimedEvent[] = [];
  const arrive = (isLast: boolean) => {
    for (;;) {
      const queues = [...onTheirWay.values()].filter((queue) => queue.length > 0);
      const choice = choices.next().value as number;
      if (queues.length === 0 || (!isLast && choice % 2 === 0)) return;
      order.push((queues[choice % queues.length] as TimedEvent[]).shift() as TimedEvent);
    }
  };
  for (const event of events) {
    const [, player, { type }] = event;
    if (type === EventType.PLAYER_LEAVE) order.push(event);
    else onTheirWay.set(player, [...(onTheirWay.get(player) ?? []), event]);
    arrive(false);
  }
  arrive(true);
  return order;
}

/** For each tick from one time to the next whether the room runs, told by the events one at a time. */
function runningTicks(events: readonly (readonly [number, string, GameEvent])[]): boolean[] {
  return Array.from({ length: END }, (_, tick) => {
    const paused = new Set<string>();
    for (const [time, player, { type, data }] of events) {
      if (time > tick) break;
      if (type === EventType.SPEED_CHANGE && data.speed === 0) paused.add(player);
      else if (type === EventType.SPEED_CHANGE || type === EventType.PLAYER_LEAVE) paused.delete(player);
    }
    return paused.size === 0;
  });
}

function expectPauses(pauses: readonly (readonly [number, number])[], ticks: readonly boolean[]): void {
  const running = ticks.map(() => true);
  for (const [from, to] of pauses) running.fill(false, from, to);
  expect(running).toEqual(ticks);
}
