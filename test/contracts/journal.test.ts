import { FileJournal, MemoryJournal, NODE_COMPRESSION } from '@gametape/server';
import { expect } from 'vitest';
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

function expectNone(damage: unknown): void {
  expect(damage).toBeUndefined();
}
