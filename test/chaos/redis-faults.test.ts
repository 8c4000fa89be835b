import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChaosProxy, type ChaosProxyOptions } from '../support/chaos-proxy.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { RelayProcess } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor, within } from '../support/wait-for.ts';
import { pass } from './rounds.ts';
import { NOTHING_LOST, RETURN_LIMIT_MS, type TypingCounts, TypingRooms } from './typing-rooms.ts';

const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** What a connection to Redis may be silent before it is taken for dead, and a look at its clock. */
const NOTICED_MS = 1_200;
const FSYNC_DELAY_US = 1_900_000;

const canTrace = findStrace();

describe.skipIf(!hasRedis)('Redis does not do what it should', { timeout: 180_000 }, () => {
  test.skipIf(!canTrace)(
    '[J1] [J4] everysec, a disk that takes 1.9 s to sync, kill -9 of Redis and relay: accepted events are gone, no stable one, and the players bring them again',
    async () => {
      const redis = await RedisServer.start({ appendfsync: 'everysec' });
      const relay = await relayOn(redis);
      const typing = await typingAt(relay);
      await tamper(redis, ['-e', 'trace=fdatasync', '-e', `inject=fdatasync:delay_enter=${FSYNC_DELAY_US}`]);
      // What waits in Redis while a sync goes on is in no file: kill -9 takes it.
      await waitFor('an append that waits for a sync', () => waitingBytes(redis) > 1_000, 60_000);
      await Promise.all([redis.kill(), relay.kill()]);
      await redis.start();
      await relay.start();
      await waitFor('everybody to be back', () => typing.areAllBack, RETURN_LIMIT_MS);
      const { problems, counts } = await typing.endAndCheck(relay);
      expect(problems).toEqual([]);
      // Else there was nothing to bring again.
      expect(counts.brokenAccepted).toBeGreaterThan(0);
      expect(counts).toMatchObject({ ...NOTHING_LOST, brokenAccepted: counts.brokenAccepted });
    },
  );

  test('[J5] it is LOADING after a restart: nothing is accepted, nobody is disconnected, and all of it afterwards', async () => {
    const redis = await RedisServer.start({
      'enable-debug-command': 'yes',
      'key-load-delay': '1000',
      'loading-process-events-interval-bytes': '1024',
    });
    redis.cli('DEBUG', 'POPULATE', '10000', 'filler', '64');
    redis.cli('BGREWRITEAOF');
    await waitFor('the rewrite', () => persistence(redis, 'aof_rewrite_in_progress') === 0);
    const relay = await relayOn(redis);
    const typing = await typingAt(relay);
    await waitFor('everybody to have something accepted', () => typing.haveAccepted(20), RETURN_LIMIT_MS);
    await redis.kill();
    redis.launch();
    await waitFor('LOADING', () => redis.cli('PING').startsWith('LOADING'));
    const accepted = await expectAcksToPause(typing);
    expect(redis.cli('PING')).toMatch(/^LOADING/);
    await waitFor('more to be accepted', () => typing.haveAccepted(accepted + 31), RETURN_LIMIT_MS);
    expect(await expectAllThere(typing, relay)).toMatchObject({ returns: 0 });
  });

  test.skipIf(!canTrace)(
    '[J5] its disk is full, so that it answers MISCONF: nothing is accepted, and all of it once there is room',
    async () => {
      const directory = await tempDir();
      const redis = await RedisServer.start({ appendfsync: 'everysec' }, directory);
      const relay = await relayOn(redis);
      const typing = await typingAt(relay);
      await waitFor('everybody to have something accepted', () => typing.haveAccepted(20), RETURN_LIMIT_MS);
      const folder = join(directory, 'appendonlydir');
      const file = (await readdir(folder)).find((name) => name.endsWith('.incr.aof')) as string;
      const noSpace = ['-P', join(folder, file), '-e', 'trace=write', '-e', 'inject=write:error=ENOSPC'];
      const makeRoom = await tamper(redis, noSpace);
      await waitFor('MISCONF', () => redis.cli('SET', 'x', '1').startsWith('MISCONF'));
      const accepted = await expectAcksToPause(typing);
      await makeRoom();
      await waitFor('more to be accepted', () => typing.haveAccepted(accepted + 31), RETURN_LIMIT_MS);
      expect(await expectAllThere(typing, relay)).toMatchObject({ returns: 0 });
    },
  );

  test('[J5] it is behind a network that drops everything silently: acks pause, and all goes on when that is over', async () => {
    const redis = await RedisServer.start();
    const proxy = await proxyTo(redis);
    const relay = await relayOn({ url: `redis://127.0.0.1:${proxy.port}` });
    const typing = await typingAt(relay);
    await waitFor('everybody to have something accepted', () => typing.haveAccepted(20), RETURN_LIMIT_MS);
    for (const way of [proxy.up, proxy.down]) way.isSilent = true;
    await pass(NOTICED_MS);
    await waitFor('the relay to notice', () => relay.log.includes('redis is away'));
    const accepted = await expectAcksToPause(typing);
    for (const way of [proxy.up, proxy.down]) way.isSilent = false;
    await waitFor('more to be accepted', () => typing.haveAccepted(accepted + 31), RETURN_LIMIT_MS);
    expect(await expectAllThere(typing, relay)).toMatchObject({ returns: 0 });
  });

  test('[J4] its replies are lost after it has done what they answer, again and again: everything is there once', async () => {
    const redis = await RedisServer.start();
    const proxy = await proxyTo(redis);
    const relay = await relayOn({ url: `redis://127.0.0.1:${proxy.port}` });
    const typing = await typingAt(relay);
    for (let cut = 1; cut <= 8; cut++) {
      const { opened } = proxy;
      proxy.cutAfter(100 * cut);
      await waitFor('the relay to connect again', () => proxy.opened > opened);
      const [least] = acceptedOf(typing).sort((a, b) => a - b);
      await waitFor('more to be accepted', () => typing.haveAccepted((least as number) + 5), RETURN_LIMIT_MS);
    }
    await expectAllThere(typing, relay);
  });

  test('[J5] its replies take 200 ms and come byte by byte: everything is accepted, later', async () => {
    const redis = await RedisServer.start();
    const proxy = await proxyTo(redis, { down: { delayMs: 200, splits: true } });
    const relay = await relayOn({ url: `redis://127.0.0.1:${proxy.port}` });
    const typing = await typingAt(relay);
    await waitFor('everybody to have much accepted', () => typing.haveAccepted(100), RETURN_LIMIT_MS);
    expect(await expectAllThere(typing, relay)).toMatchObject({ returns: 0 });
  });

  test('[J3] [J4] kill -9 of the relay five times in a row while it brings rooms back from Redis', async () => {
    const random = seededRandom(SEED);
    const redis = await RedisServer.start();
    const relay = await relayOn(redis);
    const typing = await typingAt(relay);
    await waitFor('everybody to have something accepted', () => typing.haveAccepted(20), RETURN_LIMIT_MS);
    await relay.kill();
    for (let kill = 0; kill < 5; kill++) {
      const launched = relay.launch().catch(() => undefined);
      // From before its first claim to after it listens.
      await Promise.race([pass(300 + random() * 600), launched]);
      await relay.kill();
      await launched;
    }
    await relay.start();
    await waitFor('everybody to be back', () => typing.areAllBack, RETURN_LIMIT_MS);
    await expectAllThere(typing, relay);
  });

  test('[J4] [R1] kill -9 of the relay while recordings are being finished from Redis: one of each in the end, whole', async () => {
    const random = seededRandom(SEED);
    const redis = await RedisServer.start();
    for (let round = 0; round < 2; round++) {
      const relay = await relayOn(redis);
      const typing = await typingAt(relay);
      await waitFor('everybody to have something accepted', () => typing.haveAccepted(50), RETURN_LIMIT_MS);
      const checked = typing.endAndCheck(relay).catch((error: unknown) => error);
      await pass(random() * 250);
      await relay.kill();
      await relay.start();
      expect(await checked).toMatchObject({ problems: [], counts: NOTHING_LOST });
      await waitFor('Redis to have nothing unfinished', () => redis.cli('SCARD', 'gt:rooms').trim() === '0');
      // One that is killed before it has given the last lease up has it for as long as that lasts: the next would wait for it.
      await waitFor('nobody to have a room', () => redis.cli('KEYS', 'gt:*:owner').trim() === '');
      await relay.kill();
    }
  });
});

