import { connect, openRecording, type Session, spectate } from '@gametape/client-sdk';
import { type EventDown, TimestampManager } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { NODE } from '../../client-sdk/dist/platform/node.js';
import { connectOn } from '../../client-sdk/dist/session.js';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor } from '../support/wait-for.ts';

/** What the clocks of one process may differ by over loopback, in seconds. */
const CLOCK_ERROR_S = 0.05;
const HERE = 'here';

describe('where events stand', () => {
  test('[T1] the stamp that is recorded is that of the call, not of the journey', async () => {
    const relay = await TestRelay.start();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json', flushMs: 40 });
    const calls: { from: number; to: number }[] = [];
    for (let i = 0; i < 60; i++) {
      const from = performance.now() * 1_000;
      session.say(`t${i}`);
      calls.push({ from, to: performance.now() * 1_000 });
      if (i % 7 === 0) await new Promise((resolve) => setTimeout(resolve, i % 5));
    }
    const { own } = await relay.recording((await session.end()).recordingId);
    // How far the clock of the stamps may be from this one, if each call was stamped before it returned.
    const least = calls.map(({ to }, i) => (own[i]?.stamp ?? Number.NaN) - to);
    const most = calls.map(({ from }, i) => (own[i]?.stamp ?? Number.NaN) - from);
    const stampStep = 100;
    expect(Math.max(...least) - Math.min(...most)).toBeLessThanOrEqual(stampStep);
  });

  test('[T3] [T5] each player keeps its order, and nothing comes after its own arrival', async () => {
    const relay = await TestRelay.start();
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const clocks = [0, 5, 2 ** 50, 123_456_789];
    const players = await Promise.all(
      clocks.map((clock, i) => RawClient.join(relay.wsUrl, { player: `p${i}`, clock }, { answersPings: i % 2 === 0 })),
    );
    // The relay told the room time at some moment after this one: by it, arrivals look late, never early.
    const askedAt = performance.now();
    const watcher = await RawClient.join(relay.wsUrl, { player: 'w', role: 'spectator' });
    const zeroUs = askedAt * 1_000 - watcher.welcome.roomTime;
    const arrivals = new Map<number, number>();
    watcher.socket.on('message', () => {
      for (const { seq } of shown(watcher))
        if (!arrivals.has(seq)) arrivals.set(seq, performance.now() * 1_000 - zeroUs);
    });
    for (let pseq = 1; pseq <= 120; pseq++) {
      for (const player of players) {
        const stampDelta = Math.floor((random() - 0.4) * (random() < 0.1 ? 2 ** 49 : 20_000));
        player.events(pseq, [`t${pseq}`], { stampDelta, shown: Math.floor(random() * 500) });
      }
      if (pseq % 10 === 0) await Promise.all(players.map((player) => player.accepted(pseq)));
    }
    await waitFor('all events', () => shown(watcher).length >= 480);
    for (const { seq, time } of shown(watcher)) {
      expect(time, `seed ${seed}, event ${seq}`).toBeLessThanOrEqual(arrivals.get(seq) as number);
    }
    for (const player of players.slice(1)) player.send({ kind: 'leave', lastPseq: 120 });
    const [first] = players as [RawClient];
    first.send({ kind: 'end', lastPseq: 120, outcome: {} });
    const { summary } = await first.next('ended');
    const { own } = await relay.recording(summary.recordingId);
    for (let i = 0; i < players.length; i++) {
      const pseqs = own.filter(({ player }) => player === `p${i}`).map(({ pseq }) => pseq);
      expect(pseqs, `seed ${seed}`).toEqual(Array.from({ length: 120 }, (_, at) => at + 1));
    }
  });

  test('[T4] an answer never sorts before what its player had been shown', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.on('player_message', ({ data, player }) => {
        const [, count] = String(data.message).split(' ');
        if (player === other.player && Number(count) < 60) one.say(`ball ${Number(count) + 1}`);
      });
    }
    a.say('ball 0');
    await waitFor('the rally', () => a.status.recorded + b.status.recorded > 60);
    const { own } = await relay.recording((await a.end()).recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: 61 }, (_, i) => `ball ${i}`));
  });

  test('[T4] that holds for a player whose clock is behind', async () => {
    const relay = await TestRelay.start();
    const [a] = await join(relay, ['a']);
    const behind = await RawClient.join(relay.wsUrl, { player: 'behind', clock: 2 ** 45 }, { answersPings: false });
    for (let i = 0; i < 20; i++) {
      a.say(`question ${i}`);
      const { upTo } = await behind.next('events-down', ({ events }) => events.length > 0);
      behind.events(i + 1, [`answer ${i}`], { shown: upTo });
      await behind.accepted(i + 1);
    }
    behind.send({ kind: 'leave', lastPseq: 20 });
    await behind.end();
    const { own } = await relay.recording((await a.end()).recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(
      Array.from({ length: 20 }, (_, i) => [`question ${i}`, `answer ${i}`]).flat(),
    );
  });

  test('[T6] what was recorded while away stands where it happened', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    await relay.stop();
    await waitFor('both to be away', () => [a, b].every(({ status }) => status.connection === 'reconnecting'));
    for (let i = 0; i < 10; i++) {
      (i % 2 === 0 ? a : b).say(`m${i}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    await relay.restart();
    await Promise.all([a.stable(), b.stable()]);
    const { own } = await relay.recording((await a.end()).recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`));
  });
});

