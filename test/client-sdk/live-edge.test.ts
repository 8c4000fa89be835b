import { type Live, type LiveEvent, spectate } from '@gametape/client-sdk';
import { type EventDown, EventType, type GameEvent, JSON_PROFILE, type State } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { type FakePeer, FakeRelay } from '../support/fake-relay.ts';
import { TestProducer } from '../support/test-producer.ts';
import { waitFor } from '../support/wait-for.ts';

/** Of the fake relay's welcomes, in microseconds. */
const HOLD_US = 50_000;
const HOUR_US = 3_600_000_000;

describe('the live edge', () => {
  test('[T6] [T3] shows what arrives within the hold in the order of the timeline, and marks what comes later', async () => {
    const { live, peer, events, start } = await watch();
    const ann = new Writer(0);
    const bob = new Writer(1);
    // Not before the relay says so.
    const later = (us: number) => start + HOUR_US + us;
    peer.send({
      kind: 'events-down',
      acks: NO_ACKS,
      upTo: 2,
      events: [ann.event(1, later(40_000)), ann.event(2, later(60_000))],
    });
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 3, events: [bob.event(3, later(20_000))] });
    peer.send({
      kind: 'events-down',
      acks: NO_ACKS,
      upTo: 5,
      events: [bob.event(4, later(60_000)), bob.event(5, later(61_000))],
    });
    expect(live.states.size).toBe(0);
    peer.send({ kind: 'clock', time: later(71_000) + HOLD_US, holdMs: HOLD_US / 1_000 });
    await waitFor('all of them', () => events.length === 5);
    expect(events.map(({ seq, late }) => [seq, late])).toEqual([3, 1, 2, 4, 5].map((seq) => [seq, false]));
    await waitFor('time to go on', () => live.currentTime > later(70_000) / 1e6);
    // Too late, and bob's is later still.
    peer.send({
      kind: 'events-down',
      acks: NO_ACKS,
      upTo: 7,
      events: [ann.event(6, later(65_000)), bob.event(7, later(64_000))],
    });
    await waitFor('what was late', () => events.length === 7);
    expect(events.slice(5).map(({ seq, late, time }) => [seq, late, time])).toEqual([
      [7, true, later(64_000) / 1e6],
      [6, true, later(65_000) / 1e6],
    ]);
    expect(live.currentTime).toBeGreaterThan(later(70_000) / 1e6);
    expect(Object.fromEntries(live.states)).toEqual({ ann: { n: 6 }, bob: { n: 7 } });
    live.close();
  });

  test('[T3] of one time what was caused comes later, and of two that know nothing of each other the lower index is first', async () => {
    const { live, peer, events, start } = await watch();
    const ann = new Writer(0);
    const bob = new Writer(1);
    const time = start + HOUR_US;
    peer.send({
      kind: 'events-down',
      acks: NO_ACKS,
      upTo: 4,
      events: [bob.event(1, time), bob.event(2, time, 1), ann.event(3, time), ann.event(4, time, 2)],
    });
    peer.send({ kind: 'clock', time: time + HOLD_US, holdMs: HOLD_US / 1_000 });
    await waitFor('all of them', () => events.length === 4);
    expect(events.map(({ seq }) => seq)).toEqual([3, 1, 2, 4]);
    live.close();
  });

  test('[T6] an event waits until room time has passed it by the hold, as far as the relay has told it', async () => {
    const { live, peer, events, start } = await watch();
    const ann = new Writer(0);
    const time = start + HOUR_US;
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 1, events: [ann.event(1, time)] });
    peer.send({ kind: 'clock', time: time + HOLD_US - 3_000_000, holdMs: HOLD_US / 1_000 });
    await waitFor('an hour to have passed', () => live.currentTime > time / 1e6 - 10);
    expect([events.length, live.states.size]).toEqual([0, 0]);
    await waitFor('it', () => events.length === 1);
    expect(live.currentTime).toBeGreaterThanOrEqual(time / 1e6);
    live.close();
  });

  test('[T6] time stands still while the connection is away: what was missed is not late', async () => {
    const { relay, live, peer, events, start } = await watch();
    const ann = new Writer(0);
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 1, events: [ann.event(1, start)] });
    await waitFor('the first', () => events.length === 1);
    peer.close(4200, 'DRAINING');
    await waitFor('it to notice', () => live.status === 'reconnecting');
    const standing = live.currentTime;
    const next = await relay.peer(2);
    expect(next.hello?.resume).toMatchObject({ seq: 1 });
    next.welcome({ resumption: 'resumed', seq: 2, roomTime: start + 10_000_000 });
    next.send({ kind: 'events-down', acks: NO_ACKS, upTo: 2, events: [ann.event(2, Math.ceil(standing * 1e6) + 1)] });
    await waitFor('what was missed', () => events.length === 2);
    expect(events[1]?.late).toBe(false);
    live.close();
  });

  test('[T2] how exact the times of a player are is known again when it comes back', async () => {
    const { live, peer, start } = await watch();
    const ann = new Writer(0);
    peer.send({ kind: 'clocks', errors: [[0, 700]] });
    const comings = [ann.relay(1, start, 'player_join'), ann.relay(2, start, 'player_leave')];
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 2, events: comings });
    await waitFor('it to be gone', () => live.players.get('ann')?.connected === false);
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 3, events: [ann.relay(3, start, 'player_join')] });
    await waitFor('it to be back', () => live.players.get('ann')?.connected);
    expect(live.players.get('ann')).toEqual({ id: 'ann', name: 'Ann', connected: true, clockErrorS: 0.0007 });
    live.close();
  });
});