async function expectAllThere(typing: TypingRooms, relay: RelayProcess): Promise<TypingCounts> {
  const { problems, counts } = await typing.endAndCheck(relay);
  expect(problems, `seed ${SEED}`).toEqual([]);
  expect(counts, `seed ${SEED}`).toMatchObject(NOTHING_LOST);
  return counts;
}

/** Nothing is accepted while much is typed. Returns the most that anybody had accepted before. */
async function expectAcksToPause(typing: TypingRooms): Promise<number> {
  // By then those have come that were on their way.
  await moreTyped(typing, 100);
  const accepted = acceptedOf(typing);
  await moreTyped(typing, 300);
  expect(acceptedOf(typing)).toEqual(accepted);
  return Math.max(...accepted);
}

async function moreTyped(typing: TypingRooms, events: number): Promise<void> {
  const { typed } = typing;
  await waitFor(`${events} more events`, () => typing.typed > typed + events, RETURN_LIMIT_MS);
}

async function relayOn({ url }: { readonly url: string }): Promise<RelayProcess> {
  const relay = await RelayProcess.start(await tempDir(), ['--redis', url]);
  onTestFinished(() => relay.kill());
  return relay;
}

async function typingAt(relay: RelayProcess): Promise<TypingRooms> {
  const typing = await TypingRooms.start(relay.wsUrl, { rooms: 2, players: 3 });
  onTestFinished(() => typing.stop());
  return typing;
}

