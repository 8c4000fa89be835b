import type { Compression } from '@gametape/shared';
import { SILENT } from '../log.ts';
import { openRedis } from './open-redis.ts';
import { type BlockReading, loggedBlocks, sealedBlocks } from './redis-blocks.ts';
import { keysOf, ROOMS_KEY, readEntries, readPatiently } from './redis-entries.ts';
import { beginnings } from './redis-inventory.ts';
import { type UnfinishedRecording, UnfinishedSummary } from './unfinished-summary.ts';

const TIMEOUT_MS = 5_000;

/** What the journal in a Redis has, which relays may be writing to. Nothing is claimed or changed. @throws GametapeError `UNREACHABLE` */
export async function listRedis(url: string, compression: Compression): Promise<UnfinishedRecording[]> {
  const connection = await openRedis(url, { log: SILENT, timeoutMs: TIMEOUT_MS, onBack: () => {} });
  try {
    const rooms = ((await readPatiently(connection, ['SMEMBERS', ROOMS_KEY])) as unknown[]).map(String).sort();
    const listed: UnfinishedRecording[] = [];
    for (const room of rooms) listed.push(...(await listRoom(connection, room, compression)));
    return listed;
  } finally {
    await connection.close();
  }
}

async function listRoom(
  connection: BlockReading['connection'],
  room: string,
  compression: Compression,
): Promise<UnfinishedRecording[]> {
  const keys = keysOf(room);
  const reading: BlockReading = { connection, keys, compression, onDamage: undefined };
  const holder = await readPatiently(connection, ['GET', keys.owner]);
  const [, host, pid] = holder === null ? [] : String(holder).split('/');
  const owner = host === undefined ? undefined : `${host}, process ${pid}`;
  const recordings = new Set((await beginnings(connection, keys)).keys());
  const finished = new Set<string>();
  for await (const { recordingId, isFinished } of readEntries(connection, keys.log, 'log')) {
    if (recordingId !== undefined) (isFinished ? finished : recordings).add(recordingId);
  }
  const listed: UnfinishedRecording[] = [];
  for (const recordingId of recordings) {
    if (finished.has(recordingId)) continue;
    const summary = new UnfinishedSummary(compression);
    for await (const { header, stored } of sealedBlocks(reading, recordingId)) summary.add(header, stored);
    for await (const { header, stored } of loggedBlocks(reading, recordingId, 0)) summary.add(header, stored);
    listed.push(summary.result(recordingId, room, owner));
  }
  return listed;
}
