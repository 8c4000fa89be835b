import { connect, type Live, type Session, spectate } from '@gametape/client-sdk';
import { CloseCode, closeAction, type DownMessage, type EventDown } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { messageBody, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { runningTime } from '../support/running-time.ts';
import { waitFor } from '../support/wait-for.ts';

describe('coming back', () => {
  test('[W4] a client that comes back gets everything it missed, each event once', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    writer.events(1, ['seen']);
    const { upTo } = await reader.next('events-down');
    await reader.vanish();
    for (let i = 2; i <= 100; i++) writer.events(i, [`missed ${i}`]);
    await writer.accepted(100);
    const again = await rejoin(relay, reader, upTo);
    expect(again.welcome.resumption).toBe('resumed');
    const events = await eventsUntil(again, upTo + 99);
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 99 }, (_, i) => upTo + 1 + i));
    expect(again.received.some(({ kind }) => kind === 'snapshot')).toBe(false);
  });

  test('[W4] a quiet room resumes too, before and after a restart', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    await reader.vanish();
    const again = await rejoin(relay, reader, reader.welcome.seq);
    expect(again.welcome).toMatchObject({ resumption: 'resumed', seq: reader.welcome.seq, epoch: 1 });
    await relay.restart();
    const later = await rejoin(relay, reader, reader.welcome.seq);
    expect(later.welcome).toMatchObject({ resumption: 'resumed', recordingId: writer.welcome.recordingId });
    expect(later.welcome.epoch).toBeGreaterThan(1);
    expect(later.received.some(({ kind }) => kind === 'snapshot')).toBe(false);
    // The epoch in between has written nothing: a position of it is as good as one of the epoch before.
    await relay.restart();
    const { epoch } = later.welcome;
    const resume = { recordingId: later.welcome.recordingId, epoch, seq: later.welcome.seq };
    const last = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator', resume });
    expect(last.welcome).toMatchObject({ resumption: 'resumed', seq: later.welcome.seq });
    const ahead = { ...resume, seq: resume.seq + 1 };
    const lost = await RawClient.join(relay.wsUrl, { player: 'lost', role: 'spectator', resume: ahead });
    expect(lost.welcome.resumption).toBe('reset');
  });

  test('[W4] a position that is not known, or too old, is answered with a snapshot first', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    const { recordingId } = reader.welcome;
    const positions = [
      { epoch: 1, seq: 1_000 },
      { epoch: 7, seq: 1 },
      { epoch: 0, seq: 0 },
    ];
    for (const position of positions) {
      const resume = { recordingId, ...position };
      const client = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator', resume });
      expect(client.welcome.resumption).toBe('reset');
      expect((await client.next('snapshot')).records.length).toBeGreaterThan(0);
    }
    // A burst of over 4 MiB shuts nobody out who keeps up, and later nobody can be shown what was missed.
    const text = 'x'.repeat(50_000);
    for (let i = 1; i <= 100; i++) writer.events(i, [text]);
    await writer.accepted(100);
    const late = await rejoin(relay, reader, reader.welcome.seq);
    expect(late.welcome.resumption).toBe('reset');
    expect(late.welcome.seq).toBe(reader.welcome.seq + 100);
  });

  test('[W4] a position of an epoch that is over is good up to its end', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    writer.events(1, ['one', 'two', 'three']);
    await writer.stable(3);
    const seen = reader.welcome.seq + 1;
    await relay.restart();
    const again = await rejoin(relay, reader, seen);
    expect(again.welcome).toMatchObject({ resumption: 'resumed' });
    const second = await RawClient.join(relay.wsUrl, { player: 'writer', resume: position(writer, seen + 2) });
    expect(second.welcome).toMatchObject({ resumption: 'resumed', lastPseq: 3 });
    second.events(4, ['four']);
    const events = await eventsUntil(again, seen + 3);
    expect(events.map(({ seq }) => seq)).toEqual([seen + 1, seen + 2, seen + 3]);
    const beyond = await RawClient.join(relay.wsUrl, {
      player: 'x',
      role: 'spectator',
      resume: { ...position(reader, seen + 3), epoch: 1 },
    });
    expect(beyond.welcome.resumption).toBe('reset');
  });

  test('[W4] who comes back is told of producers that came meanwhile, also across a restart', async () => {
    const relay = await TestRelay.start();
    const first = await RawClient.join(relay.wsUrl, { player: 'first' });
    const second = await RawClient.join(relay.wsUrl, { player: 'second' });
    second.events(1, ['hello']);
    await second.stable(1);
    for (const restarts of [false, true]) {
      if (restarts) await relay.restart();
      const again = await RawClient.join(relay.wsUrl, { player: 'first', resume: position(first, first.welcome.seq) });
      expect(again.welcome.resumption).toBe('resumed');
      const told = await again.next('producer');
      expect(told).toMatchObject({ index: 1, player: 'second' });
      expect((await again.next('events-down')).events.map(({ producer }) => producer)).toContain(1);
    }
  });

  test('[W4] a session of the SDK goes on by itself and misses nothing, whatever breaks', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    const seen: unknown[] = [];
    b.on('player_message', ({ data }) => seen.push(data.message));
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 20; i++) a.say(`${round}/${i}`);
      if (round % 2 === 0) await relay.restart();
      for (let i = 20; i < 40; i++) a.say(`${round}/${i}`);
      await a.stable();
    }
    await waitFor('all messages', () => seen.length >= 160);
    expect(seen).toEqual([0, 1, 2, 3].flatMap((round) => Array.from({ length: 40 }, (_, i) => `${round}/${i}`)));
    const { complete } = await a.end();
    expect(complete).toBe(true);
  });
});

