import { GametapeError } from '@gametape/shared';
import type { RedisConnection } from './redis-connection.ts';
import {
  claimFields,
  type EntryId,
  FIRST_ID,
  idText,
  lastId,
  ROOMS_KEY,
  type RoomKeys,
  readEntry,
} from './redis-entries.ts';
import { faultOf } from './redis-errors.ts';

/** Who claims. */
export interface Claimant {
  /** The same after a restart: a relay need not wait for the lease of its own earlier life. */
  readonly relayId: string;
  /** Of this life only; starts with `relayId` and a slash. */
  readonly token: string;
  readonly leaseMs: number;
}

/**
 * Makes the claimant the owner of a room and returns its epoch. The lease only keeps others from trying. What makes one owner
 * the only one is its first entry in either stream, always in the same order: of those that take the same epoch, the first
 * gets in and the others are refused, and whoever has a lower epoch is refused from then on.
 *
 * @throws GametapeError `ROOM_ELSEWHERE`; RedisAway, or the error that Redis answers with
 */
export async function claimRoom(
  connection: RedisConnection,
  { room, keys, above }: { room: string; keys: RoomKeys; above: number },
  claimant: Claimant,
): Promise<number> {
  await connection.command(['SADD', ROOMS_KEY, room]);
  await takeLease(connection, room, keys, claimant);
  const [log = FIRST_ID, checkpoints = FIRST_ID] = await Promise.all([
    lastId(connection, keys.log),
    lastId(connection, keys.checkpoints),
  ]);
  const epoch = Math.max(log.epoch + 1, checkpoints.epoch + 1, above + 1, Math.floor(Date.now() / 1_000));
  try {
    for (const key of [keys.log, keys.checkpoints]) await addClaim(connection, room, key, { epoch, n: 0 }, claimant);
  } catch (error) {
    if (error instanceof GametapeError) await giveLease(connection, keys, claimant);
    throw error;
  }
  // What was to go because nobody used it stays.
  await Promise.all([keys.log, keys.checkpoints].map((key) => connection.command(['PERSIST', key])));
  return epoch;
}

/** Says again that the claimant is there. Another's lease is left alone: it has not got further than that, or an id will show it. */
export async function renewLease(connection: RedisConnection, keys: RoomKeys, claimant: Claimant): Promise<void> {
  const { token, leaseMs } = claimant;
  const owner = await connection.command(['GET', keys.owner]);
  if (owner === null) await connection.command(['SET', keys.owner, token, 'NX', 'PX', leaseMs]);
  else if (String(owner) === token) await connection.command(['PEXPIRE', keys.owner, leaseMs]);
}

/** Lets others have the room at once, unless one has it already. */
export async function giveLease(connection: RedisConnection, keys: RoomKeys, { token }: Claimant): Promise<void> {
  const owner = await connection.command(['GET', keys.owner]);
  if (owner !== null && String(owner) === token) await connection.command(['DEL', keys.owner]);
}

async function takeLease(
  connection: RedisConnection,
  room: string,
  { owner }: RoomKeys,
  { relayId, token, leaseMs }: Claimant,
): Promise<void> {
  if ((await connection.command(['SET', owner, token, 'NX', 'PX', leaseMs])) !== null) return;
  const holder = await connection.command(['GET', owner]);
  if (holder !== null && !String(holder).startsWith(`${relayId}/`)) throw elsewhere(room, String(holder));
  await connection.command(['SET', owner, token, 'PX', leaseMs]);
}

async function addClaim(
  connection: RedisConnection,
  room: string,
  key: string,
  id: EntryId,
  { token }: Claimant,
): Promise<void> {
  try {
    await connection.command(['XADD', key, idText(id), ...claimFields(token)]);
  } catch (error) {
    if (faultOf(error) !== 'refused') throw error;
    const there = await readEntry(connection, key, id);
    if (there?.claim !== token) throw elsewhere(room, there?.claim ?? 'another relay');
  }
}

export function elsewhere(room: string, holder: string): GametapeError {
  return new GametapeError('ROOM_ELSEWHERE', `room ${room}: ${holder} has it`);
}
