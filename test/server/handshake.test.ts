import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { connect, spectate } from '@gametape/client-sdk';
import { CloseCode, encodeMessage } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { helloOf, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

const UPGRADE = [
  'GET / HTTP/1.1',
  'host: 127.0.0.1',
  'connection: Upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
  'sec-websocket-protocol: gametape.v1',
  '\r\n',
].join('\r\n');

describe('the WebSocket handshake', () => {
  test('[W1] a client without the subprotocol is told which one it is', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.open(relay.wsUrl, { protocols: [] });
    const { code, reason } = await client.end();
    expect([code, reason]).toEqual([CloseCode.VERSION_UNKNOWN, expect.stringContaining('gametape.v1')]);
  });

  test('[W1] so is one that offers only others, and nothing it sends is heard', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.open(relay.wsUrl, { protocols: ['gametape.v9', 'chat'] });
    client.hello();
    const { code, reason } = await client.end();
    expect([code, reason]).toEqual([CloseCode.VERSION_UNKNOWN, expect.stringContaining('gametape.v1')]);
    expect(await relay.room('arena')).toBeUndefined();
  });

  test('[W1] the subprotocol is found among others', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.open(relay.wsUrl, { protocols: ['gametape.v9', 'gametape.v1'] });
    expect(client.socket.protocol).toBe('gametape.v1');
    client.hello();
    expect(await client.next('welcome')).toMatchObject({ protocol: 1, epoch: 1, producer: 0, lastPseq: 0 });
  });

  test.each([[[]], [[2]], [[0, 7, 2 ** 31]]])(
    '[W1] versions %j are refused with those that are known',
    async (protocols) => {
      const relay = await TestRelay.start();
      const client = await RawClient.open(relay.wsUrl);
      client.hello({ protocols });
      const { code, reason } = await client.end();
      expect(code).toBe(CloseCode.VERSION_UNKNOWN);
      expect(reason).toMatch(/^VERSION_UNKNOWN: .*version 1/);
      expect(await relay.room('arena')).toBeUndefined();
    },
  );

  test('[W1] a version that is known is found among others', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl, { protocols: [9, 1] });
    expect(client.welcome.protocol).toBe(1);
  });

  test('[S2] who does not say hello in time is closed', async () => {
    const relay = await TestRelay.start({ handshakeMs: 50 });
    const client = await RawClient.open(relay.wsUrl);
    expect(await client.end()).toEqual({
      code: CloseCode.SILENT,
      reason: expect.stringMatching(/^TIMED_OUT: no hello/),
    });
  });

  test('[S2] an address has only so many connections', async () => {
    const relay = await TestRelay.start({ maxConnectionsPerAddress: 2 });
    const first = await RawClient.join(relay.wsUrl, { player: 'a' });
    await RawClient.join(relay.wsUrl, { player: 'b' });
    const third = await RawClient.open(relay.wsUrl);
    expect(await third.end()).toMatchObject({ code: CloseCode.RATE_LIMITED });
    await first.vanish();
    const again = await waitFor('a place', async () => {
      const client = await RawClient.open(relay.wsUrl);
      client.hello({ player: 'c' });
      return await client.next('welcome').then(
        () => client,
        () => undefined,
      );
    });
    expect(again.isClosed).toBe(false);
  });

  test.each([
    ['room', '../etc'],
    ['room', ''],
    ['room', 'a b'],
    ['room', 'é'.repeat(300)],
    ['room', 'x'.repeat(65)],
    ['player', 'a/b'],
    ['player', '.'],
    ['player', 'nul\0'],
    ['instance', '..'],
    ['instance', ''],
  ])('[S1] a hello whose %s is %j is refused', async (field, id) => {
    const relay = await TestRelay.start();
    const client = await RawClient.open(relay.wsUrl);
    client.hello({ [field]: id });
    const { code, reason } = await client.end();
    expect(code).toBe(CloseCode.BAD_MESSAGE);
    expect(reason).toMatch(/^BAD_ID: /);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    expect(await (await relay.get('/v1/rooms')).json()).toEqual({ rooms: [] });
  });

  test('[S1] the SDK refuses such ids with the same code', async () => {
    const relay = await TestRelay.start();
    await expect(connect({ url: relay.wsUrl, room: '../x', player: 'a' })).rejects.toMatchObject({ code: 'BAD_ID' });
    await expect(spectate({ url: relay.wsUrl, room: 'x', spectator: '/' })).rejects.toMatchObject({ code: 'BAD_ID' });
  });

  test('[S1] a position of a recording whose id is a path opens no path', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.open(relay.wsUrl);
    client.hello({ resume: { recordingId: '../../../etc/passwd', epoch: 1, seq: 1 } });
    expect(await client.end()).toEqual({ code: CloseCode.ROOM_ENDED, reason: expect.stringMatching(/^ROOM_ENDED: /) });
  });

  test('a player that is refused leaves no room behind', async () => {
    const relay = await TestRelay.start({ maxRooms: 1 });
    const bad = await RawClient.open(relay.wsUrl);
    bad.hello({ room: 'first', profile: 'lmsp' });
    expect(await bad.end()).toMatchObject({ code: CloseCode.BAD_MESSAGE, reason: expect.stringMatching(/^BAD_STATE/) });
    const unknown = await RawClient.open(relay.wsUrl);
    unknown.hello({ room: 'first', profile: 'chess' });
    expect(await unknown.end()).toMatchObject({ reason: expect.stringMatching(/^PROFILE_MISMATCH/) });
    const good = await RawClient.join(relay.wsUrl, { room: 'second' });
    expect(good.welcome.profile).toBe('json');
    const other = await RawClient.open(relay.wsUrl);
    other.hello({ room: 'third' });
    expect(await other.end()).toMatchObject({ code: CloseCode.ROOM_FULL });
  });

  test('[S2] [V2] a room that is over takes a place as long as it is still shown', async () => {
    const relay = await TestRelay.start({ maxRooms: 1, spectatorDelayMs: 4_000 });
    const options = { url: relay.wsUrl, profile: 'json', state: {} } as const;
    const first = await connect({ ...options, room: 'first', player: 'a' });
    await first.end();
    const second = connect({ ...options, room: 'second', player: 'a' });
    await expect(second).rejects.toMatchObject({ code: 'ROOM_FULL', message: expect.stringMatching(/1 that are not/) });
    const later = await waitFor('the place to be free', () => {
      return connect({ ...options, room: 'second', player: 'a' }).catch(() => undefined);
    });
    await later.end();
  });

  test('[L5] the first player decides what the room records', async () => {
    const relay = await TestRelay.start();
    await RawClient.join(relay.wsUrl, { player: 'a' });
    await expect(connect({ url: relay.wsUrl, room: 'arena', player: 'b' })).rejects.toMatchObject({
      code: 'PROFILE_MISMATCH',
    });
  });

  test('[S2] a room takes only so many players and spectators', async () => {
    const relay = await TestRelay.start({ maxPlayers: 1, maxSpectators: 1 });
    const a = await RawClient.join(relay.wsUrl, { player: 'a' });
    const b = await RawClient.open(relay.wsUrl);
    b.hello({ player: 'b' });
    expect(await b.end()).toMatchObject({ code: CloseCode.ROOM_FULL, reason: expect.stringMatching(/^ROOM_FULL/) });
    await RawClient.join(relay.wsUrl, { player: 's1', role: 'spectator' });
    const s2 = await RawClient.open(relay.wsUrl);
    s2.hello({ player: 's2', role: 'spectator' });
    expect(await s2.end()).toMatchObject({ code: CloseCode.ROOM_FULL });
    await RawClient.join(relay.wsUrl, { player: 'a', instance: 'a-2' });
    expect(await a.end()).toMatchObject({ code: CloseCode.SUPERSEDED });
  });
});