describe('joining late', () => {
  test('[W5] [V1] a spectator has the right states at once and at the end, however busy the room is', async () => {
    const relay = await TestRelay.start();
    const players = await join(relay, ['a', 'b', 'c'], (player) => ({ player, n: 0, text: '' }));
    const typing = typeFor(players, 1_500);
    const lives: Live[] = [];
    // On a machine that does much else, fewer come while they type.
    while (typing.isRunning || lives.length < 12) {
      const least = new Map(players.map((session) => [session.player, acceptedCount(session)]));
      const live = await spectate({ url: relay.wsUrl, room: 'arena' });
      const { states } = live;
      for (const session of players) {
        const state = states.get(session.player);
        expect(state).toEqual(stateAfter(session.player, state?.n as number));
        expect(state?.n).toBeGreaterThanOrEqual(least.get(session.player) as number);
        expect(state?.n).toBeLessThanOrEqual(session.state.n as number);
      }
      live.on('event', ({ player, state }) => {
        if (state.n !== undefined) expect(state).toEqual(stateAfter(player, state.n as number));
      });
      lives.push(live);
    }
    await typing.done;
    await Promise.all(players.map((session) => session.stable()));
    for (const live of lives) {
      await waitFor('the last states', () =>
        players.every(({ player, state }) => live.states.get(player)?.n === state.n),
      );
      for (const { player, state } of players) expect(live.states.get(player)).toEqual(state);
    }
    const summary = await (players[0] as Session).end();
    expect(summary.complete).toBe(true);
    const { states } = await relay.recording(summary.recordingId);
    for (const { player, state } of players) expect(states.get(player)).toEqual(state);
  });

  test('[W5] nothing is missing or twice between the snapshot and what follows', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    let pseq = 0;
    for (let round = 0; round < 20; round++) {
      const sends = Array.from({ length: 10 }, () => `t${++pseq}`);
      writer.events(pseq - 9, sends);
      const spectator = await RawClient.join(relay.wsUrl, { player: `s${round}`, role: 'spectator' });
      writer.events(pseq + 1, [`t${++pseq}`]);
      await writer.accepted(pseq);
      const head = spectator.welcome.seq;
      const events = await eventsUntil(spectator, pseq + 1);
      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: pseq + 1 - head }, (_, i) => head + 1 + i));
    }
  });

  test('[V1] states that are larger than a message are there at once', async () => {
    const relay = await TestRelay.start();
    const text = 'long '.repeat(180_000);
    const players = await join(relay, ['a', 'b', 'c', 'd', 'e', 'f'], (player) => ({ player, text }));
    const live = await spectate({ url: relay.wsUrl, room: 'arena' });
    expect([...live.states.values()].map((state) => (state.text as string).length)).toEqual(
      players.map(() => text.length),
    );
    players[0]?.edit('text', { at: 0, remove: 0, insert: '!' });
    await waitFor('the edit', () => String(live.states.get('a')?.text).startsWith('!'));
  });
});

