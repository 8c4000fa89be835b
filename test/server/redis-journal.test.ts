import type { Logger, RedisJournal } from '@gametape/server';
import { type GametapeError, isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { outline, recovered } from '../contracts/journal-contract.ts';
import { openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';
import { waitFor, within } from '../support/wait-for.ts';

const LOG = 'gt:{arena}:log';
const CHECKPOINTS = 'gt:{arena}:checkpoints';
const OWNER = 'gt:{arena}:owner';
/** What Redis answers to a GET of what is not there. */
const NOTHING = '$-1\r\n';
const elsewhere = (error: unknown) => isGametapeError(error, 'ROOM_ELSEWHERE');

describe.skipIf(!hasRedis)('who owns a room in Redis', () => {
  test('one relay at a time, and the next one once it has let go', async () => {
    const redis = await RedisServer.start();
    const [a, b] = [await openRedisJournal(redis.url), await openRedisJournal(redis.url)];
    await begin(a, 1);
    await expect(b.claim('arena')).rejects.toSatisfy(elsewhere);
    expect(await b.knows('arena')).toBe(true);
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
    await a.discard(recordingId(1));
    expect(await b.claim('arena')).toMatchObject({ unfinished: [] });
    await expect(a.claim('arena')).rejects.toSatisfy(elsewhere);
    expect(await b.knows('hall')).toBe(false);
  });

  test('[J3] a relay that leaves while it says that it is there has left', async () => {
    const redis = await RedisServer.start();
    const proxy = await TcpProxy.start(redis.port);
    const a = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`, { leaseMs: 300 });
    await begin(a, 1);
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
    // Its lease has run out, and it is told so, and will take it again: what it asks before it leaves is asked before that.
    proxy.holdReplies();
    redis.cli('DEL', OWNER);
    await waitFor('the relay to ask who has the room', () => proxy.held.includes(NOTHING));
    const closing = a.close();
    await waitFor('it to ask again', () => proxy.held.split(NOTHING).length > 2, 100).catch(() => undefined);
    proxy.releaseReplies();
    await closing;
    expect(redis.cli('GET', OWNER).trim()).toBe('');
    const b = await openRedisJournal(redis.url);
    expect(await b.claim('arena')).toMatchObject({ unfinished: [recordingId(1)] });
  });

  test('[J3] what a relay leaves behind is taken over with all it had, by one of those that are left', async () => {
    const redis = await RedisServer.start();
    const a = await openRedisJournal(redis.url);
    await begin(a, 1);
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
    await a.seal(recordingId(1), plainBlock(1, 1), 1);
    await a.append(recordingId(1), plainBlock(1, 2), 2).stable;
    await a.close();
    const others = await Promise.all([1, 2, 3].map(() => openRedisJournal(redis.url)));
    const taken = await Promise.all(others.map((journal) => journal.takeOver()));
    expect(taken.flat().map(({ unfinished }) => unfinished)).toEqual([[recordingId(1)]]);
    const heir = others[taken.findIndex((claims) => claims.length > 0)] as RedisJournal;
    expect(outline(await recovered(heir, 1))).toEqual(['sealed 1-1', '2-2']);
  });

  test('[J4] an owner that another has followed writes nothing any more, and is told', async () => {
    const redis = await RedisServer.start();
    const lost: string[] = [];
    const a = await openRedisJournal(redis.url, { onLost: (room) => lost.push(room) });
    await begin(a, 1);
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
    redis.cli('DEL', OWNER);
    const b = await openRedisJournal(redis.url);
    expect(await b.claim('arena')).toMatchObject({ unfinished: [recordingId(1)] });
    const late = [2, 3].map((seq) => a.append(recordingId(1), plainBlock(1, seq), seq));
    for (const { accepted } of late) await expect(accepted).rejects.toSatisfy(elsewhere);
    await expect(a.seal(recordingId(1), plainBlock(1, 1, 3), 3)).rejects.toSatisfy(elsewhere);
    await expect(a.discard(recordingId(1))).rejects.toSatisfy(elsewhere);
    expect(lost).toEqual(['arena']);
    expect(outline(await recovered(b, 1))).toEqual(['1-1']);
    await b.append(recordingId(1), plainBlock(1, 2), 2).stable;
  });

  test('an owner that has nothing to write learns of it with its next lease', async () => {
    const redis = await RedisServer.start();
    const lost: string[] = [];
    const a = await openRedisJournal(redis.url, { leaseMs: 300, onLost: (room) => lost.push(room) });
    await begin(a, 1);
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
    const b = await openRedisJournal(redis.url);
    await waitFor('a claim that gets in between', async () => {
      redis.cli('DEL', OWNER);
      return await b.claim('arena').catch(() => false);
    });
    await waitFor('the first owner to notice', () => lost.length > 0);
  });

  test('a lease that is still kept is not lost by being deleted', async () => {
    const redis = await RedisServer.start();
    const a = await openRedisJournal(redis.url, { leaseMs: 300 });
    await begin(a, 1);
    redis.cli('DEL', OWNER);
    await waitFor('the lease to be back', () => redis.cli('EXISTS', OWNER).trim() === '1');
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
  });
});

describe.skipIf(!hasRedis)('a Redis that is away', () => {
  test('[J5] nothing is accepted and nothing fails until it is back', async () => {
    const redis = await RedisServer.start();
    const { log, said } = listener();
    const journal = await openRedisJournal(redis.url, { timeoutMs: 300, log });
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    redis.signal('SIGSTOP');
    const accepted: number[] = [];
    const waiting = [2, 3, 4].map((seq) =>
      journal.append(recordingId(1), plainBlock(1, seq), seq).accepted.then(() => accepted.push(seq)),
    );
    const sealing = journal.seal(recordingId(1), plainBlock(1, 1), 1);
    await waitFor('the journal to notice', () => said.includes('redis is away'));
    expect(accepted).toEqual([]);
    redis.signal('SIGCONT');
    await Promise.all([...waiting, sealing]);
    expect(accepted).toEqual([2, 3, 4]);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', '2-2', '3-3', '4-4']);
  });

  test('[J4] kill -9 and a restart, while it is written to: all that was accepted is there, once', async () => {
    const redis = await RedisServer.start();
    const journal = await openRedisJournal(redis.url);
    await begin(journal, 1);
    const pending: Promise<void>[] = [];
    for (let seq = 1; seq <= 300; seq++) {
      pending.push(journal.append(recordingId(1), plainBlock(1, seq), seq).stable);
      if (seq % 100 === 50) {
        await redis.kill();
        await redis.start();
      }
      if (seq % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(pending);
    expect(outline(await recovered(journal, 1))).toEqual(Array.from({ length: 300 }, (_, i) => `${i + 1}-${i + 1}`));
  });

  test('[J4] a reply that is lost: the entry is there once', async () => {
    const redis = await RedisServer.start();
    const proxy = await TcpProxy.start(redis.port);
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`);
    await begin(journal, 1);
    for (let seq = 1; seq <= 20; seq++) {
      if (seq % 4 === 0) proxy.cutAfterNextRequest();
      const { accepted } = journal.append(recordingId(1), plainBlock(1, seq), seq);
      if (seq % 8 === 0) await journal.seal(recordingId(1), plainBlock(1, seq - 7, 8), seq);
      await accepted;
    }
    expect(proxy.cuts).toBe(5);
    const ids = redis.entries(LOG).filter(({ fields }) => fields.r);
    // What the last sealed block covers stays until the next one.
    expect(ids.map(({ fields }) => Number(fields.s))).toEqual(Array.from({ length: 12 }, (_, i) => i + 9));
    expect(outline(await recovered(journal, 1))).toEqual([
      'sealed 1-8',
      'sealed 9-16',
      '17-17',
      '18-18',
      '19-19',
      '20-20',
    ]);
  });

  test('[J5] more than may wait makes the room read-only, not the process', async () => {
    const redis = await RedisServer.start();
    const journal = await openRedisJournal(redis.url, { leaseMs: 150, waitingMs: 400, timeoutMs: 200 });
    await begin(journal, 1);
    redis.signal('SIGSTOP');
    const failed = (error: unknown) => isGametapeError(error, 'JOURNAL_FAILED');
    await expect(journal.append(recordingId(1), plainBlock(1, 1), 1).accepted).rejects.toSatisfy(failed);
    await expect(journal.append(recordingId(1), plainBlock(1, 2), 2).accepted).rejects.toSatisfy(failed);
    redis.signal('SIGCONT');
  });

  test('[J5] a full Redis takes nothing for now, and everything in order once there is room', async () => {
    const redis = await RedisServer.start();
    const { log, said } = listener();
    const journal = await openRedisJournal(redis.url, { log });
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    const accepted: number[] = [];
    const waiting = [2, 3, 4, 5].map((seq) =>
      journal.append(recordingId(1), plainBlock(1, seq), seq).accepted.then(() => accepted.push(seq)),
    );
    await waitFor('the journal to be refused', () => said.includes('redis does not take it for now'));
    expect(accepted).toEqual([]);
    redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    await Promise.all(waiting);
    expect(outline(await recovered(journal, 1))).toEqual(['1-1', '2-2', '3-3', '4-4', '5-5']);
  });
});

describe.skipIf(!hasRedis)('a Redis that has forgotten what it acknowledged', () => {
  test.each([['FLUSHALL'], ['DEL', LOG], ['DEL', CHECKPOINTS], ['DEL', LOG, CHECKPOINTS]])(
    '[J4] %s %s: it is written again from memory',
    async (...command) => {
      const redis = await RedisServer.start();
      const journal = await openRedisJournal(redis.url, { leaseMs: 300 });
      await begin(journal, 1);
      for (const seq of [1, 2, 3]) await journal.append(recordingId(1), plainBlock(1, seq), seq).stable;
      await journal.seal(recordingId(1), plainBlock(1, 1, 2), 2);
      redis.cli(...command);
      await journal.append(recordingId(1), plainBlock(1, 4), 4).stable;
      const all = ['sealed 1-2', '3-3', '4-4'];
      await waitFor('it to be there again', async () => outline(await recovered(journal, 1)).join() === all.join());
      await journal.append(recordingId(1), plainBlock(1, 5), 5).stable;
      await journal.close();
      const after = await openRedisJournal(redis.url);
      expect(await after.claim('arena')).toMatchObject({ unfinished: [recordingId(1)] });
      expect(outline(await recovered(after, 1))).toEqual([...all, '5-5']);
    },
  );

  test('[J1] what it has forgotten is stable when it has synced it anew, not when it would have been', async () => {
    const redis = await RedisServer.start({ appendfsync: 'everysec' });
    let writtenAgainAt = 0;
    const error = (_details: object, message: string) => {
      if (message.startsWith('redis has forgotten')) writtenAgainAt = performance.now();
    };
    // Two seconds pass until it is noticed: nearly as long as it takes to be stable.
    const journal = await openRedisJournal(redis.url, { leaseMs: 6_000, log: { ...listener().log, error } });
    await begin(journal, 1);
    const { accepted, stable } = journal.append(recordingId(1), plainBlock(1, 1), 1);
    await accepted;
    redis.cli('FLUSHALL');
    await stable;
    expect(writtenAgainAt).toBeGreaterThan(0);
    expect(performance.now() - writtenAgainAt).toBeGreaterThan(2_000);
    expect(outline(await recovered(journal, 1))).toEqual(['1-1']);
  }, 20_000);

  test('[J4] the connection is lost while the room is claimed anew: it is still this relay that has it', async () => {
    const redis = await RedisServer.start();
    const proxy = await TcpProxy.start(redis.port);
    const lost: string[] = [];
    const options = { leaseMs: 300, onLost: (room: string) => lost.push(room) };
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`, options);
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    // The mark of the claim goes into the log, and its reply is lost.
    proxy.cutAfterNextRequest('\r\nc\r\n');
    redis.cli('FLUSHALL');
    await waitFor('the cut', () => proxy.cuts === 1);
    await journal.append(recordingId(1), plainBlock(1, 2), 2).stable;
    await waitFor('all to be there', async () => outline(await recovered(journal, 1)).join() === '1-1,2-2');
    expect(lost).toEqual([]);
  });

  test('[J4] a replica that was behind is promoted: what it lacks is written again', async () => {
    const master = await RedisServer.start();
    const replica = await RedisServer.start({ replicaof: `127.0.0.1 ${master.port}` });
    const proxy = await TcpProxy.start(master.port);
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`);
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    await waitFor('the replica to have it', () => replica.cli('XLEN', LOG).trim() === '2');
    replica.cli('REPLICAOF', 'NO', 'ONE');
    for (const seq of [2, 3]) await journal.append(recordingId(1), plainBlock(1, seq), seq).stable;
    await journal.seal(recordingId(1), plainBlock(1, 1, 2), 2);
    await journal.append(recordingId(1), plainBlock(1, 4), 4).stable;
    proxy.switchTo(replica.port);
    proxy.cutAll();
    await journal.append(recordingId(1), plainBlock(1, 5), 5).stable;
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-2', '3-3', '4-4', '5-5']);
  });
});

