import { readdir, readFile, truncate } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import { CloseCode } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { RelayProcess, readRecording, TestRelay } from '../support/relay.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait-for.ts';

const LEASE_MS = 1_000;
const RETURN_MS = 60_000;
const CHECKPOINTS = 'gt:{arena}:checkpoints';

describe.skipIf(!hasRedis)('two relays that share a Redis', () => {
  test('[W9] a room is where it was opened: the other relay says so, and has it once it is free', async () => {
    const redis = await RedisServer.start();
    const [a, b] = await Promise.all([relayOn(redis), relayOn(redis)]);
    const session = await join(a.port, 'one');
    session.say('here');
    const refused = await RawClient.open(b.wsUrl);
    refused.hello({ room: 'arena' });
    expect(await refused.closed).toMatchObject({
      code: CloseCode.MOVED,
      reason: expect.stringContaining('ROOM_ELSEWHERE'),
    });
    const watching = await RawClient.open(b.wsUrl);
    watching.hello({ room: 'arena', role: 'spectator' });
    expect(await watching.closed).toMatchObject({ code: CloseCode.MOVED });
    // It goes on asking, ever more slowly, and is not told that it cannot.
    const patient = join(b.port, 'two');
    await session.end();
    const other = await patient;
    expect(other.recordingId).not.toBe(session.recordingId);
    expect((await other.end()).complete).toBe(true);
  });

  test('[J7] a relay that stops hands its rooms on at once', async () => {
    const redis = await RedisServer.start();
    const [a, b] = await Promise.all([relayOn(redis), relayOn(redis)]);
    const proxy = await TcpProxy.start(a.port);
    const session = await join(proxy.port, 'one');
    for (let i = 0; i < 50; i++) session.say(`before ${i}`);
    await session.stable();
    const { recordingId } = session;
    proxy.switchTo(b.port);
    const stopping = a.stop();
    await waitFor(
      'the session to be at the other relay',
      async () => (await b.room('arena')) && isLive(session),
      RETURN_MS,
    );
    await stopping;
    for (let i = 0; i < 50; i++) session.say(`after ${i}`);
    const summary = await session.end();
    expect(summary).toMatchObject({ recordingId, complete: true });
    const { own } = await b.recording(recordingId);
    const said = ['before', 'after'].flatMap((when) => Array.from({ length: 50 }, (_, i) => `${when} ${i}`));
    expect(own.map(({ data }) => data.message)).toEqual(said);
  });

  test('[J4] one that was stopped for longer than its lease writes nothing any more, and its clients go on elsewhere', async () => {
    const redis = await RedisServer.start();
    const a = await RelayProcess.start(await tempDir(), ['--redis', redis.url, '--lease', String(LEASE_MS / 1_000)]);
    onTestFinished(() => a.kill());
    // Its own lease is longer than a busy machine stands still: the first would have the room again.
    const b = await relayOn(redis, { leaseMs: 15_000 });
    const proxy = await TcpProxy.start(Number(new URL(a.wsUrl).port));
    const session = await join(proxy.port, 'one');
    let said = 0;
    const timer = setInterval(() => session.say(`t${said++}`), 2);
    onTestFinished(() => clearInterval(timer));
    await waitFor('some to be accepted', () => session.status.accepted > 100);
    // One that stays with the first relay, and hears from it when it is awake again.
    const stays = await RawClient.join(a.wsUrl, { room: 'arena', player: 'two' });
    a.signal('SIGSTOP');
    proxy.switchTo(b.port);
    stays.events(1, ['into the void']);
    proxy.cutAll();
    await waitFor(
      'the session to be at the other relay',
      async () => (await b.room('arena')) && isLive(session),
      RETURN_MS,
    );
    const before = said;
    await waitFor('some more', () => session.status.accepted > before);
    const epochs = () => redis.entries('gt:{arena}:checkpoints').map(({ id }) => Number(id.split('-')[0]));
    const ownerEpoch = Math.max(...epochs());
    a.signal('SIGCONT');
    expect(await within('the first relay to let go', stays.closed, RETURN_MS)).toMatchObject({ code: CloseCode.MOVED });
    await waitFor('some more', () => session.status.accepted > before + 100);
    clearInterval(timer);
    expect(epochs().at(-1)).toBe(ownerEpoch);
    const summary = await session.end();
    expect(summary.recordingId).toBe(session.recordingId);
    const { own } = await b.recording(summary.recordingId);
    expect(own.filter(({ player }) => player === 'one').map(({ data }) => data.message)).toEqual(
      Array.from({ length: said }, (_, i) => `t${i}`),
    );
    expect(own.filter(({ player }) => player === 'two')).toEqual([]);
  });

  test('[W6] a room of a relay that is gone is finished by the one that is left, although nobody comes back', async () => {
    const redis = await RedisServer.start();
    const a = await RelayProcess.start(await tempDir(), ['--redis', redis.url, '--lease', String(LEASE_MS / 1_000)]);
    onTestFinished(() => a.kill());
    const client = await RawClient.join(a.wsUrl, { room: 'arena' });
    client.events(1, ['last words']);
    await client.accepted(1);
    await a.kill();
    const b = await relayOn(redis, { dropGraceMs: 50, idleFinishMs: 50 });
    const { recordingId } = client.welcome;
    const info = await waitFor(
      'the recording',
      async () => {
        const response = await b.get(`/v1/recordings/${recordingId}`);
        return response.ok ? await response.json() : undefined;
      },
      RETURN_MS,
    );
    expect(info).toMatchObject({ recordingId, complete: false });
    expect((await b.recording(recordingId)).own.map(({ data }) => data.message)).toEqual(['last words']);
  });
});