describe('roles', () => {
  test('[S3] a spectator finds the room or is told that there is none', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.open(relay.wsUrl);
    client.hello({ role: 'spectator' });
    expect(await client.end()).toEqual({ code: CloseCode.ROOM_ENDED, reason: expect.stringMatching(/^NOT_FOUND: /) });
    await expect(spectate({ url: relay.wsUrl, room: 'arena' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await relay.room('arena')).toBeUndefined();
  });

  test.each([
    ['events', { kind: 'events-up', firstPseq: 1, events: [] }],
    ['gap', { kind: 'gap', firstPseq: 1, lastPseq: 2, reason: '' }],
    ['leave', { kind: 'leave', lastPseq: 0 }],
    ['end', { kind: 'end', lastPseq: 0, outcome: {} }],
    ['final', { kind: 'final', lastPseq: 0 }],
    ['hello', helloOf({})],
  ] as const)('[S3] a spectator that sends %s is closed and has written nothing', async (_, message) => {
    const relay = await TestRelay.start();
    const player = await RawClient.join(relay.wsUrl, { player: 'a' });
    const spectator = await RawClient.join(relay.wsUrl, { player: 's', role: 'spectator' });
    spectator.send(message);
    const { code, reason } = await spectator.end();
    expect([code, reason]).toEqual([CloseCode.NOT_ALLOWED, expect.stringMatching(/^NOT_ALLOWED: /)]);
    player.events(1, ['still here']);
    await player.accepted(1);
    expect((await relay.room('arena'))?.events).toBe(2);
  });
});

describe('heartbeats', () => {
  test('[W10] acks and clock probes ride on them', async () => {
    const relay = await TestRelay.start({ heartbeatMs: 20 });
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, ['one']);
    const ping = await client.next('ping', ({ acks }) => acks.stable === 1);
    expect(ping.acks).toEqual({ accepted: 1, stable: 1 });
  });

  test('[W10] a peer that says nothing at all is dropped, one that only answers is not', async () => {
    const relay = await TestRelay.start({ heartbeatMs: 20, silenceMs: 200 });
    const lively = await RawClient.join(relay.wsUrl, { player: 'lively' });
    const watching = await RawClient.join(relay.wsUrl, { player: 'watching', role: 'spectator' });
    const dead = await RawClient.join(relay.wsUrl, { player: 'dead' }, { answersPings: false });
    expect(await dead.end()).toEqual({ code: CloseCode.SILENT, reason: expect.stringMatching(/^TIMED_OUT: /) });
    await waitFor('more heartbeats', () => lively.received.filter(({ kind }) => kind === 'ping').length > 25);
    expect([lively.isClosed, watching.isClosed]).toEqual([false, false]);
  });

  test('[W10] a relay that has stood still itself takes nobody for dead who answers', async () => {
    const relay = await TestRelay.start({ heartbeatMs: 20, silenceMs: 200 });
    const player = await RawClient.join(relay.wsUrl, { player: 'lively' });
    for (let stall = 0; stall < 3; stall++) {
      const before = player.received.length;
      await waitFor('more heartbeats', () => player.received.length > before + 25);
      const until = performance.now() + 400;
      while (performance.now() < until);
    }
    const before = player.received.length;
    await waitFor('more heartbeats', () => player.received.length > before + 25);
    expect(player.isClosed).toBe(false);
  });
});

