import { type Logger, NODE_COMPRESSION, RedisJournal, type RedisJournalOptions } from '@gametape/server';
import { onTestFinished } from 'vitest';
import { tempDir } from './temp-dir.ts';
import { recordingId } from './typed-session.ts';

const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
let relays = 0;

/** The journal of a relay of its own, unless `relayId` says whose. Closed when the test is over. */
export async function openRedisJournal(url: string, options: Partial<RedisJournalOptions> = {}): Promise<RedisJournal> {
  const journal = await RedisJournal.open({
    url,
    compression: NODE_COMPRESSION,
    log: SILENT,
    onDamage: () => {},
    onLost: () => {},
    relayId: `relay-${++relays}`,
    spoolDirectory: `${await tempDir()}/spool`,
    ...options,
  });
  onTestFinished(() => journal.close());
  return journal;
}

/** Claims the room `arena` and begins a recording of it. */
export async function beginArena(journal: RedisJournal, number: number): Promise<void> {
  await journal.claim('arena');
  journal.begin('arena', recordingId(number));
}

/** A log that can be looked at. */
export function listener(): { log: Logger; said: string[] } {
  const said: string[] = [];
  const hear = (_details: object, message: string) => void said.push(message);
  return { log: { info: hear, warn: hear, error: hear }, said };
}