describe.skipIf(!hasRedis)('a relay whose Redis has an accident', () => {
  test.each(['always', 'everysec'])(
    '[J4] kill -9 of Redis under %s: what it has lost, the clients bring again',
    async (appendfsync) => {
      const redis = await RedisServer.start({ appendfsync });
      const relay = await relayOn(redis);
      const sessions = await Promise.all(['a', 'b', 'c'].map((player) => join(relay.port, player)));
      const said = new Map(sessions.map((session) => [session.player, 0]));
      const timer = setInterval(() => {
        for (const session of sessions) {
          const n = said.get(session.player) as number;
          session.say(`${session.player} ${n}`);
          said.set(session.player, n + 1);
        }
      }, 1);
      onTestFinished(() => clearInterval(timer));
      for (let round = 1; round <= 3; round++) {
        const enough = round * 150;
        await waitFor('some to be accepted', () => sessions.every(({ status }) => status.accepted > enough), RETURN_MS);
        await redis.kill();
        await redis.start();
      }
      clearInterval(timer);
      const recorded = said.get('a') as number;
      await waitFor(
        'all to be accepted',
        () => sessions.every(({ status }) => status.accepted === recorded),
        RETURN_MS,
      );
      expect(sessions.map(isLive)).toEqual([true, true, true]);
      const [first] = sessions as [Session];
      const summary = await within('the end', first.end(), RETURN_MS);
      expect(summary.complete).toBe(true);
      const { own } = await relay.recording(summary.recordingId);
      for (const { player } of sessions) {
        const mine = own.filter((entry) => entry.player === player).map(({ data }) => data.message);
        expect(mine).toEqual(Array.from({ length: recorded }, (_, n) => `${player} ${n}`));
      }
    },
  );

  test('[J4] relay and Redis are killed and the end of its file is gone: the clients bring it again', async () => {
    const directory = await tempDir();
    const redis = await RedisServer.start({ appendfsync: 'everysec' }, directory);
    const relay = await RelayProcess.start(await tempDir(), ['--redis', redis.url]);
    onTestFinished(() => relay.kill());
    const sessions = await Promise.all(['a', 'b'].map((player) => join(Number(new URL(relay.wsUrl).port), player)));
    const seen: unknown[] = [];
    sessions[1]?.on('player_message', ({ data }) => seen.push(data.message));
    const [first] = sessions as [Session];
    for (let i = 0; i < 100; i++) first.say(`t${i}`);
    await first.stable();
    let said = 100;
    let stable = said;
    // Again where the machine stood still for so long that all of it was stable.
    while (stable === said) {
      const before = said;
      while (said < before + 100) first.say(`t${said++}`);
      await waitFor('all to be accepted', () => first.status.accepted === said);
      await Promise.all([relay.kill(), redis.kill()]);
      await waitFor('everybody to notice', () => !sessions.some(isLive));
      ({ stable } = first.status);
      // Nothing after the stable events was synced, so a power failure may take all of it.
      if (stable < said) await cutAfter(directory, `t${Math.min(stable + 20, said - 1)}`);
      await redis.start();
      await relay.start();
      await waitFor('everybody to be back', () => sessions.every(isLive), RETURN_MS);
    }
    for (let i = 0; i < 50; i++) first.say(`t${said++}`);
    const summary = await within('the end', first.end(), RETURN_MS);
    expect(summary.complete).toBe(true);
    const all = Array.from({ length: said }, (_, i) => `t${i}`);
    const { own } = await readRecording(await readFile(relay.recordingPath(summary.recordingId)));
    expect(own.map(({ data }) => data.message)).toEqual(all);
  });

  test.each([
    ['the first checkpoint', 0],
    ['one in the middle', 1],
    ['the last before the end', -1],
  ])(
    '[J6] [W6] %s is gone from Redis: the finished recording has gaps for what is lost, and for nothing else',
    async (_, which) => {
      const redis = await RedisServer.start({ appendfsync: 'no' });
      const heard: [string, object][] = [];
      const note = (details: object, message: string) => void heard.push([message, details]);
      const relay = await relayOn(redis, { log: { info: note, warn: note, error: note } });
      const session = await join(relay.port, 'one');
      for (let part = 0; part < 4; part++) {
        for (let i = 0; i < 9_000; i++) session.say(`t${i}`);
        await within('all to be stable', session.stable(), RETURN_MS);
      }
      const sealed = redis.entries(CHECKPOINTS).filter(({ fields }) => fields.r);
      expect(sealed.length).toBeGreaterThan(2);
      const lost = sealed.at(which) as (typeof sealed)[number];
      redis.cli('XDEL', CHECKPOINTS, lost.id);
      const summary = await within('the end', session.end(), RETURN_MS);
      const { own, summary: footer } = await relay.recording(summary.recordingId);
      const there = new Set(own.map(({ pseq }) => pseq));
      const gone = Array.from({ length: 36_000 }, (_unused, i) => i + 1).filter((pseq) => !there.has(pseq));
      expect(gone.length).toBeGreaterThan(1_000);
      const gaps = [[gone[0], gone.at(-1)]];
      expect((gone.at(-1) as number) - (gone[0] as number) + 1).toBe(gone.length);
      const player = { id: 'one', expected: 36_000, received: there.size, gaps };
      expect(summary).toMatchObject({ complete: false, players: [player] });
      expect(footer).toMatchObject({ complete: false, players: [player] });
      const info = await (await relay.get(`/v1/recordings/${summary.recordingId}`)).json();
      expect(info).toMatchObject({ complete: false, players: [player] });
      expect(heard.find(([message]) => message === 'events are lost')?.[1]).toMatchObject({
        players: [{ id: 'one', pseqFrom: gone[0], pseqTo: gone.at(-1) }],
      });
    },
  );

  test('[J3] [J6] the newest checkpoint is gone and the relay is killed: what it held is still in the log', async () => {
    const redis = await RedisServer.start();
    const relay = await RelayProcess.start(await tempDir(), ['--redis', redis.url]);
    onTestFinished(() => relay.kill());
    const session = await join(Number(new URL(relay.wsUrl).port), 'one');
    for (let i = 0; i < 27_000; i++) {
      session.say(`t${i}`);
      if (i % 9_000 === 8_999) await within('all to be stable', session.stable(), RETURN_MS);
    }
    await relay.kill();
    const sealed = redis.entries(CHECKPOINTS).filter(({ fields }) => fields.r);
    expect(sealed.length).toBeGreaterThan(1);
    redis.cli('XDEL', CHECKPOINTS, sealed.at(-1)?.id as string);
    await relay.start();
    const summary = await within('the end', session.end(), RETURN_MS);
    expect(summary.complete).toBe(true);
    const { own } = await readRecording(await readFile(relay.recordingPath(summary.recordingId)));
    expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: 27_000 }, (_, i) => `t${i}`));
  });

  test('[J5] Redis stands still for a while: acks pause, nobody is disconnected', async () => {
    const redis = await RedisServer.start();
    const relay = await relayOn(redis, { silenceMs: 5_000 });
    const session = await join(relay.port, 'one');
    const seen = new Set<string>();
    session.on('status', ({ connection }) => seen.add(connection));
    session.say('before');
    await session.stable();
    redis.signal('SIGSTOP');
    for (let i = 0; i < 20; i++) session.say(`during ${i}`);
    const stoppedAt = performance.now();
    await waitFor('five seconds', () => performance.now() - stoppedAt > 5_000);
    expect(session.status).toMatchObject({ connection: 'live', accepted: 1, durability: 'redis:always' });
    redis.signal('SIGCONT');
    await within('all to be stable', session.stable(), RETURN_MS);
    expect([...seen]).toEqual(['live']);
    expect((await session.end()).complete).toBe(true);
  });

  test('[J1] [W3] a setting is changed while people play: their next welcome says what stable is worth', async () => {
    const redis = await RedisServer.start();
    const relay = await relayOn(redis, { leaseMs: 300 });
    const session = await join(relay.port, 'one');
    session.say('safe');
    await session.stable();
    expect(session.status.durability).toBe('redis:always');
    redis.cli('CONFIG', 'SET', 'appendfsync', 'no');
    await waitFor('the session to be told', () => session.status.durability === 'redis:no' && isLive(session));
    session.say('less safe');
    await session.stable();
    const summary = await session.end();
    expect(summary.complete).toBe(true);
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(['safe', 'less safe']);
  });

  test('[J7] Redis stands still: the relay stops all the same, and what it had not written comes again', async () => {
    const redis = await RedisServer.start();
    const relay = await RelayProcess.start(await tempDir(), ['--redis', redis.url]);
    onTestFinished(() => relay.kill());
    const session = await join(Number(new URL(relay.wsUrl).port), 'one');
    session.say('before');
    await session.stable();
    redis.signal('SIGSTOP');
    session.say('during');
    const startedAt = performance.now();
    expect(await relay.stop()).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    redis.signal('SIGCONT');
    await relay.start();
    const summary = await within('the end', session.end(), RETURN_MS);
    expect(summary.complete).toBe(true);
    const { own } = await readRecording(await readFile(relay.recordingPath(summary.recordingId)));
    expect(own.map(({ data }) => data.message)).toEqual(['before', 'during']);
  });

  test('[J7] [W9] a relay that stops tells nobody that a session is over whose room is not here', async () => {
    const redis = await RedisServer.start();
    const relay = await relayOn(redis);
    const session = await join(relay.port, 'one');
    await session.stable();
    // Without an answer to this one, stopping takes its time.
    redis.signal('SIGSTOP');
    session.say('into the void');
    const stopping = relay.stop();
    const client = await RawClient.open(relay.wsUrl);
    client.hello({ room: 'elsewhere', resume: { recordingId: session.recordingId, epoch: 1, seq: 1 } });
    expect(await client.end()).toMatchObject({ code: CloseCode.MOVED });
    redis.signal('SIGCONT');
    await stopping;
  });

  test('[J4] FLUSHALL under load: the room goes on, and what is in memory is in the recording', async () => {
    const redis = await RedisServer.start();
    const relay = await relayOn(redis, { leaseMs: 300 });
    const session = await join(relay.port, 'one');
    let said = 0;
    const timer = setInterval(() => session.say(`t${said++}`), 1);
    onTestFinished(() => clearInterval(timer));
    for (let round = 1; round <= 3; round++) {
      await waitFor('some to be stable', () => session.status.stable > round * 100, RETURN_MS);
      redis.cli('FLUSHALL');
    }
    await waitFor('the room to be known again', () => redis.cli('SISMEMBER', 'gt:rooms', 'arena').trim() === '1');
    clearInterval(timer);
    const summary = await within('the end', session.end(), RETURN_MS);
    expect(summary.complete).toBe(true);
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: said }, (_, i) => `t${i}`));
  });

  test('[J4] the relay restarts: rooms are back at once, with its own lease still running', async () => {
    const redis = await RedisServer.start();
    const relay = await RelayProcess.start(await tempDir(), ['--redis', redis.url, '--lease', '120']);
    onTestFinished(() => relay.kill());
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'one', profile: 'json', state: { n: 0 } });
    session.record({ type: 'step', data: {} }, { n: 1 });
    await session.checkpoint('here');
    await relay.kill();
    await relay.start();
    // Long before the lease is over.
    await waitFor('the session to be back', () => isLive(session), RETURN_MS);
    await expect(session.checkpoint('here')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    const summary = await session.end();
    const { states, checkpoints } = await readRecording(await readFile(relay.recordingPath(summary.recordingId)));
    expect(states.get('one')).toEqual({ n: 1 });
    expect(checkpoints.map(({ name }) => name)).toEqual(['here']);
    expect(await relay.stop()).toBe(0);
  });
});

/** Cuts the append-only file right after that text. */
async function cutAfter(directory: string, text: string): Promise<void> {
  const folder = joinPath(directory, 'appendonlydir');
  const name = (await readdir(folder)).find((file) => file.endsWith('.incr.aof')) as string;
  const bytes = await readFile(joinPath(folder, name));
  const at = bytes.indexOf(text);
  expect(at).toBeGreaterThan(0);
  await truncate(joinPath(folder, name), at + text.length);
}

function relayOn(redis: RedisServer, options: object = {}): Promise<TestRelay> {
  return TestRelay.start({ redis: redis.url, leaseMs: LEASE_MS, ...options });
}

async function join(port: number, player: string): Promise<Session> {
  return await connect({ url: `ws://127.0.0.1:${port}`, room: 'arena', player, profile: 'json', flushMs: 2 });
}

function isLive({ status }: Session): boolean {
  return status.connection === 'live';
}
