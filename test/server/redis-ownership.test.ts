import type { RedisJournal } from '@gametape/server';
import { isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { outline, recovered } from '../contracts/journal-contract.ts';
import { beginArena, openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

const OWNER = 'gt:{arena}:owner';
/** What Redis answers to a GET of what is not there. */
const NOTHING = '$-1\r\n';
const elsewhere = (error: unknown) => isGametapeError(error, 'ROOM_ELSEWHERE');

describe.skipIf(!hasRedis)('who owns a room in Redis', () => {
  test('one relay at a time, and the next one once it has let go', async () => {
    const redis = await RedisServer.start();
    const [a, b] = [await openRedisJournal(redis.url), await openRedisJournal(redis.url)];
    await beginArena(a, 1);
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
    await beginArena(a, 1);
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
    await beginArena(a, 1);
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
    await beginArena(a, 1);
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
    await beginArena(a, 1);
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
    await beginArena(a, 1);
    redis.cli('DEL', OWNER);
    await waitFor('the lease to be back', () => redis.cli('EXISTS', OWNER).trim() === '1');
    await a.append(recordingId(1), plainBlock(1, 1), 1).stable;
  });
});
