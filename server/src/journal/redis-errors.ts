/** The connection is gone or does not answer: whether a command was carried out is not known. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway';
}

/** What a command's error means for whoever sent it. */
export type RedisFault = 'away' | 'for now' | 'refused' | 'for good';

/** Answers that another moment, or another server behind the same name, will not give. */
const FOR_NOW =
  /^(LOADING|MASTERDOWN|READONLY|OOM|MISCONF|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|BUSY|MOVED|ASK|UNBLOCKED|EXECABORT|ERR max number of clients)\b/;

/**
 * `refused`: XADD found an entry of the same or a higher id, so this one is there already or another owner has written since.
 * Redis says it with two sentences, the second for a stream whose ids are used up.
 */
export function faultOf(error: unknown): RedisFault {
  if (error instanceof RedisAway) return 'away';
  const message = error instanceof Error ? error.message : String(error);
  if (FOR_NOW.test(message)) return 'for now';
  if (/equal or smaller than the target stream/.test(message)) return 'refused';
  return 'for good';
}

/** A replica answers where the master should: the connection is to be made anew. */
export function isReplica(error: unknown): boolean {
  return error instanceof Error && /^(READONLY|MASTERDOWN)\b/.test(error.message);
}
