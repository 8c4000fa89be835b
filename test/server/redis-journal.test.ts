import { isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { outline, recovered } from '../contracts/journal-contract.ts';
import { beginArena, listener, openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';
import { waitFor, within } from '../support/wait-for.ts';

const LOG = 'gt:{arena}:log';
const CHECKPOINTS = 'gt:{arena}:checkpoints';

describe.skipIf(!hasRedis)('a Redis that is away', () => {
  test('[J5] nothing is accepted and nothing fails until it is back', async () => {
    const redis = await RedisServer.start();
    const { log, said } = listener();
    const journal = await openRedisJournal(redis.url, { timeoutMs: 300, log });
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
      await beginArena(journal, 1);
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
    await beginArena(journal, 1);
    // Again where the machine stood still for so long that it was stable before it was forgotten.
    const all: string[] = [];
    for (let isForgotten = false; !isForgotten; ) {
      writtenAgainAt = 0;
      const seq = all.length + 1;
      all.push(`${seq}-${seq}`);
      const appendedAt = performance.now();
      const { accepted, stable } = journal.append(recordingId(1), plainBlock(1, seq), seq);
      await accepted;
      redis.cli('FLUSHALL');
      isForgotten = performance.now() - appendedAt < 2_000;
      await stable;
      await waitFor('it to be written again', () => writtenAgainAt > 0);
    }
    expect(performance.now() - writtenAgainAt).toBeGreaterThan(2_000);
    expect(outline(await recovered(journal, 1))).toEqual(all);
  });

  test('[J4] the connection is lost while the room is claimed anew: it is still this relay that has it', async () => {
    const redis = await RedisServer.start();
    const proxy = await TcpProxy.start(redis.port);
    const lost: string[] = [];
    const options = { leaseMs: 300, onLost: (room: string) => lost.push(room) };
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`, options);
    await beginArena(journal, 1);
    await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
    // The mark of the claim goes into the log, and its reply is lost.
    proxy.cutAfterNextRequest('\r\nc\r\n');
    redis.cli('FLUSHALL');
    await waitFor('the cut', () => proxy.cuts === 1);
    await journal.append(recordingId(1), plainBlock(1, 2), 2).stable;
    await waitFor('all to be there', async () => outline(await recovered(journal, 1)).join() === '1-1,2-2');
    expect(lost).toEqual([]);
  });

  test('[J4] a block is sealed just after it has forgotten all, and the reply is lost: it is written again with those before', async () => {
    const redis = await RedisServer.start();
    const proxy = await TcpProxy.start(redis.port);
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`, { leaseMs: 60_000 });
    await beginArena(journal, 1);
    for (const seq of [1, 2, 3]) await journal.append(recordingId(1), plainBlock(1, seq), seq).stable;
    await journal.seal(recordingId(1), plainBlock(1, 1), 1);
    redis.cli('FLUSHALL');
    proxy.cutAfterNextRequest(CHECKPOINTS);
    await journal.seal(recordingId(1), plainBlock(1, 2), 2);
    expect(proxy.cuts).toBe(1);
    // With this one the log lets go of what the second covers.
    await journal.seal(recordingId(1), plainBlock(1, 3), 3);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', 'sealed 2-2', 'sealed 3-3']);
  });

  test('[J4] it has forgotten the sealed blocks, and takes more before that is noticed: they are read in their order', async () => {
    const redis = await RedisServer.start();
    const proxy = await TcpProxy.start(redis.port);
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`, { leaseMs: 60_000 });
    await beginArena(journal, 1);
    for (const seq of [1, 2, 3]) await journal.append(recordingId(1), plainBlock(1, seq), seq).stable;
    for (const seq of [1, 2]) await journal.seal(recordingId(1), plainBlock(1, seq), seq);
    redis.cli('DEL', CHECKPOINTS);
    await journal.seal(recordingId(1), plainBlock(1, 3), 3);
    // When it is back, the journal looks what it has.
    proxy.cutAll();
    const all = ['sealed 1-1', 'sealed 2-2', 'sealed 3-3'];
    await waitFor('all to be there', async () => outline(await recovered(journal, 1)).join() === all.join());
  });

  test('[J4] a replica that was behind is promoted: what it lacks is written again', async () => {
    const master = await RedisServer.start();
    const replica = await RedisServer.start({ replicaof: `127.0.0.1 ${master.port}` });
    const proxy = await TcpProxy.start(master.port);
    const journal = await openRedisJournal(`redis://127.0.0.1:${proxy.port}`);
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
    await within('everything to be accepted', Promise.all(pending));
    expect(lost).toEqual([]);
    await waitFor('everything to be there', async () => seqsOf(await recovered(journal, 1)).length === last);
    expect(seqsOf(await recovered(journal, 1))).toEqual(Array.from({ length: last }, (_, i) => i + 1));
    await journal.close();
    const after = await openRedisJournal(redis.url);
    expect(await after.claim('arena')).toMatchObject({ unfinished: [recordingId(1)] });
    expect(seqsOf(await recovered(after, 1))).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  });
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
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
    await beginArena(journal, 1);
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