describe('what is no WebSocket client', () => {
  test('[S4] upgrades of all kinds get an answer and change nothing', async () => {
    const relay = await TestRelay.start();
    const player = await RawClient.join(relay.wsUrl);
    const headers: Record<string, string>[] = [
      { upgrade: 'h2c', connection: 'upgrade' },
      { upgrade: 'websocket', connection: 'upgrade' },
      { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-version': '7', 'sec-websocket-key': 'x' },
      { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-version': '13', 'sec-websocket-key': 'short' },
    ];
    const statuses = await Promise.all(headers.map((each) => upgrade(relay.port, each)));
    expect(statuses).toEqual([400, 400, 400, 400]);
    player.events(1, ['still here']);
    await player.accepted(1);
  });

  test('[S4] hundreds shake hands at once, and half are gone before it is their turn: the others are in', async () => {
    const relay = await TestRelay.start();
    const hello = (i: number) => ({ player: `p${i}`, role: 'spectator' as const });
    const player = await RawClient.join(relay.wsUrl, { player: 'stays' });
    const lost = Array.from({ length: 200 }, () => connectTcp(relay.port, '127.0.0.1'));
    for (const socket of lost) {
      socket.on('error', () => {});
      socket.write(UPGRADE, () => socket.resetAndDestroy());
    }
    const others = await Promise.all(Array.from({ length: 200 }, (_, i) => RawClient.join(relay.wsUrl, hello(i))));
    player.events(1, ['still here']);
    await Promise.all(others.map((other) => other.next('events-down')));
    await waitFor('the lost to be gone', async () => (await relay.room('arena'))?.spectators === others.length);
  });

  test('[S4] a socket that is cut in the middle of everything is forgotten', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 50 });
    const stays = await RawClient.join(relay.wsUrl, { player: 'stays' });
    for (let i = 0; i < 20; i++) {
      const socket = new WebSocket(relay.wsUrl, 'gametape.v1');
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(encodeMessage(helloOf({ player: `p${i}` })));
      socket.terminate();
    }
    await waitFor('the others to be gone', async () => {
      const room = await relay.room('arena');
      return room?.players.every(({ id, connected }) => id === 'stays' || !connected);
    });
    stays.events(1, ['still here']);
    await stays.accepted(1);
  });
});

function upgrade(port: number, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/', headers });
    sent.on('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', reject);
    sent.end();
  });
}
