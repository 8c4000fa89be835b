import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import { isGametapeError } from '@gametape/shared';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { describeJournal, outline, recovered } from '../contracts/journal-contract.ts';
import { RedisCluster } from '../support/redis-cluster.ts';
import { openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { TestRelay } from '../support/relay.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';
import { waitFor, within } from '../support/wait-for.ts';

const RETURN_MS = 60_000;
const LOG = 'gt:{arena}:log';

describe.skipIf(!hasRedis)('with a Redis Cluster', () => {
  const stops: (() => Promise<void>)[] = [];
  let directory: string;
  let cluster: RedisCluster;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gametape-cluster-'));
    cluster = await RedisCluster.start({ masters: 3 }, { directory, until: (stop) => stops.push(stop) });
  });

  afterAll(async () => {
    for (const stop of stops) await stop();
    await rm(directory, { recursive: true, force: true });
  });

  describeJournal({
    name: 'Redis Cluster',
    survivesRestart: true,
    place: async () => {
      cluster.flush();
      return cluster.url;
    },
    open: (url) => openRedisJournal(url, { relayId: 'contract' }),
  });
});

describe.skipIf(!hasRedis)('a Redis Cluster', () => {
  test('[J4] a slot moves while its room is written to: all is there, once, in order', async () => {
    const cluster = await RedisCluster.start({ masters: 3 });
    const journal = await openRedisJournal(cluster.url);
    await journal.claim('arena');
    journal.begin('arena', recordingId(1));
    const from = cluster.masterOf(LOG);
    const to = cluster.masters.find((master) => master !== from) as RedisServer;
    const pending: Promise<unknown>[] = [];
    let seq = 0;
    const write = () => {
      seq++;
      pending.push(journal.append(recordingId(1), plainBlock(1, seq), seq).accepted);
      if (seq === 150) pending.push(journal.seal(recordingId(1), plainBlock(1, 1, 150), 150));
    };
    const timer = setInterval(write, 1);
    onTestFinished(() => clearInterval(timer));
    const more = async () => {
      const before = seq;
      await waitFor('more to be written', () => seq > before + 50);
    };
    await more();
    await cluster.moveSlot(Number(from.cli('CLUSTER', 'KEYSLOT', LOG)), from, to, more);
    await more();
    clearInterval(timer);
    await within('everything to be accepted', Promise.all(pending), RETURN_MS);
    expect([from, to].map((server) => server.cli('CLUSTER', 'COUNTKEYSINSLOT', String(slotOf(server))).trim())).toEqual(
      ['0', '4'],
    );
    const rest = Array.from({ length: seq - 150 }, (_, i) => `${i + 151}-${i + 151}`);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-150', ...rest]);
  });

  test('[J4] kill -9 of a master under load, its replica takes over: rooms on all masters go on, with everything', async () => {
    const cluster = await RedisCluster.start({ masters: 3, replicas: 3 });
    const relay = await TestRelay.start({ redis: cluster.url, leaseMs: 1_000 });
    // One room in the slots of each master.
    const rooms = cluster.masters.map((master) => {
      const names = Array.from({ length: 100 }, (_, i) => `room-${i}`);
      return names.find((name) => cluster.masterOf(`gt:{${name}}:log`) === master) as string;
    });
    const sessions = await Promise.all(rooms.map((room) => enter(relay.port, room)));
    let said = 0;
    const timer = setInterval(() => {
      for (const session of sessions) session.say(`t${said}`);
      said++;
    }, 2);
    onTestFinished(() => clearInterval(timer));
    await waitFor('some to be stable', () => sessions.every(({ status }) => status.stable > 100), RETURN_MS);
    const [killed] = cluster.masters as [RedisServer];
    await killed.kill();
    await waitFor('another master', () => cluster.replicas[0]?.cli('ROLE').startsWith('master'), RETURN_MS);
    const before = said;
    await waitFor(
      'more to be accepted',
      () => sessions.every(({ status }) => status.accepted > before + 100),
      RETURN_MS,
    );
    await killed.start();
    const later = said;
    await waitFor('still more', () => sessions.every(({ status }) => status.accepted > later + 100), RETURN_MS);
    clearInterval(timer);
    for (const session of sessions) {
      const summary = await within('the end', session.end(), RETURN_MS);
      expect(summary).toMatchObject({ recordingId: session.recordingId, complete: true });
      const { own } = await relay.recording(summary.recordingId);
      expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: said }, (_, i) => `t${i}`));
    }
  }, 180_000);

  test('[J1] stable is worth what the weakest master makes of it', async () => {
    const cluster = await RedisCluster.start({ masters: 2 });
    expect((await openRedisJournal(cluster.url)).durability).toBe('redis:always');
    cluster.masters[1]?.cli('CONFIG', 'SET', 'appendfsync', 'no');
    expect((await openRedisJournal(cluster.url)).durability).toBe('redis:no');
    cluster.masters[0]?.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const refused = (error: unknown) => isGametapeError(error, 'NOT_ALLOWED');
    await expect(openRedisJournal(cluster.url)).rejects.toSatisfy(refused);
  });

  test('one that is not complete, and a Redis that is no cluster, are refused with a reason', async () => {
    const cluster = await RedisCluster.start({ masters: 2 });
    cluster.masters[1]?.cli('CLUSTER', 'DELSLOTS', '9000');
    const single = await RedisServer.start();
    const lone = cluster.masters[1] as RedisServer;
    for (const [port, reason] of [
      [lone.port, 'nobody has 1 of its 16384 slots'],
      [single.port, 'cluster support disabled'],
      [1, 'no Redis answers there'],
    ] as const) {
      const fault = await openRedisJournal(`redis+cluster://127.0.0.1:${port}`).catch((error: unknown) => error);
      expect(fault).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining(reason) });
    }
  });
});

function slotOf(server: RedisServer): number {
  return Number(server.cli('CLUSTER', 'KEYSLOT', LOG));
}

async function enter(port: number, room: string): Promise<Session> {
  return await connect({ url: `ws://127.0.0.1:${port}`, room, player: 'one', profile: 'json', flushMs: 2 });
}