describe('pauses', () => {
  test('[T7] play time is what the timestamp manager of the seed counts', async () => {
    const relay = await TestRelay.start();
    const real = () => performance.now() * 1_000;
    let heldAt: number | undefined;
    const now = () => heldAt ?? real();
    /** By the clock of both all of it happens at one time, also where the machine stands still in between. */
    const atOnce = (happen: () => void): void => {
      heldAt = real();
      happen();
      heldAt = undefined;
    };
    const options = { url: relay.wsUrl, room: 'arena', profile: 'json', flushMs: 4 } as const;
    const a = await connectOn({ ...NODE, now }, { ...options, player: 'a' });
    const b = await connect({ ...options, player: 'b' });
    await clocksKnown([a, b]);
    const manager = new TimestampManager(() => now() / 1e6);
    manager.start();
    const expected: [name: string, time: number][] = [];
    const mark = (): void =>
      atOnce(() => {
        expected.push([`m${expected.length}`, manager.currentTimestamp()]);
        a.say(`m${expected.length - 1}`);
      });
    const live: [name: unknown, time: number][] = [];
    b.on('player_message', ({ data, time }) => data.message !== HERE && live.push([data.message, time]));
    mark();
    for (const [pauseMs, playMs] of [
      [120, 60],
      [40, 90],
      [200, 20],
    ] as const) {
      await sleep(playMs);
      mark();
      atOnce(() => {
        a.pause();
        manager.pause();
      });
      await sleep(pauseMs);
      mark();
      atOnce(() => {
        a.resume();
        manager.resume();
      });
      mark();
    }
    await waitFor('all marks', () => live.length === expected.length);
    const late = await spectate({ url: relay.wsUrl, room: 'arena' });
    const liveZero = (live[0]?.[1] ?? 0) - (expected[0]?.[1] ?? 0);
    await waitFor('who joins after the pauses to know of them', () => {
      return Math.abs(late.currentTime - liveZero - manager.currentTimestamp()) < 2 * CLOCK_ERROR_S;
    });
    const playedS = manager.currentTimestamp();
    const { recordingId } = await a.end();
    const endedS = manager.currentTimestamp();
    const tape = await openRecording(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    const taped: [name: unknown, time: number][] = [];
    for await (const { type, data, time } of tape.events())
      if (type === 'player_message' && data.message !== HERE) taped.push([data.message, time]);
    const zero = (taped[0]?.[1] ?? 0) - (expected[0]?.[1] ?? 0);
    for (const [index, [name, time]] of expected.entries()) {
      expect(taped[index]?.[0]).toBe(name);
      expect(Math.abs((taped[index]?.[1] ?? 0) - zero - time), name).toBeLessThan(CLOCK_ERROR_S);
      expect(Math.abs((live[index]?.[1] ?? 0) - (taped[index]?.[1] ?? 0)), `${name}, live`).toBeLessThan(CLOCK_ERROR_S);
    }
    expect(tape.duration - zero).toBeGreaterThanOrEqual(playedS - CLOCK_ERROR_S);
    expect(tape.duration - zero).toBeLessThanOrEqual(endedS + CLOCK_ERROR_S);
    await tape.close();
  });

  test('[T7] who pauses sees the play time of the others right, and so does who joins while it lasts', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    const seen = new Map<unknown, number>();
    a.on('player_message', ({ data, time }) => seen.set(data.message, time));
    await clocksKnown([a, b]);
    const saidAt = performance.now();
    b.say('before');
    await waitFor('it to be seen', () => seen.has('before'));
    a.pause();
    const playedS = (performance.now() - saidAt) / 1_000;
    await a.stable();
    const live = await spectate({ url: relay.wsUrl, room: 'arena' });
    const pausedAt = live.currentTime;
    await sleep(250);
    b.say('during');
    await waitFor('it to be seen', () => seen.has('during'));
    await waitFor('it to be seen by the spectator', () => live.states !== undefined);
    const resumedAt = performance.now();
    a.resume();
    b.say('after');
    const playedOnS = (performance.now() - resumedAt) / 1_000;
    await waitFor('it to be seen', () => seen.has('after'));
    const [before, during, after] = ['before', 'during', 'after'].map((name) => seen.get(name) as number) as [
      number,
      number,
      number,
    ];
    expect(during - before).toBeLessThan(playedS + CLOCK_ERROR_S);
    expect(after - during).toBeLessThan(playedOnS + CLOCK_ERROR_S);
    expect(Math.abs(pausedAt - during)).toBeLessThan(0.1);
    await a.end();
  });

  test('[T7] a player that goes does not keep the others waiting', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    a.pause();
    await a.leave();
    await sleep(60);
    b.say('later');
    const { recordingId } = await b.end();
    const { summary } = await relay.recording(recordingId);
    expect(summary.pauses).toHaveLength(1);
    expect(summary.durationUs).toBeGreaterThan(50_000);
  });

  test('[D5] the session duration of the LMSP profile stands still with the game', async () => {
    const relay = await TestRelay.start();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a' });
    session.pause();
    await sleep(150);
    session.record({ type: 'test_run', data: { tests_total: 1 } });
    const paused = session.state.session_duration as number;
    const resumedAt = performance.now();
    session.resume();
    await sleep(50);
    session.record({ type: 'test_run', data: { tests_total: 1 } });
    const playedS = (performance.now() - resumedAt) / 1_000;
    const resumed = session.state.session_duration as number;
    expect(resumed - paused).toBeGreaterThan(0.03);
    expect(resumed - paused).toBeLessThan(playedS + 0.01);
    const { recordingId } = await session.end();
    const tape = await openRecording(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    const durations: number[] = [];
    for await (const { type, state } of tape.events())
      if (type === 'test_run') durations.push(state.session_duration as number);
    expect(durations).toEqual([paused, resumed]);
    await tape.close();
  });
});

async function join(relay: TestRelay, players: string[]): Promise<[Session, Session, ...Session[]]> {
  const sessions: Session[] = [];
  for (const player of players) {
    sessions.push(await connect({ url: relay.wsUrl, room: 'arena', player, profile: 'json', flushMs: 4 }));
  }
  return sessions as [Session, Session, ...Session[]];
}

/** By then the relay knows them as exactly as is told here, however its first probes went. */
async function clocksKnown(sessions: readonly Session[]): Promise<void> {
  await waitFor('the clocks to be known', async () => {
    for (const session of sessions) session.say(HERE);
    await Promise.all(sessions.map((session) => session.stable()));
    return sessions.every(({ status }) => (status.clockErrorS ?? 1) < CLOCK_ERROR_S / 2);
  });
}

function shown(client: RawClient): EventDown[] {
  const events = client.received.flatMap((message) => (message.kind === 'events-down' ? message.events : []));
  return events.filter(({ stamp }) => stamp !== null);
}

/** Time that is to pass, because it is what is measured. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