describe('what others are shown', () => {
  test('[W7] the bytes that were sent are shown, journaled and recorded', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    const bodies = Array.from({ length: 30 }, (_, i) => messageBody(`text ${i} ü 🦊`));
    for (const [i, body] of bodies.entries()) {
      writer.send({ kind: 'events-up', firstPseq: i + 1, events: [{ stampDelta: 50 * i, body }] });
    }
    const shown = (await eventsUntil(reader, 31)).filter(({ stamp }) => stamp !== null);
    writer.send({ kind: 'end', lastPseq: 30, outcome: {} });
    const { summary } = await writer.next('ended');
    const { own } = await relay.recording(summary.recordingId);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    expect(shown.map(({ body }) => hex(body))).toEqual(bodies.map(hex));
    expect(own.map(({ body }) => hex(body))).toEqual(bodies.map(hex));
  });

  test('[W7] events of one interval travel together', async () => {
    const relay = await TestRelay.start({ flushMs: 50 });
    const [a, b] = await join(relay, ['a', 'b']);
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    for (let i = 0; i < 200; i++) [a, b][i % 2]?.say(`t${i}`);
    await Promise.all([a.stable(), b.stable()]);
    const events = await eventsUntil(reader, reader.welcome.seq + 200);
    expect(events).toHaveLength(200);
    expect(reader.received.filter(({ kind }) => kind === 'events-down').length).toBeLessThan(10);
  });

  test('[W7] [S2] a burst is cut into messages that may be that long', async () => {
    const relay = await TestRelay.start({ flushMs: 50 });
    const [a] = await join(relay, ['a']);
    const lengths: number[] = [];
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    reader.socket.on('message', (data: Buffer) => lengths.push(data.length));
    for (let i = 0; i < 100; i++) a.record({ type: 'blob', data: { text: 'x'.repeat(5_000) } });
    await eventsUntil(reader, reader.welcome.seq + 100);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(64 * 1024);
  });
});

describe('slow receivers', () => {
  test('[W8] a spectator that never reads is dropped so that it may resume, and nobody else notices', async () => {
    // Those who read share a process with the load: on a busy machine it may be silent for seconds.
    const relay = await TestRelay.start({ silenceMs: 5_000 });
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    const stuck = await RawClient.join(relay.wsUrl, { player: 'stuck', role: 'spectator' });
    stuck.socket.pause();
    const text = 'x'.repeat(30_000);
    let pseq = 0;
    let worstMs = 0;
    const rssBefore = process.memoryUsage().rss;
    // Unread bytes gather in the kernel first, then at the relay up to 1 MiB, where its position waits until it is gone.
    await waitFor('the stuck one to be dropped', async () => {
      const tookMs = runningTime();
      writer.events(++pseq, [text]);
      await reader.next('events-down', ({ upTo }) => upTo >= pseq + 1);
      worstMs = Math.max(worstMs, tookMs());
      return (await relay.room('arena'))?.spectators === 1;
    });
    expect(worstMs).toBeLessThan(1_000);
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(150 * 1024 * 1024);
    stuck.socket.resume();
    const { code } = await stuck.end();
    expect(closeAction(code)).toBe('back off');
    // However soon it was dropped: by then the room has gone on for longer than it remembers.
    // So it may have for those who read: on a busy machine they too go on from a snapshot.
    for (let i = 0; i < 300; i++) writer.events(++pseq, [text]);
    await writer.accepted(pseq);
    const back = await rejoin(relay, stuck, stuck.welcome.seq);
    expect(back.welcome.resumption).toBe('reset');
    expect(back.welcome.seq).toBe(pseq + 1);
  });

  test('[W8] one that was behind is shown the rest as soon as it reads, even when the room is quiet', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const slow = await RawClient.join(relay.wsUrl, { player: 'slow', role: 'spectator' });
    slow.socket.pause();
    const text = 'x'.repeat(30_000);
    for (let i = 1; i <= 130; i++) writer.events(i, [text]);
    await writer.accepted(130);
    slow.socket.resume();
    const events = await eventsUntil(slow, slow.welcome.seq + 130);
    expect(events).toHaveLength(130);
    expect(slow.isClosed).toBe(false);
  });
});