async function proxyTo(redis: RedisServer, options?: ChaosProxyOptions): Promise<ChaosProxy> {
  const proxy = await ChaosProxy.start(redis.port, options);
  onTestFinished(() => proxy.close());
  return proxy;
}

function acceptedOf(typing: TypingRooms): number[] {
  return typing.typists.map(({ session }) => session.status.accepted);
}

/** Bytes of the append-only file that are only in the memory of Redis. */
function waitingBytes(redis: RedisServer): number {
  return persistence(redis, 'aof_buffer_length');
}

function persistence(redis: RedisServer, field: string): number {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(redis.cli('INFO', 'persistence'))?.[1] ?? Number.NaN);
}

/** Lets strace do that to the system calls of Redis. Resolves, once it does, with what ends it. */
async function tamper(redis: RedisServer, args: readonly string[]): Promise<() => Promise<void>> {
  const strace = spawn('strace', ['-f', '-p', String(redis.pid), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(strace, 'exit');
  onTestFinished(() => void strace.kill());
  let log = '';
  strace.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  await waitFor('strace to attach', () => {
    if (strace.exitCode !== null) throw new Error(`strace ended: ${log}`);
    return log.includes('attached');
  });
  return async () => {
    strace.kill();
    await within('strace to detach', exited);
  };
}

/** Whether strace may attach to processes here. One loud line says so when it may not. */
function findStrace(): boolean {
  const { status, error } = spawnSync('strace', ['-f', '-e', 'inject=fdatasync:delay_enter=1', 'true']);
  if (!error && status === 0) return true;
  console.warn('SKIPPED: strace cannot be used here, so a Redis whose disk is slow is not tested');
  return false;
}
