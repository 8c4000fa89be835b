import { FileJournal, MemoryJournal, NODE_COMPRESSION } from '@gametape/server';
import { describe, expect } from 'vitest';
import { openRedisJournal } from '../support/redis-journal.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { tempDir } from '../support/temp-dir.ts';
import { describeJournal } from './journal-contract.ts';

describeJournal({
  name: 'memory',
  survivesRestart: false,
  place: async () => '',
  open: async () => new MemoryJournal(NODE_COMPRESSION),
});

describeJournal({
  name: 'file',
  survivesRestart: true,
  place: tempDir,
  open: (directory) => FileJournal.open(directory, { compression: NODE_COMPRESSION, onDamage: expectNone }),
});

describe.skipIf(!hasRedis)('with a Redis', () => {
  describeJournal({
    name: 'Redis',
    survivesRestart: true,
    place: async () => (await RedisServer.start()).url,
    open: (url) => openRedisJournal(url, { relayId: 'contract', onDamage: expectNone }),
  });
});

function expectNone(damage: unknown): void {
  expect(damage).toBeUndefined();
}