describe('a pause that comes late', () => {
  test('[T6] [T7] leaves who is paused where it was, and what follows is still to come', async () => {
    const { live, peer, events, at } = await watchAt(20);
    live.pause();
    const standing = live.currentTime;
    const painted: number[] = [];
    live.on('timeupdate', () => painted.push(events.length));
    const ann = new Writer(0);
    const later = [22, 24, 26].map((s, index) => ann.event(1 + index, at(s)));
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 3, events: later });
    peer.send({ kind: 'clock', time: at(40), holdMs: HOLD_US / 1_000 });
    await waitFor('the edge to be there', () => live.duration > at(26) / 1e6);
    const bob = new Writer(1);
    peer.send({
      kind: 'events-down',
      acks: NO_ACKS,
      upTo: 5,
      events: [bob.speed(4, at(5), 0), bob.speed(5, at(15), 1)],
    });
    await waitFor('both of it', () => events.length === 2);
    expect(events.map(({ late, time }) => [late, time])).toEqual([
      [true, at(5) / 1e6],
      [true, at(5) / 1e6],
    ]);
    expect(live.currentTime).toBeCloseTo(standing - 10, 5);
    // Who paints with the time paints what came late too.
    expect(painted.at(-1)).toBe(2);
    live.playbackRate = 16;
    live.play();
    await waitFor('the rest', () => events.length === 5);
    expect(events.slice(2).map(({ late, time }) => [late, time])).toEqual(
      [22, 24, 26].map((s) => [false, at(s) / 1e6 - 10]),
    );
    live.close();
  });

  test('[V3] [T7] what happens while play time stands still is of the time that a paused playhead shows', async () => {
    const { live, peer, events, at } = await watchAt(20);
    const [ann, bob] = [new Writer(0), new Writer(1)];
    const tell = (event: EventDown) =>
      peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: event.seq, events: [event] });
    tell(bob.speed(1, at(30), 0));
    peer.send({ kind: 'clock', time: at(40), holdMs: HOLD_US / 1_000 });
    await waitFor('the pause', () => events.length === 1);
    live.pause();
    expect(live.currentTime).toBe(at(30) / 1e6);
    tell(ann.event(2, at(50)));
    peer.send({ kind: 'clock', time: at(60), holdMs: HOLD_US / 1_000 });
    await waitFor('what happens meanwhile', () => events.length === 2);
    expect([events[1]?.late, events[1]?.time, live.states.get('ann')]).toEqual([false, at(30) / 1e6, { n: 2 }]);
    // It had ended before that: where the playhead stands has another time then.
    tell(bob.speed(3, at(45), 1));
    await waitFor('the end of the pause', () => events.length === 3);
    expect([events[2]?.late, live.currentTime]).toEqual([true, at(50) / 1e6 - 15]);
    live.close();
  });

  test('[T6] [T7] does not hurry who plays behind the edge', async () => {
    const { live, peer, events, at } = await watchAt(20);
    live.pause();
    const ann = new Writer(0);
    const later = [22, 24, 26].map((s, index) => ann.event(1 + index, at(s)));
    peer.send({ kind: 'events-down', acks: NO_ACKS, upTo: 3, events: later });
    peer.send({ kind: 'clock', time: at(60), holdMs: HOLD_US / 1_000 });
    await waitFor('the edge to be there', () => live.duration > at(50) / 1e6);
    // So slowly then that a machine may stand still before it comes to the next.
    const slowDown = live.on('event', () => {
      live.playbackRate = 0.1;
    });
    live.playbackRate = 8;
    live.play();
    await waitFor('the first', () => events.length === 1);
    slowDown();
    const bob = new Writer(1);
    const playheads: number[] = [];
    live.on('event', () => playheads.push(live.currentTime));
    peer.send({
      kind: 'events-down',
      acks: NO_ACKS,
      upTo: 5,
      events: [bob.speed(4, at(5), 0), bob.speed(5, at(15), 1)],
    });
    await waitFor('what came late', () => events.length === 3);
    live.playbackRate = 8;
    await waitFor('all', () => events.length === 5);
    const [, pause, resume, ...rest] = events;
    expect([pause?.late, resume?.late]).toEqual([true, true]);
    expect(rest.map(({ late, time }) => [late, time])).toEqual([24, 26].map((s) => [false, at(s) / 1e6 - 10]));
    expect(playheads.slice(2)).toEqual(rest.map(({ time }) => time));
    live.close();
  });
});

