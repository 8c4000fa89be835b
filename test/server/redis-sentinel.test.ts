import { connect, type Session } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RedisWithSentinel } from '../support/redis-sentinel.ts';
import { hasRedis, type RedisServer } from '../support/redis-server.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor, within } from '../support/wait-for.ts';

const RETURN_MS = 60_000;
const LOG = 'gt:{arena}:log';
const CHECKPOINTS = 'gt:{arena}:checkpoints';

describe.skipIf(!hasRedis)('a Redis with a Sentinel', () => {
  test.each([
    ['kill -9 of the master', 'always', (redis: RedisWithSentinel) => redis.master.kill()],
    ['kill -9 of the master', 'everysec', (redis: RedisWithSentinel) => redis.master.kill()],
    ['the master stands still', 'always', async (redis: RedisWithSentinel) => redis.master.signal('SIGSTOP')],
    [
      'the Sentinel is told to',
      'always',
      async (redis: RedisWithSentinel) => void redis.sentinel.cli('SENTINEL', 'FAILOVER', 'arena'),
    ],
  ])('[J4] failover under load, %s (%s): the room goes on, with everything', async (_, appendfsync, accident) => {
    const redis = await RedisWithSentinel.start({ appendfsync });
    const relay = await TestRelay.start({ redis: redis.url, leaseMs: 1_000 });
    const sessions = await Promise.all(['a', 'b'].map((player) => join(relay.port, player)));
    const talk = talking(sessions);
    await waitFor('some to be stable', () => sessions.every(({ status }) => status.stable > 50), RETURN_MS);
    const old = redis.master;
    await accident(redis);
    await redis.switchedFrom(old);
    const before = talk.said;
    await waitFor(
      'more to be accepted',
      () => sessions.every(({ status }) => status.accepted > before + 50),
      RETURN_MS,
    );
    // The one that was the master comes back, and does what it is told.
    if (old.isRunning) old.signal('SIGCONT');
    else await old.start();
    const later = talk.said;
    await waitFor(
      'still more to be accepted',
      () => sessions.every(({ status }) => status.accepted > later + 50),
      RETURN_MS,
    );
    talk.stop();
    expect(sessions.map(({ status }) => status.connection)).toEqual(['live', 'live']);
    const [first] = sessions as [Session];
    const summary = await within('the end', first.end(), RETURN_MS);
    expect(summary).toMatchObject({ recordingId: first.recordingId, complete: true });
    const { own } = await relay.recording(summary.recordingId);
    for (const { player } of sessions) {
      const mine = own.filter((entry) => entry.player === player).map(({ data }) => data.message);
      expect(mine).toEqual(Array.from({ length: talk.said }, (_unused, n) => `${player} ${n}`));
    }
  });

  test('[J4] a replica that was far behind takes over: what the old master alone had is written again', async () => {
    const redis = await RedisWithSentinel.start({}, 3_000);
    const said: string[] = [];
    const hear = (_details: object, message: string) => void said.push(message);
    const log = { info: hear, warn: hear, error: hear };
    const relay = await TestRelay.start({ redis: redis.url, leaseMs: 1_000, log });
    const session = await join(relay.port, 'a');
    session.say('both have it');
    await session.stable();
    const old = redis.master;
    const replica = redis.nodes.find((node) => node !== old) as RedisServer;
    const lengths = (node: RedisServer) => [LOG, CHECKPOINTS].map((key) => Number(node.cli('XLEN', key)));
    await waitFor('the replica to have it', () => lengths(replica).join() === lengths(old).join());
    // Nothing is replicated any more. The Sentinel takes a replica whose link is down for up to ten times its patience.
    old.cli('ACL', 'SETUSER', 'default', '-psync', '-sync', '-replconf');
    old.cli('CLIENT', 'KILL', 'TYPE', 'replica');
    for (let i = 0; i < 10_000; i++) {
      session.say(`t${i}`);
      if (i === 8_999) await session.stable();
    }
    await within('all to be stable', session.stable(), RETURN_MS);
    const [before, after] = [lengths(replica), lengths(old)];
    expect(before.every((length, i) => length < (after[i] as number))).toBe(true);
    await old.kill();
    await redis.switchedFrom(old);
    session.say('after');
    await within('all to be stable', session.stable(), RETURN_MS);
    await waitFor('it to be written again', () =>
      said.includes('redis has forgotten what it acknowledged: written again'),
    );
    const summary = await within('the end', session.end(), RETURN_MS);
    expect(summary.complete).toBe(true);
    const { own } = await relay.recording(summary.recordingId);
    const all = Array.from({ length: 10_000 }, (_, i) => `t${i}`);
    expect(own.map(({ data }) => data.message)).toEqual(['both have it', ...all, 'after']);
  });
});

async function join(port: number, player: string): Promise<Session> {
  return await connect({ url: `ws://127.0.0.1:${port}`, room: 'arena', player, profile: 'json', flushMs: 2 });
}

/** Everybody says something every 2 ms. */
function talking(sessions: readonly Session[]): { readonly said: number; stop(): void } {
  let said = 0;
  const timer = setInterval(() => {
    for (const session of sessions) session.say(`${session.player} ${said}`);
    said++;
  }, 2);
  const stop = () => clearInterval(timer);
  onTestFinished(stop);
  return {
    get said() {
      return said;
    },
    stop,
  };
}