describe('sockets that are superseded', () => {
  test('[W9] the same instance goes on on its new socket; what the old one does changes nothing', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 30 });
    const old = await RawClient.join(relay.wsUrl, { player: 'p' });
    old.events(1, ['one']);
    await old.accepted(1);
    const fresh = await RawClient.join(relay.wsUrl, { player: 'p', resume: position(old, 1) });
    expect(fresh.welcome).toMatchObject({ lastPseq: 1, producer: 0 });
    old.events(2, ['from the grave']);
    expect(await old.end()).toEqual({ code: CloseCode.SUPERSEDED, reason: expect.stringMatching(/^SUPERSEDED: /) });
    fresh.events(2, ['two']);
    await fresh.accepted(2);
    // Longer than the old socket's player would have had to come back.
    const replacedAt = performance.now();
    await waitFor('the grace to be over', () => performance.now() - replacedAt > 100);
    fresh.events(3, ['three']);
    await fresh.accepted(3);
    fresh.send({ kind: 'end', lastPseq: 3, outcome: {} });
    const { summary } = await fresh.next('ended');
    const { entries } = await relay.recording(summary.recordingId);
    const mine = entries.filter(({ player }) => player === 'p').map(({ type, data }) => data.message ?? type);
    expect(mine).toEqual(['player_join', 'one', 'two', 'three', 'player_leave']);
  });

  test('[W9] another instance of the same player takes over, and the old one does not come back', async () => {
    const relay = await TestRelay.start();
    const [old] = await join(relay, ['p'], () => ({ tab: 1 }));
    const [watcher] = await join(relay, ['w']);
    const errors: Error[] = [];
    old.on('error', (error) => errors.push(error));
    old.say('first tab');
    await old.stable();
    const fresh = await connect({ url: relay.wsUrl, room: 'arena', player: 'p', profile: 'json', state: { tab: 2 } });
    await waitFor('the old one to stop', () => old.status.connection === 'closed');
    expect(errors).toMatchObject([{ code: 'SUPERSEDED' }]);
    expect(() => old.say('again')).toThrow();
    await waitFor('the new state', () => watcher.states.get('p')?.tab === 2);
    fresh.say('second tab');
    const summary = await fresh.end();
    const { entries, states } = await relay.recording(summary.recordingId);
    expect(
      entries.filter(({ player }) => player === 'p').map(({ type, data }) => data.message ?? data.reason ?? type),
    ).toEqual(['player_join', 'first tab', 'superseded', 'player_join', 'second tab', 'ended']);
    expect(states.get('p')).toEqual({ tab: 2 });
  });

  test('[W9] an instance that was superseded while it was away is told so when it returns', async () => {
    const relay = await TestRelay.start();
    const old = await RawClient.join(relay.wsUrl, { player: 'p', instance: 'one' });
    await old.vanish();
    const fresh = await RawClient.join(relay.wsUrl, { player: 'p', instance: 'two' });
    const back = await RawClient.open(relay.wsUrl);
    back.hello({ player: 'p', instance: 'one', resume: position(old, 1) });
    expect(await back.end()).toMatchObject({ code: CloseCode.SUPERSEDED });
    fresh.events(1, ['still here']);
    await fresh.accepted(1);
  });

  test('[W9] an instance belongs to one player', async () => {
    const relay = await TestRelay.start();
    const first = await RawClient.join(relay.wsUrl, { player: 'p', instance: 'same' });
    const thief = await RawClient.open(relay.wsUrl);
    thief.hello({ player: 'q', instance: 'same' });
    expect(await thief.end()).toMatchObject({ code: CloseCode.BAD_MESSAGE });
    first.events(1, ['still here']);
    await first.accepted(1);
  });
});

async function join(relay: TestRelay, players: string[], state?: (player: string) => Record<string, string | number>) {
  const sessions = await Promise.all(
    players.map((player) => {
      const start = state && { state: state(player) };
      return connect({ url: relay.wsUrl, room: 'arena', player, profile: 'json', flushMs: 4, ...start });
    }),
  );
  return sessions as [Session, Session, ...Session[]];
}

function stateAfter(player: string, n: number): Record<string, string | number> {
  return {
    player,
    n,
    text: Array.from({ length: Math.min(n, 300) }, (_, i) => String.fromCharCode(97 + ((n - i) % 26))).join(''),
  };
}

/** Every player records as fast as its turn of the event loop comes, for `durationMs`. */
function typeFor(players: readonly Session[], durationMs: number) {
  const until = performance.now() + durationMs;
  const typing = { isRunning: true, done: Promise.resolve() };
  typing.done = (async () => {
    while (performance.now() < until) {
      for (const session of players) {
        const n = (session.state.n as number) + 1;
        session.record({ type: 'typed', data: { n } }, stateAfter(session.player, n));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    typing.isRunning = false;
  })();
  onTestFinished(() => typing.done);
  return typing;
}

/** What a spectator that joins now is at least shown: everything recorded is counted in `n`. */
function acceptedCount({ status }: Session): number {
  return status.accepted;
}

function position({ welcome }: RawClient, seq: number) {
  return { recordingId: welcome.recordingId, epoch: welcome.epoch, seq };
}

async function rejoin(relay: TestRelay, spectator: RawClient, seq: number): Promise<RawClient> {
  return await RawClient.join(relay.wsUrl, { player: 'again', role: 'spectator', resume: position(spectator, seq) });
}

/** Every event that was shown, in the order it came, once it was shown `seq`. */
async function eventsUntil(client: RawClient, seq: number): Promise<EventDown[]> {
  const shown = (): EventDown[] => {
    return client.received.flatMap((message: DownMessage) => (message.kind === 'events-down' ? message.events : []));
  };
  await waitFor(`event ${seq}`, () => shown().some((event) => event.seq >= seq));
  return shown();
}
