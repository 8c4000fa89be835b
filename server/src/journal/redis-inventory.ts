import { GametapeError } from '@gametape/shared';
import type { RedisConnection } from './redis-connection.ts';
import { FIRST_ID, idText, ROOMS_KEY, type RoomKeys, readEntries, readPatiently } from './redis-entries.ts';
import type { RedisRoom } from './redis-room.ts';

/** Keys of a room that nobody uses go after this: until then its ids never start over. */
const KEPT_SECONDS = 7 * 24 * 3_600;

/** Recordings of a room that has just been claimed that are not finished. Goes on deleting those that are. */
export async function unfinishedOf(connection: RedisConnection, { keys, log }: RedisRoom): Promise<readonly string[]> {
  const logged = new Set<string>();
  const finished = new Set<string>();
  for await (const entry of readEntries(connection, keys.log, 'log')) {
    if (entry.recordingId === undefined) continue;
    log.adopt(entry);
    (entry.isFinished ? finished : logged).add(entry.recordingId);
  }
  const begun = await beginnings(connection, keys);
  for (const recordingId of finished) {
    await eraseCheckpoints(connection, keys, recordingId);
    await log.forget(recordingId);
  }
  const unfinished = [...new Set([...logged, ...begun.keys()])].filter((id) => !finished.has(id));
  const kept: string[] = [];
  for (const recordingId of unfinished.sort()) {
    const isKnown = logged.has(recordingId) || begun.get(recordingId) !== '';
    if (isKnown || (await hasCheckpoint(connection, keys, recordingId))) kept.push(recordingId);
    else await readPatiently(connection, ['HDEL', keys.recordings, recordingId]);
  }
  return kept;
}

/** The unfinished recordings that are noted, each with the id of its first checkpoint, empty while there is none. */
export async function beginnings(connection: RedisConnection, keys: RoomKeys): Promise<Map<string, string>> {
  const fields = (await readPatiently(connection, ['HGETALL', keys.recordings])) as unknown[];
  const begun = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) begun.set(String(fields[i]), String(fields[i + 1]));
  return begun;
}

/** A room of which nothing is left is anybody's again. */
export async function giveRoomUp(connection: RedisConnection, room: RedisRoom): Promise<void> {
  const { name, keys } = room;
  await connection.command(['SREM', ROOMS_KEY, name]);
  const streams = [keys.log, keys.checkpoints];
  await Promise.all(streams.map((key) => connection.command(['EXPIRE', key, KEPT_SECONDS])));
  await room.leave(new GametapeError('JOURNAL_FAILED', `room ${name}: it is given up`));
}

async function eraseCheckpoints(connection: RedisConnection, keys: RoomKeys, recordingId: string): Promise<void> {
  for await (const { id, recordingId: of } of readEntries(connection, keys.checkpoints, 'checkpoints', FIRST_ID)) {
    if (of === recordingId) await readPatiently(connection, ['XDEL', keys.checkpoints, idText(id)]);
  }
  await readPatiently(connection, ['HDEL', keys.recordings, recordingId]);
}

async function hasCheckpoint(connection: RedisConnection, keys: RoomKeys, recordingId: string): Promise<boolean> {
  for await (const entry of readEntries(connection, keys.checkpoints, 'checkpoints', FIRST_ID)) {
    if (entry.recordingId === recordingId) return true;
  }
  return false;
}
