import { type GametapeError, isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { beginArena, listener, openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

describe.skipIf(!hasRedis)('what Redis makes of stable', () => {
  test.each([
    [{ appendfsync: 'always' }, 'redis:always'],
    [{ appendfsync: 'everysec' }, 'redis:everysec'],
    [{ appendfsync: 'no' }, 'redis:no'],
    [{ appendonly: 'no' }, 'redis:memory'],
  ])('%o is named %s', async (settings, durability) => {
    const redis = await RedisServer.start(settings as Record<string, string>);
    const journal = await openRedisJournal(redis.url);
    expect(journal.durability).toBe(durability);
    await beginArena(journal, 1);
    let seq = 0;
    const append = async () => {
      const startedAt = performance.now();
      await journal.append(recordingId(1), plainBlock(1, ++seq), seq).stable;
      return performance.now() - startedAt;
    };
    if (durability === 'redis:everysec') expect(await append()).toBeGreaterThan(2_000);
    // Not the first one where the machine stands still just then; what waits for a sync is never so quick.
    else await waitFor('one that is stable at once', async () => (await append()) < 1_000);
  });

  test.each([
    [{ 'maxmemory-policy': 'allkeys-lru' }, 'maxmemory-policy is allkeys-lru'],
    [{ 'no-appendfsync-on-rewrite': 'yes' }, 'no-appendfsync-on-rewrite is yes'],
  ])('%o is refused unless the loss is accepted', async (settings, reason) => {
    const redis = await RedisServer.start(settings as unknown as Record<string, string>);
    const refused = (error: unknown) =>
      isGametapeError(error, 'NOT_ALLOWED') && (error as GametapeError).message.includes(reason);
    await expect(openRedisJournal(redis.url)).rejects.toSatisfy(refused);
    await openRedisJournal(redis.url, { acceptsLoss: true });
  });

  test.each(['redis://127.0.0.1:1', 'http://127.0.0.1:6379', 'redis+sentinel://127.0.0.1:1'])(
    '%s is no Redis',
    async (url) => {
      const unreachable = (error: unknown) => isGametapeError(error, 'UNREACHABLE');
      await expect(openRedisJournal(url)).rejects.toSatisfy(unreachable);
    },
  );

  test('[J1] a user that may not ask for the settings: stable is the most careful guess', async () => {
    for (const appendonly of ['yes', 'no']) {
      const redis = await RedisServer.start({ appendonly });
      redis.cli('ACL', 'SETUSER', 'recorder', 'on', '>pass', '~gt:*', '+@all', '-config');
      const journal = await openRedisJournal(`redis://recorder:pass@127.0.0.1:${redis.port}`);
      expect(journal.durability).toBe(appendonly === 'yes' ? 'redis:everysec' : 'redis:memory');
      await beginArena(journal, 1);
      await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    }
  });

  test('a user that may not do what a journal needs is told which command', async () => {
    const redis = await RedisServer.start();
    redis.cli('ACL', 'SETUSER', 'guest', 'on', '>pass', '~*', '+@all', '-info');
    const refused = await openRedisJournal(`redis://guest:pass@127.0.0.1:${redis.port}`).catch((error) => error);
    expect(refused).toMatchObject({ code: 'NOT_ALLOWED', message: expect.stringContaining("'info'") });
    expect((refused as GametapeError).hint).toContain('INFO');
  });

  test('a replica is no journal, whether it takes writes or not', async () => {
    const master = await RedisServer.start();
    for (const readOnly of ['yes', 'no']) {
      const replica = await RedisServer.start({
        replicaof: `127.0.0.1 ${master.port}`,
        'replica-read-only': readOnly,
      });
      const refused = await openRedisJournal(replica.url, { acceptsLoss: true }).catch((error) => error);
      expect(refused).toMatchObject({
        code: 'NOT_ALLOWED',
        message: expect.stringContaining(`it is a replica of 127.0.0.1:${master.port}`),
      });
    }
  });

  test('[J1] a setting that is changed while it runs is noticed with a lease, and said', async () => {
    const redis = await RedisServer.start();
    const { log, said } = listener();
    const told: string[] = [];
    const onDurability = (durability: string) => void told.push(durability);
    const journal = await openRedisJournal(redis.url, { leaseMs: 300, log, onDurability });
    for (const [appendfsync, durability] of [
      ['no', 'redis:no'],
      ['everysec', 'redis:everysec'],
      ['always', 'redis:always'],
    ] as const) {
      redis.cli('CONFIG', 'SET', 'appendfsync', appendfsync);
      await waitFor('the journal to notice', () => told.at(-1) === durability);
      expect(journal.durability).toBe(durability);
    }
    redis.cli('CONFIG', 'SET', 'appendonly', 'no');
    await waitFor('the journal to notice', () => told.at(-1) === 'redis:memory');
    expect(said.filter((message) => message === 'stable is worth something else from now on')).toHaveLength(4);
    redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await waitFor('the risk to be said', () => said.includes('redis may lose what it has acknowledged'));
  });

  test('a password is taken from the URL and never shown', async () => {
    const redis = await RedisServer.start();
    redis.cli('CONFIG', 'SET', 'requirepass', 'p@ss/word');
    const port = redis.port;
    await openRedisJournal(`redis://:${encodeURIComponent('p@ss/word')}@127.0.0.1:${port}/3`);
    const wrong = await openRedisJournal(`redis://:secret@127.0.0.1:${port}`).catch((error: GametapeError) => error);
    expect(wrong).toMatchObject({ code: 'UNREACHABLE' });
    expect((wrong as GametapeError).message).not.toContain('secret');
    expect((wrong as GametapeError).message).toContain('WRONGPASS');
    const none = await openRedisJournal(redis.url).catch((error: GametapeError) => error);
    expect(none).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('NOAUTH') });
    redis.cli('-a', 'p@ss/word', 'CONFIG', 'SET', 'requirepass', '');
  });
});
