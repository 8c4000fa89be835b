import { NODE_COMPRESSION, RedisJournal, type RedisJournalOptions } from '@gametape/server';
import { onTestFinished } from 'vitest';
import { tempDir } from './temp-dir.ts';

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
