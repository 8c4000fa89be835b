import { createServer } from 'node:net';
import { type ConnectOptions, connect, type Session, spectate } from '@gametape/client-sdk';
import { CloseCode } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakePeer, FakeRelay } from '../support/fake-relay.ts';
import { runningTime } from '../support/running-time.ts';
import { waitFor } from '../support/wait-for.ts';

describe('the first connection', () => {
  test('nobody listens: UNREACHABLE', async () => {
    const relay = await FakeRelay.start();
    const { port } = new URL(relay.wsUrl);
    const url = `ws://127.0.0.1:${Number(port) === 1 ? 2 : 1}`;
    await expect(connect({ url, room: 'r', player: 'p' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(spectate({ url, room: 'r' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(connect({ url: 'no url', room: 'r', player: 'p' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  test('nobody answers: TIMED_OUT, for players and spectators, before and after the handshake', async () => {
    const deaf = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void deaf.close());
    const fake = await FakeRelay.start();
    const address = deaf.address() as { port: number };
    for (const url of [`ws://127.0.0.1:${address.port}`, fake.wsUrl]) {
      const options = { url, room: 'r', timeoutMs: 60 };
      await expect(connect({ ...options, player: 'p' })).rejects.toMatchObject({ code: 'TIMED_OUT' });
      await expect(spectate(options)).rejects.toMatchObject({ code: 'TIMED_OUT' });
    }
  });

  test('it is refused: the code of the relay', async () => {
    const relay = await FakeRelay.start();
    const refused = expect(connect({ url: relay.wsUrl, room: 'r', player: 'p' })).rejects.toMatchObject({
      code: 'PROFILE_MISMATCH',
      message: 'no chess here',
    });
    (await relay.peer(1)).close(CloseCode.BAD_MESSAGE, 'PROFILE_MISMATCH: no chess here');
    await refused;
  });
});

describe('close codes', () => {
  test.each([
    [CloseCode.BAD_TOKEN, 'NOT_ALLOWED'],
    [CloseCode.NOT_ALLOWED, 'NOT_ALLOWED'],
    [CloseCode.ROOM_ENDED, 'ROOM_ENDED'],
    [CloseCode.VERSION_UNKNOWN, 'VERSION_UNKNOWN'],
    [CloseCode.ROOM_FULL, 'ROOM_FULL'],
    [CloseCode.SUPERSEDED, 'SUPERSEDED'],
    [CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
    [4_050, 'SESSION_CLOSED'],
  ])('[W9] %i stops the session, saying %s', async (closeCode, code) => {
    const { session, peer, relay } = await connected();
    const errors: Error[] = [];
    session.on('error', (error) => errors.push(error));
    session.say('x');
    const stable = expect(session.stable()).rejects.toMatchObject({ code });
    peer.close(closeCode);
    await stable;
    expect(session.status.connection).toBe('closed');
    expect(errors).toMatchObject([{ code }]);
    expect(() => session.say('y')).toThrow(expect.objectContaining({ code: 'SESSION_CLOSED' }));
    expect(relay.peers).toHaveLength(1);
  });

  test.each([
    CloseCode.SLOW,
    CloseCode.RATE_LIMITED,
    CloseCode.SERVER_ERROR,
    CloseCode.JOURNAL_FAILED,
    4_150,
    1_012,
    1_011,
  ])('[W9] after %i the session comes back, with its position, after a while', async (closeCode) => {
    const { peer, relay, session } = await connected();
    peer.close(closeCode);
    const next = await relay.peer(2);
    expect(next.hello).toMatchObject({
      instance: peer.hello?.instance,
      resume: { recordingId: 'fake', epoch: 1, seq: 1 },
    });
    next.welcome();
    await waitFor('the session to be live', () => session.status.connection === 'live');
  });

  test.each([CloseCode.DRAINING, 4_250])('[W9] after %i it comes back at once', async (closeCode) => {
    const { peer, relay } = await connected();
    const awayForMs = runningTime();
    peer.close(closeCode);
    const next = await relay.peer(2);
    expect(awayForMs()).toBeLessThan(1_000);
    expect(next.hello?.resume).toEqual({ recordingId: 'fake', epoch: 1, seq: 1 });
  });

  test.each([CloseCode.EPOCH_GONE, 4_350, CloseCode.OUT_OF_STEP])(
    '[W9] after %i it asks for a snapshot: it names a position that nobody knows',
    async (closeCode) => {
      const { peer, relay } = await connected();
      peer.close(closeCode);
      expect((await relay.peer(2)).hello?.resume).toMatchObject({ recordingId: 'fake', epoch: 0 });
    },
  );

  test.each(['new', 'reset'] as const)(
    '[W5] lost between a welcome (%s) and its snapshot, it asks for a snapshot again',
    async (resumption) => {
      const { peer, relay } = await connected();
      peer.close(CloseCode.OUT_OF_STEP);
      const next = await relay.peer(2);
      next.welcomeAlone({ resumption });
      next.close(CloseCode.DRAINING);
      expect((await relay.peer(3)).hello?.resume).toMatchObject({ recordingId: 'fake', epoch: 0 });
    },
  );

  test('[W5] a spectator does so too', async () => {
    const relay = await FakeRelay.start();
    const opened = spectate({ url: relay.wsUrl, room: 'r' });
    (await relay.peer(1)).welcome({ producer: -1 });
    const live = await opened;
    relay.peers[0]?.close(CloseCode.OUT_OF_STEP);
    const next = await relay.peer(2);
    next.welcomeAlone({ producer: -1, resumption: 'reset' });
    next.close(CloseCode.DRAINING);
    expect((await relay.peer(3)).hello?.resume).toMatchObject({ recordingId: 'fake', epoch: 0 });
    live.close();
  });

  test('[W9] a socket that was given up is not heard any more', async () => {
    const { session, peer, relay } = await connected({}, { silenceMs: 60 });
    const next = await relay.peer(2);
    next.welcome();
    await waitFor('the session to be live', () => session.status.connection === 'live');
    session.say('x');
    await waitFor('the event', () => next.lastPseq === 1);
    peer.ack(1);
    peer.close(CloseCode.SUPERSEDED, 'SUPERSEDED: late');
    next.ack(0);
    await waitFor('the old socket to be closed', () => peer.closeCode);
    expect(session.status).toMatchObject({ connection: 'live', accepted: 0 });
  });
});

describe('silence and nonsense', () => {
  test('[W10] a relay that says nothing is taken for dead after the time it named', async () => {
    const { session, relay, peer } = await connected({}, { silenceMs: 80 });
    const statuses: string[] = [];
    session.on('status', ({ connection }) => statuses.push(connection));
    // Sooner than after the 15 s of a relay that names none.
    const next = await relay.peer(2, 10_000);
    expect(next.openedAt - peer.openedAt).toBeGreaterThan(75);
    expect(statuses[0]).toBe('reconnecting');
  });

  test('[W10] pings are answered with the clock that events are stamped with', async () => {
    const { session, peer } = await connected();
    const saidAt = performance.now();
    session.say('x');
    peer.send({ kind: 'ping', id: 7, acks: { accepted: 0, stable: 0 } });
    const pong = await waitFor('a pong', () => peer.received.find((message) => message.kind === 'pong'));
    const answeredUs = (performance.now() - saidAt) * 1_000;
    expect(pong).toMatchObject({ kind: 'pong', id: 7 });
    const stamp = await waitFor('the event', () => {
      return peer.received.flatMap((message) => (message.kind === 'events-up' ? message.events : []))[0]?.stampDelta;
    });
    // Stamps are rounded.
    const sinceUs = (pong as { received: number }).received - stamp;
    expect(sinceUs).toBeGreaterThanOrEqual(-100);
    expect(sinceUs).toBeLessThan(answeredUs + 100);
  });

  test.each<[string, (peer: FakePeer) => void]>([
    ['bytes that are no message', (peer) => peer.sendBytes(Uint8Array.of(0xff, 0xff))],
    ['chunks of chunks', (peer) => peer.sendBytes(Uint8Array.of(0x0f, 0x01, 0x0f, 0x01, 0x8a))],
    ['an event of nobody', (peer) => peer.send(eventDown(3))],
  ])('[W4] [W11] after %s it starts afresh instead of guessing', async (_, act) => {
    const { session, peer, relay } = await connected();
    act(peer);
    const next = await relay.peer(2);
    expect(next.hello?.resume).toMatchObject({ epoch: 0 });
    next.welcome({ resumption: 'reset', seq: 40 });
    await waitFor('the session to be live', () => session.status.connection === 'live');
    next.close(CloseCode.DRAINING);
    expect((await relay.peer(3)).hello?.resume).toMatchObject({ epoch: 1, seq: 40 });
  });
});

describe('what is sent again', () => {
  test('[W2] the identical bytes, from where the relay says, in order', async () => {
    const { session, peer, relay } = await connected({ flushMs: 0 });
    for (let i = 0; i < 20; i++) {
      session.say(`t${i}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor('all events', () => peer.lastPseq === 20);
    peer.close(CloseCode.DRAINING);
    const next = await relay.peer(2);
    next.welcome({ lastPseq: 5 });
    await waitFor('all events again', () => next.lastPseq === 20);
    const hex = ({ bytes }: FakePeer) => bytes.map((each) => Buffer.from(each).toString('hex'));
    expect(hex(peer)).toEqual(expect.arrayContaining(hex(next)));
    expect(hex(next).length).toBeGreaterThan(1);
    next.ack(20);
    await session.stable();
  });

  test('[W3] only so much is under way without an ack', async () => {
    const { session, peer } = await connected();
    for (let i = 0; i < 200; i++) session.record({ type: 'blob', data: { text: 'x'.repeat(20_000) } });
    const sent = () => peer.bytes.reduce((sum, bytes) => sum + bytes.length, 0);
    await waitFor('the window to be full', () => sent() > 1_000_000);
    peer.send({ kind: 'ping', id: 1, acks: { accepted: 0, stable: 0 } });
    await waitFor('a pong', () => peer.received.some(({ kind }) => kind === 'pong'));
    expect(sent()).toBeLessThan(1_200_000);
    while (peer.lastPseq < 200) {
      peer.ack(peer.lastPseq);
      const before = peer.lastPseq;
      await waitFor('more', () => peer.lastPseq > before || peer.lastPseq === 200);
    }
    peer.ack(200);
    await session.stable();
  });

  test('[W3] an ack of the welcome keeps a promise too', async () => {
    const { session, peer, relay } = await connected();
    const checkpoint = session.checkpoint('here');
    await waitFor('the event', () => peer.lastPseq === 1);
    peer.close(CloseCode.DRAINING);
    (await relay.peer(2)).welcome({ lastPseq: 1 });
    await checkpoint;
  });

  test('[W3] what is asked for and not there any more is declared a gap, once', async () => {
    const { session, peer, relay } = await connected({ state: { n: 0 } });
    const errors: Error[] = [];
    session.on('error', (error) => errors.push(error));
    for (let n = 1; n <= 10; n++) session.record({ type: 'e', data: {} }, { n });
    await waitFor('all events', () => peer.lastPseq === 10);
    peer.ack(10);
    await session.stable();
    session.record({ type: 'e', data: {} }, { n: 11 });
    await waitFor('another event', () => peer.lastPseq === 11);
    peer.close(CloseCode.DRAINING);
    const next = await relay.peer(2);
    next.welcome({ lastPseq: 4 });
    await waitFor('the keyframe after the gap', () => next.lastPseq === 12);
    expect(next.received.filter(({ kind }) => kind === 'gap')).toMatchObject([{ firstPseq: 5, lastPseq: 11 }]);
    expect(errors).toMatchObject([{ code: 'EVENTS_LOST' }]);
    expect(session.status.lost).toBe(7);
  });

  test('[W6] the final is said after the last event, however long those take', async () => {
    const { session, peer } = await connected();
    for (let i = 0; i < 120; i++) session.record({ type: 'blob', data: { text: 'x'.repeat(20_000) } });
    peer.send({ kind: 'ending' });
    while (peer.lastPseq < 120) {
      expect(peer.received.some(({ kind }) => kind === 'final')).toBe(false);
      peer.ack(peer.lastPseq);
      const before = peer.lastPseq;
      await waitFor('more', () => peer.lastPseq > before);
    }
    await waitFor('the final', () => peer.received.some(({ kind }) => kind === 'final'));
    expect(peer.received.filter(({ kind }) => kind === 'final')).toEqual([{ kind: 'final', lastPseq: 120 }]);
    expect(() => session.say('late')).toThrow(/about to end/);
  });

  test('[W6] [W9] nobody waits for the end of a room whose relay asked for the rest and then sent the player away', async () => {
    const { session, peer } = await connected();
    peer.send({ kind: 'ending' });
    await waitFor('the final', () => peer.received.some(({ kind }) => kind === 'final'));
    peer.close(CloseCode.SUPERSEDED);
    await waitFor('it to be over', () => session.status.connection === 'closed');
    await expect(session.end()).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
  });

  test('[W6] what was asked for is asked for again on the next connection', async () => {
    const { session, peer, relay } = await connected();
    session.say('x');
    const ended = session.end({ won: true });
    await waitFor('the end', () => peer.received.some(({ kind }) => kind === 'end'));
    peer.close(CloseCode.DRAINING);
    const next = await relay.peer(2);
    next.welcome({ lastPseq: 0 });
    await waitFor('the end again', () => next.received.some(({ kind }) => kind === 'end'));
    expect(next.received.map(({ kind }) => kind).filter((kind) => kind !== 'pong')).toEqual([
      'hello',
      'events-up',
      'end',
    ]);
    const summary = { recordingId: 'fake', room: 'r', complete: true, durationS: 1, events: 1, players: [] };
    next.send({ kind: 'ended', summary });
    expect(await ended).toEqual(summary);
    expect(session.status.connection).toBe('ended');
  });
});

async function connected(options: Partial<ConnectOptions> = {}, welcome: Parameters<FakePeer['welcome']>[0] = {}) {
  const relay = await FakeRelay.start();
  const connecting = connect({ url: relay.wsUrl, room: 'r', player: 'p', profile: 'json', flushMs: 2, ...options });
  const peer = await relay.peer(1);
  peer.welcome(welcome);
  const session: Session = await connecting;
  session.on('error', () => {});
  return { relay, peer, session };
}

function eventDown(producer: number): Parameters<FakePeer['send']>[0] {
  const events = [{ seq: 2, producer, time: 1, hlc: 0, stamp: 1, body: Uint8Array.of(0x14, 0xa0) }];
  return { kind: 'events-down', acks: { accepted: 0, stable: 0 }, upTo: 2, events };
}
