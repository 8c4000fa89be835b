import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FileJournal, type Journal, NODE_COMPRESSION, type RelayOptions } from '@gametape/server';
import { Redis } from 'ioredis';
import { BenchRedis } from './bench-redis.ts';

/** What such a room writes in ten seconds, after which a segment ends: here, only the room's time passes so fast. */
const SEGMENT_BYTES = 16 * 1024;

/** A journal that its relay has left, as often as somebody wants to start from it. */
export interface LeftJournal {
  readonly sealedBytes: number;
  readonly logBytes: number;
  /** A copy of it that a relay can be started on. */
  copy(): Promise<{ readonly options: Partial<RelayOptions>; close(): Promise<void> }>;
}

/** @param write what is to be in it; closes the journal */
export async function leaveFiles(home: string, write: (journal: Journal) => Promise<void>): Promise<LeftJournal> {
  const dataDir = await mkdtemp(join(home, 'files-'));
  await write(
    await FileJournal.open(dataDir, {
      compression: NODE_COMPRESSION,
      segmentBytes: SEGMENT_BYTES,
      onDamage: ({ reason }) => {
        throw new Error(reason);
      },
    }),
  );
  const directory = join(dataDir, 'journal');
  const sizes = { lmsp: 0, log: 0 };
  for (const name of await readdir(directory)) {
    const { size } = await stat(join(directory, name));
    sizes[name.endsWith('.log') ? 'log' : 'lmsp'] += size;
  }
  const copy = async () => {
    const copied = await mkdtemp(join(home, 'copy-'));
    await cp(dataDir, copied, { recursive: true });
    return { options: { dataDir: copied }, close: () => rm(copied, { recursive: true }) };
  };
  return { sealedBytes: sizes.lmsp, logBytes: sizes.log, copy };
}

/** The same in a redis-server of its own, undefined where there is none. */
export async function leaveRedis(
  home: string,
  room: string,
  write: (journal: Journal) => Promise<void>,
): Promise<LeftJournal | undefined> {
  const directory = await mkdtemp(join(home, 'redis-'));
  const redis = await BenchRedis.start('always', directory);
  if (!redis) return undefined;
  await write(await redis.journal(home));
  const client = new Redis(redis.port, '127.0.0.1', { protocol: 2 });
  const bytesOf = (name: string) => client.memory('USAGE', `gt:{${room}}:${name}`, 'SAMPLES', 0);
  const [sealedBytes, logBytes] = [Number(await bytesOf('checkpoints')), Number(await bytesOf('log'))];
  client.disconnect();
  await redis.close();
  const copy = async () => {
    const copied = await mkdtemp(join(home, 'copy-'));
    await cp(directory, join(copied, 'redis'), { recursive: true });
    const server = (await BenchRedis.start('always', join(copied, 'redis'))) as BenchRedis;
    const close = async () => {
      await server.close();
      await rm(copied, { recursive: true });
    };
    return { options: { dataDir: copied, redis: server.url }, close };
  };
  return { sealedBytes, logBytes, copy };
}