describe.skipIf(!hasRedis)('a Redis with one accident after another', () => {
  const seed = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));

  test(`[J4] all that was appended is there, once, in order (GAMETAPE_SEED=${seed})`, async () => {
    const random = seededRandom(seed);
    const redis = await RedisServer.start({ appendfsync: 'no' });
    const proxy = await TcpProxy.start(redis.port);
    const lost: string[] = [];
    const options = { leaseMs: 150, timeoutMs: 300, onLost: (room: string) => lost.push(room) };
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`, options);
    await begin(journal, 1);
    const accidents = [
      () => proxy.cutAll(),
      () => proxy.cutAfterNextRequest(),
      () => redis.cli('FLUSHALL'),
      () => redis.cli('DEL', CHECKPOINTS),
      () => redis.cli('DEL', LOG),
      () => redis.cli('CONFIG', 'SET', 'maxmemory', '1'),
      () => redis.cli('CONFIG', 'SET', 'maxmemory', '0'),
    ];
    const pending: Promise<unknown>[] = [];
    let sealedSeq = 0;
    const last = 300;
    for (let seq = 1; seq <= last; seq++) {
      pending.push(journal.append(recordingId(1), plainBlock(1, seq), seq).accepted);
      if (random() < 0.1) {
        pending.push(journal.seal(recordingId(1), plainBlock(1, sealedSeq + 1, seq - sealedSeq), seq));
        sealedSeq = seq;
      }
      if (random() < 0.15) accidents[Math.floor(random() * accidents.length)]?.();
      await new Promise((resolve) => setTimeout(resolve, random() * 8));
    }
    redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    await within('everything to be accepted', Promise.all(pending), 20_000);
    expect(lost).toEqual([]);
    await waitFor('everything to be there', async () => seqsOf(await recovered(journal, 1)).length === last, 10_000);
    expect(seqsOf(await recovered(journal, 1))).toEqual(Array.from({ length: last }, (_, i) => i + 1));
    await journal.close();
    const after = await openRedisJournal(redis.url);
    expect(await after.claim('arena')).toMatchObject({ unfinished: [recordingId(1)] });
    expect(seqsOf(await recovered(after, 1))).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  }, 60_000);
});

function seqsOf(blocks: Awaited<ReturnType<typeof recovered>>): number[] {
  return blocks.flatMap(({ header }) =>
    Array.from({ length: header.lastSeq - header.firstSeq + 1 }, (_, i) => header.firstSeq + i),
  );
}

describe.skipIf(!hasRedis)('what is in Redis', () => {
  test('[J6] a damaged block is set aside and reported, the others are read', async () => {
    const redis = await RedisServer.start();
    const damage: object[] = [];
    const journal = await openRedisJournal(redis.url, { onDamage: (found) => damage.push(found) });
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    const next = `${redis.entries(LOG).at(-1)?.id.split('-')[0]}-2`;
    redis.cli('XADD', LOG, next, 'r', recordingId(1), 's', '2', 'b', 'no block at all');
    await journal.append(recordingId(1), plainBlock(1, 3), 3).stable;
    expect(outline(await recovered(journal, 1))).toEqual(['1-1', '3-3']);
    expect(damage).toMatchObject([{ path: `${LOG} ${next}`, length: 15, copyPath: 'gt:{arena}:damaged' }]);
    expect(redis.entries('gt:{arena}:damaged')[0]?.fields).toMatchObject({ k: LOG, i: next, b: 'no block at all' });
    expect(outline(await recovered(journal, 1))).toEqual(['1-1', '3-3']);
    expect(damage).toHaveLength(1);
  });

  test('a finished recording leaves nothing but keys that go by themselves', async () => {
    const redis = await RedisServer.start();
    const journal = await openRedisJournal(redis.url);
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    await journal.seal(recordingId(1), plainBlock(1, 1), 1);
    await journal.discard(recordingId(1));
    expect(redis.cli('KEYS', '*').trim().split('\n').sort()).toEqual([CHECKPOINTS, LOG]);
    for (const key of [LOG, CHECKPOINTS]) expect(Number(redis.cli('TTL', key))).toBeGreaterThan(86_400);
    // The claim's own mark is all that is left.
    expect([LOG, CHECKPOINTS].map((key) => redis.entries(key).length)).toEqual([0, 1]);
  });

  test('[J4] two recordings of a room: one goes on while the other is finished', async () => {
    const redis = await RedisServer.start();
    const journal = await openRedisJournal(redis.url);
    await begin(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    journal.begin('arena', recordingId(2));
    await journal.append(recordingId(2), plainBlock(2, 1), 1).stable;
    await journal.seal(recordingId(1), plainBlock(1, 1), 1);
    await journal.discard(recordingId(1));
    await journal.append(recordingId(2), plainBlock(2, 2), 2).stable;
    await journal.close();
    const after = await openRedisJournal(redis.url);
    expect(await after.claim('arena')).toMatchObject({ unfinished: [recordingId(2)] });
    expect(outline(await recovered(after, 2))).toEqual(['1-1', '2-2']);
  });

  test('[J4] a relay that dies while it deletes a finished recording does not bring part of it back', async () => {
    const redis = await RedisServer.start();
    const journal = await openRedisJournal(redis.url);
    await begin(journal, 1);
    for (const seq of [1, 2]) await journal.seal(recordingId(1), plainBlock(1, seq), seq);
    const epoch = redis.entries(LOG)[0]?.id.split('-')[0];
    // As far as `discard` comes before it deletes.
    redis.cli('XADD', LOG, `${epoch}-1`, 'r', recordingId(1), 'f', '1');
    redis.cli('XDEL', CHECKPOINTS, `${epoch}-1`);
    await journal.close();
    const after = await openRedisJournal(redis.url);
    expect(await after.claim('arena')).toMatchObject({ unfinished: [] });
    expect(redis.entries(CHECKPOINTS).filter(({ fields }) => fields.r)).toEqual([]);
  });
});

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
    await begin(journal, 1);
    const startedAt = performance.now();
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    const waitedMs = performance.now() - startedAt;
    if (durability === 'redis:everysec') expect(waitedMs).toBeGreaterThan(2_000);
    else expect(waitedMs).toBeLessThan(1_000);
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
      await begin(journal, 1);
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

async function begin(journal: RedisJournal, number: number): Promise<void> {
  await journal.claim('arena');
  journal.begin('arena', recordingId(number));
}

/** A log that can be looked at. */
function listener(): { log: Logger; said: string[] } {
  const said: string[] = [];
  const hear = (_details: object, message: string) => void said.push(message);
  return { log: { info: hear, warn: hear, error: hear }, said };
}