const NO_ACKS = { accepted: 0, stable: 0 };

async function watch(): Promise<{ relay: FakeRelay; live: Live; peer: FakePeer; events: LiveEvent[]; start: number }> {
  const relay = await FakeRelay.start();
  const joining = spectate({ url: relay.wsUrl, room: 'r' });
  const peer = await relay.peer(1);
  const start = 1_000_000;
  peer.welcome({ seq: 0, roomTime: start, producer: -1, holdMs: HOLD_US / 1_000 });
  for (const [index, player] of ['ann', 'bob'].entries()) {
    peer.send({ kind: 'producer', index, player, instance: `of-${player}` });
  }
  const live = await joining;
  const events: LiveEvent[] = [];
  live.on('event', (event) => events.push(event));
  return { relay, live, peer, events, start };
}

/** In a room that has gone on for so many seconds. */
async function watchAt(seconds: number): Promise<{
  live: Live;
  peer: FakePeer;
  events: LiveEvent[];
  /** Room time after so many seconds. */
  at: (seconds: number) => number;
}> {
  const { live, peer, events, start } = await watch();
  const at = (s: number) => start + s * 1_000_000;
  peer.send({ kind: 'clock', time: at(seconds) + HOLD_US, holdMs: HOLD_US / 1_000 });
  await waitFor('time to be there', () => live.currentTime >= at(seconds) / 1e6);
  return { live, peer, events, at };
}

/** Makes the events of one producer: each sets `n` to its seq. */
class Writer {
  readonly #index: number;
  readonly #producer = new TestProducer(JSON_PROFILE);

  constructor(index: number) {
    this.#index = index;
  }

  event(seq: number, time: number, hlc = 0): EventDown {
    const event: GameEvent = { type: 'keystroke', data: { char: 'x', modifiers: [] } };
    const state: State = { n: seq };
    return { seq, producer: this.#index, time, hlc, stamp: time, body: this.#producer.encode(event, state, time) };
  }

  speed(seq: number, time: number, speed: number): EventDown {
    const event: GameEvent = { type: EventType.SPEED_CHANGE, data: { speed } };
    const body = this.#producer.encode(event, undefined, time);
    return { seq, producer: this.#index, time, hlc: 0, stamp: time, body };
  }

  /** One that the relay makes of its own accord. */
  relay(seq: number, time: number, type: string): EventDown {
    const body = this.#producer.encode({ type, data: { name: 'Ann' } }, undefined, 0);
    return { seq, producer: this.#index, time, hlc: 0, stamp: null, body };
  }
}
