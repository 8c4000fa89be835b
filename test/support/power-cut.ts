import { cp, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { FileJournal, NODE_COMPRESSION } from '@gametape/server';
import { recoverRoom } from '../../server/dist/room/room-recovery.js';
import type { FileCall } from './strace.ts';
import { tempDir } from './temp-dir.ts';

/**
 * How many events of each player a power loss would have left: of a copy of the journal, every file ends where the last sync
 * that worked has ended, as strace saw it. What a failed sync was about is gone, whatever later ones say (J5).
 */
export async function survivors(dataDir: string, calls: readonly FileCall[]): Promise<ReadonlyMap<string, number>> {
  const copy = await tempDir();
  const journalPath = join(dataDir, 'journal');
  await cp(journalPath, join(copy, 'journal'), { recursive: true });
  const files = syncedFiles(calls);
  for (const name of await readdir(join(copy, 'journal'))) {
    const path = join(copy, 'journal', name);
    const { size } = await stat(path);
    await truncate(path, Math.min(size, files.get(join(journalPath, name))?.synced ?? 0));
  }
  return await recoveredPseqs(copy);
}

/** How many events of each player whoever reads the journal now finds, which is left alone. */
export async function recoverable(dataDir: string): Promise<ReadonlyMap<string, number>> {
  const copy = await tempDir();
  await cp(join(dataDir, 'journal'), join(copy, 'journal'), { recursive: true });
  return await recoveredPseqs(copy);
}

async function recoveredPseqs(dataDir: string): Promise<ReadonlyMap<string, number>> {
  const journal = await FileJournal.open(dataDir, { compression: NODE_COMPRESSION, onDamage: () => {} });
  const pseqs = new Map<string, number>();
  try {
    for (const { unfinished } of await journal.takeOver()) {
      for (const recordingId of unfinished) {
        const { start } = await recoverRoom(journal, recordingId, NODE_COMPRESSION, 0);
        for (const { context } of start.producers) pseqs.set(context.player, context.pseq);
      }
    }
  } finally {
    await journal.close();
  }
  return pseqs;
}

interface SyncedFile {
  written: number;
  synced: number;
  /** A sync has failed since: what lies behind `synced` counts only when it is written anew from there on. */
  isLost: boolean;
}

function syncedFiles(calls: readonly FileCall[]): ReadonlyMap<string, SyncedFile> {
  const files = new Map<string, SyncedFile>();
  for (const { name, path, offset, result } of calls) {
    const file = files.get(path) ?? { written: 0, synced: 0, isLost: false };
    files.set(path, file);
    if (name === 'fdatasync') {
      if (result < 0) file.isLost = true;
      else if (!file.isLost) file.synced = file.written;
    } else if (result >= 0 && name === 'ftruncate') {
      file.written = Math.min(file.written, offset);
      file.synced = Math.min(file.synced, offset);
    } else if (result >= 0) {
      if (offset <= file.synced && file.isLost) {
        file.isLost = false;
        file.written = file.synced;
      }
      file.written = Math.max(file.written, offset + result);
    }
  }
  return files;
}
