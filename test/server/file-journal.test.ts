import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  FileJournal,
  type FileJournalOptions,
  type JournalDamage,
  NODE_COMPRESSION,
  type SealedBlock,
} from '@gametape/server';
import { BLOCK_HEADER_BYTES, FILE_HEADER_BYTES, isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { outline, recovered } from '../contracts/journal-contract.ts';
import { FailingFiles } from '../support/failing-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import { plainBlock, recordingId } from '../support/typed-session.ts';

const FIRST_SEGMENT = '0000000000000001.log';

describe('group commit', () => {
  test('[J1] what is appended in one turn, of all recordings, shares one write and one sync', async () => {
    const files = new FailingFiles();
    const { journal } = await openJournal(await tempDir(), { files });
    const appended = Array.from({ length: 60 }, (_, i) => append(journal, 1 + (i % 20), 1 + Math.floor(i / 20)));
    await Promise.all(appended.map(({ stable }) => stable));
    expect([files.counts.writev, files.counts.datasync]).toEqual([1, 1]);
    await journal.close();
  });

  test('[J1] while a write runs, appends gather into the next one', async () => {
    const files = new FailingFiles();
    const { journal } = await openJournal(await tempDir(), { files });
    const started = deferred();
    const released = deferred();
    files.onCall = async (call, count) => {
      if (call !== 'writev' || count !== 1) return;
      started.resolve();
      await released.promise;
    };
    const first = append(journal, 1, 1);
    await started.promise;
    const later = [2, 3, 4].map((seq) => append(journal, 1, seq));
    released.resolve();
    await Promise.all([first.accepted, ...later.map(({ accepted }) => accepted)]);
    expect(files.counts.writev).toBe(2);
    await journal.close();
  });

  test('[J1] one sync covers the writes of a sync interval', async () => {
    const files = new FailingFiles();
    const { journal } = await openJournal(await tempDir(), { files, syncIntervalMs: 60_000 });
    await append(journal, 1, 1).stable;
    for (const seq of [2, 3, 4]) await append(journal, 1, seq).accepted;
    expect([files.counts.writev, files.counts.datasync]).toEqual([4, 1]);
    await journal.close();
    expect(files.counts.datasync).toBe(2);
  });

  test('[J1] a write that the disk takes in pieces ends up whole', async () => {
    const files = new FailingFiles();
    files.maxWriteBytes = 50;
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { files });
    await Promise.all([1, 2, 3].map((seq) => append(journal, 1, seq).stable));
    const log = await readFile(join(directory, 'journal', FIRST_SEGMENT));
    expect(log.equals(Buffer.concat([1, 2, 3].map((seq) => plainBlock(1, seq))))).toBe(true);
    await journal.close();
  });
});

describe('segments', () => {
  test('a segment goes when everything in it is sealed or discarded, and not before', async () => {
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { segmentBytes: 1 });
    for (const id of [1, 2]) await append(journal, id, 1).stable;
    for (const id of [1, 2]) await append(journal, id, 2).stable;
    expect(await segments(directory)).toEqual([1, 2, 3, 4]);
    await journal.seal(recordingId(1), plainBlock(1, 1, 2), 2);
    expect(await segments(directory)).toEqual([2, 4]);
    await journal.discard(recordingId(2));
    expect(await segments(directory)).toEqual([4]);
    await journal.close();
    expect((await readdir(join(directory, 'journal'))).sort()).toEqual([`${recordingId(1)}.lmsp`]);
  });

  test('a restart appends to a new segment', async () => {
    const directory = await tempDir();
    for (const seq of [1, 2, 3]) {
      const { journal } = await openJournal(directory);
      await append(journal, 1, seq).stable;
      await journal.close();
    }
    expect(await segments(directory)).toEqual([1, 2, 3]);
  });

  test('marks of finished recordings go with the segments they are for', async () => {
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { segmentBytes: 1 });
    for (const id of [1, 2]) await append(journal, id, 1).stable;
    await journal.discard(recordingId(1));
    expect(await marks(directory)).toHaveLength(1);
    await journal.seal(recordingId(2), plainBlock(2, 1), 1);
    await append(journal, 3, 1).stable;
    await journal.seal(recordingId(3), plainBlock(3, 1), 1);
    expect(await marks(directory)).toEqual([]);
    await journal.close();
  });
});

describe('a journal of which only marks are left', () => {
  test('they go with the next start, and no segment gets a number again', async () => {
    const directory = await tempDir();
    await mkdir(join(directory, 'journal'));
    await writeFile(join(directory, 'journal', `${recordingId(1)}.0000000000000007.finished`), '');
    const { journal } = await openJournal(directory);
    expect(await marks(directory)).toEqual([]);
    await append(journal, 2, 1).stable;
    expect(await segments(directory)).toEqual([8]);
    await journal.close();
  });
});

describe('torn tails and damage', () => {
  test('[J6] a log that is cut at any byte gives exactly the whole blocks before the cut', async () => {
    const log = await writeLog([1, 2, 3]);
    const ends = blockEnds([1, 2, 3]);
    for (let cut = 0; cut <= log.length; cut++) {
      const { journal, damage, directory } = await openLog(log.subarray(0, cut));
      const whole = ends.filter((end) => end <= cut).length;
      expect(outline(await recovered(journal, 1)), `cut at byte ${cut}`).toEqual(['1-1', '2-2', '3-3'].slice(0, whole));
      expect(damage, `cut at byte ${cut}`).toEqual([]);
      if (whole > 0) expect((await stat(join(directory, 'journal', FIRST_SEGMENT))).size).toBe(ends[whole - 1]);
      await journal.close();
    }
  });

  test('[J6] an unfinished recording that is cut at any byte goes on after its whole blocks', async () => {
    const source = await tempDir();
    const { journal: writer } = await openJournal(source);
    for (const seq of [1, 2]) await writer.seal(recordingId(1), plainBlock(1, seq), seq);
    await writer.close();
    const bytes = await readFile(join(source, 'journal', `${recordingId(1)}.lmsp`));
    const firstEnd = FILE_HEADER_BYTES + plainBlock(1, 1).length;
    for (let cut = 0; cut < bytes.length; cut++) {
      const directory = await tempDir();
      await mkdir(join(directory, 'journal'));
      await writeFile(join(directory, 'journal', `${recordingId(1)}.lmsp`), bytes.subarray(0, cut));
      const { journal, damage } = await openJournal(directory);
      await journal.seal(recordingId(1), plainBlock(1, 3), 3);
      const kept = cut < firstEnd ? [] : ['sealed 1-1'];
      expect(outline(await recovered(journal, 1)), `cut at byte ${cut}`).toEqual([...kept, 'sealed 3-3']);
      expect(damage).toEqual([]);
      await journal.close();
    }
  });

  test('[J6] sealed blocks whose headers are damaged are not listed, and what is damaged inside is never given', async () => {
    const directory = await tempDir();
    const { journal: writer } = await openJournal(directory);
    for (const seq of [1, 2, 3, 4]) await writer.seal(recordingId(1), plainBlock(1, seq), seq);
    await writer.close();
    const path = join(directory, 'journal', `${recordingId(1)}.lmsp`);
    const bytes = await readFile(path);
    const starts = [0, ...blockEnds([1, 2, 3, 4])].map((end) => FILE_HEADER_BYTES + end);
    // The payload of the second, the header of the third.
    for (const at of [(starts[2] as number) - 1, (starts[2] as number) + 40]) bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(path, bytes);
    const { journal } = await openJournal(directory);
    const listed: SealedBlock[] = [];
    for await (const block of journal.sealedBlocks(recordingId(1))) listed.push(block);
    expect(listed.map(({ header }) => header.lastSeq)).toEqual([1, 2, 4]);
    for (const block of listed) {
      const reading = journal.readSealed(block);
      if (block.header.lastSeq === 2) await expect(reading).rejects.toMatchObject({ code: 'DAMAGED' });
      else expect((await reading).length).toBe(plainBlock(1, block.header.lastSeq).length);
    }
    await journal.close();
  });

  test('[J6] every bit flip in the middle is set aside and stated, and all other blocks are there', async () => {
    const log = await writeLog([1, 2, 3]);
    const [start = 0, end = 0] = blockEnds([1, 2, 3]);
    for (let bit = start * 8; bit < end * 8; bit += 5) {
      const bytes = Uint8Array.from(log);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      const { journal, damage } = await openLog(bytes);
      expect(outline(await recovered(journal, 1)), `bit ${bit}`).toEqual(['1-1', '3-3']);
      expect(damage.map(({ offset, length }) => [offset, length])).toEqual([[start, end - start]]);
      const copy = await readFile(damage[0]?.copyPath ?? '');
      expect(copy.equals(bytes.subarray(start, end))).toBe(true);
      await journal.close();
    }
  });

  test('[J6] damage names what is lost where the header of the block is intact', async () => {
    const log = await writeLog([1, 2, 3]);
    const bytes = Uint8Array.from(log);
    const at = (blockEnds([1])[0] ?? 0) + BLOCK_HEADER_BYTES;
    bytes[at] = (bytes[at] as number) ^ 1;
    const { journal, damage } = await openLog(bytes);
    expect(damage[0]?.lost).toEqual({ recordingId: recordingId(1), firstSeq: 2, lastSeq: 2 });
    await journal.close();
  });

  test('[J6] a last block that is whole but wrong was written once: it is set aside before it is cut', async () => {
    const bytes = Uint8Array.from(await writeLog([1, 2]));
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    const { journal, damage } = await openLog(bytes);
    expect(outline(await recovered(journal, 1))).toEqual(['1-1']);
    expect(damage).toHaveLength(1);
    await journal.close();
  });

  test('[J6] a damaged sealed block is left out and the recording goes on', async () => {
    const directory = await tempDir();
    const { journal: writer } = await openJournal(directory);
    for (const seq of [1, 2, 3]) await writer.seal(recordingId(1), plainBlock(1, seq), seq);
    await writer.close();
    const path = join(directory, 'journal', `${recordingId(1)}.lmsp`);
    const bytes = await readFile(path);
    for (const at of [3, FILE_HEADER_BYTES + plainBlock(1, 1).length + 40]) bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(path, bytes);
    const { journal, damage } = await openJournal(directory);
    await journal.seal(recordingId(1), plainBlock(1, 4), 4);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', 'sealed 3-3', 'sealed 4-4']);
    expect(damage.map(({ offset }) => offset)).toEqual([FILE_HEADER_BYTES + plainBlock(1, 1).length, 0]);
    await journal.close();
  });

  test('a block of a later version is refused, not taken for damage', async () => {
    const log = Buffer.from(await writeLog([1]));
    log[8] = 9;
    log.writeUInt32LE(NODE_COMPRESSION.crc32(log.subarray(0, 88)), 88);
    await expect(openLog(log)).rejects.toSatisfy((error) => isGametapeError(error, 'VERSION_UNKNOWN'));
  });

  test('[J4] a block that a seal repeated after a crash is there once', async () => {
    const directory = await tempDir();
    const { journal } = await openJournal(directory);
    for (const seq of [1, 2, 2, 3]) await journal.seal(recordingId(1), plainBlock(1, seq), seq);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', 'sealed 2-2', 'sealed 3-3']);
    await journal.close();
  });
});

describe('a disk that fails', () => {
  test.each(['writev', 'datasync'] as const)(
    '[J5] after a failed %s the tail is rewritten to a new segment',
    async (call) => {
      for (let nth = 1; nth <= 4; nth++) {
        const files = new FailingFiles();
        const directory = await tempDir();
        const { journal } = await openJournal(directory, { files, syncIntervalMs: 0 });
        const failedPaths: string[] = [];
        const used: string[] = [];
        files.onCall = (name, count, path) => {
          if (name === 'writev' || name === 'datasync') used.push(path);
          if (name !== call || count !== nth) return;
          failedPaths.push(path);
          used.length = 0;
          throw new Error('EIO: i/o error');
        };
        for (const seq of [1, 2, 3, 4, 5]) {
          // One sync each, however slow the disk is: the nth has to come.
          for (const id of [1, 2]) await append(journal, id, seq)[call === 'datasync' ? 'stable' : 'accepted'];
        }
        await append(journal, 1, 6).stable;
        expect(failedPaths, `${call} ${nth}`).toHaveLength(1);
        expect(used).not.toContain(failedPaths[0]);
        expect(journal.failed).toBeUndefined();
        const expected = [1, 2, 3, 4, 5].map((seq) => `${seq}-${seq}`);
        expect(outline(await recovered(journal, 2))).toEqual(expected);
        const { journal: after, damage } = await openJournal(directory);
        expect(outline(await recovered(after, 1))).toEqual([...expected, '6-6']);
        expect(outline(await recovered(after, 2))).toEqual(expected);
        expect(damage).toEqual([]);
        await journal.close();
        await after.close();
      }
    },
  );

  test('[J5] when the new segment fails too, everything rejects and the journal is read-only', async () => {
    const files = new FailingFiles();
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { files, syncIntervalMs: 0 });
    await append(journal, 1, 1).stable;
    files.onCall = (name) => {
      if (name === 'writev' || name === 'create') throw new Error('ENOSPC: no space left on device');
    };
    const failed = (error: unknown) => isGametapeError(error, 'JOURNAL_FAILED');
    const pending = append(journal, 1, 2);
    await expect(pending.accepted).rejects.toSatisfy(failed);
    await expect(pending.stable).rejects.toSatisfy(failed);
    expect(journal.failed?.message).toContain('ENOSPC');
    files.onCall = () => {};
    await expect(append(journal, 1, 3).accepted).rejects.toSatisfy(failed);
    await expect(journal.seal(recordingId(1), plainBlock(1, 1), 1)).rejects.toSatisfy(failed);
    expect(outline(await recovered(journal, 1))).toEqual(['1-1']);
    await expect(journal.close()).rejects.toSatisfy(failed);
    const { journal: after } = await openJournal(directory);
    expect(outline(await recovered(after, 1))).toEqual(['1-1']);
    await after.close();
  });

  test('[J5] what was accepted before a sync failed for good is still there after a kill', async () => {
    const files = new FailingFiles();
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { files, syncIntervalMs: 0 });
    files.onCall = (name) => {
      if (name === 'datasync') throw new Error('EIO: i/o error');
    };
    const { accepted, stable } = append(journal, 1, 1);
    await accepted;
    await expect(stable).rejects.toSatisfy((error) => isGametapeError(error, 'JOURNAL_FAILED'));
    const { journal: after } = await openJournal(directory);
    expect(outline(await recovered(after, 1))).toEqual(['1-1']);
    await after.close();
    await expect(journal.close()).rejects.toThrow();
  });

  test('[J5] a segment that fills up while the next cannot be made loses nothing that is stable', async () => {
    const files = new FailingFiles();
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { files, segmentBytes: 1, syncIntervalMs: 0 });
    files.onCall = (name, count) => {
      if (name === 'create' && count === 2) throw new Error('EMFILE: too many open files');
    };
    for (const seq of [1, 2, 3]) await append(journal, 1, seq).stable;
    expect(outline(await recovered(journal, 1))).toEqual(['1-1', '2-2', '3-3']);
    await journal.close();
  });

  test('[J5] a seal that fails is tried once through a new descriptor', async () => {
    const files = new FailingFiles();
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { files });
    await journal.seal(recordingId(1), plainBlock(1, 1), 1);
    const opened = files.counts.open;
    files.onCall = (name, count) => {
      if (name === 'datasync' && count === 2) throw new Error('EIO: i/o error');
    };
    await journal.seal(recordingId(1), plainBlock(1, 2), 2);
    expect(files.counts.open).toBe(opened + 2);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', 'sealed 2-2']);
    await journal.close();
  });

  test('[J5] a seal that fails twice lets go of nothing, and may be repeated', async () => {
    const files = new FailingFiles();
    const directory = await tempDir();
    const { journal } = await openJournal(directory, { files });
    await append(journal, 1, 1).stable;
    files.onCall = (name, _count, path) => {
      if (name === 'datasync' && path.endsWith('.lmsp')) throw new Error('ENOSPC: no space left on device');
    };
    const sealing = journal.seal(recordingId(1), plainBlock(1, 1), 1);
    await expect(sealing).rejects.toSatisfy((error) => isGametapeError(error, 'JOURNAL_FAILED'));
    expect(outline(await recovered(journal, 1))).toEqual(['1-1']);
    files.onCall = () => {};
    await journal.seal(recordingId(1), plainBlock(1, 1), 1);
    expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1']);
    await journal.close();
  });
});

describe('a restart', () => {
  test('[J4] recovery is idempotent: killed in recovery, it starts again', async () => {
    const log = await writeLog([1, 2, 3]);
    const { directory } = await openLog(log.subarray(0, log.length - 5));
    for (let round = 0; round < 5; round++) {
      const { journal, damage } = await openJournal(directory);
      expect(outline(await recovered(journal, 1))).toEqual(['1-1', '2-2']);
      expect(damage).toEqual([]);
    }
  });

  test('[J5] a tail that is in two segments comes back once', async () => {
    const log = await writeLog([1, 2, 3]);
    const directory = await tempDir();
    await mkdir(join(directory, 'journal'));
    const first = join(directory, 'journal', FIRST_SEGMENT);
    await writeFile(first, log);
    await copyFile(first, join(directory, 'journal', '0000000000000002.log'));
    const { journal } = await openJournal(directory);
    expect(outline(await recovered(journal, 1))).toEqual(['1-1', '2-2', '3-3']);
    await journal.close();
  });
});

async function openJournal(
  directory: string,
  options: Partial<FileJournalOptions> = {},
): Promise<{ journal: FileJournal; damage: JournalDamage[]; directory: string }> {
  const damage: JournalDamage[] = [];
  const onDamage = (found: JournalDamage) => damage.push(found);
  const journal = await FileJournal.open(directory, { compression: NODE_COMPRESSION, onDamage, ...options });
  return { journal, damage, directory };
}

/** A journal that finds `log` as its only segment. */
async function openLog(log: Uint8Array) {
  const directory = await tempDir();
  await mkdir(join(directory, 'journal'));
  await writeFile(join(directory, 'journal', FIRST_SEGMENT), log);
  return await openJournal(directory);
}

/** The log of a journal to which blocks of recording 1 were appended. */
async function writeLog(seqs: readonly number[]): Promise<Uint8Array> {
  const { journal, directory } = await openJournal(await tempDir());
  for (const seq of seqs) await append(journal, 1, seq).stable;
  await journal.close();
  return await readFile(join(directory, 'journal', FIRST_SEGMENT));
}

function append(journal: FileJournal, id: number, seq: number) {
  return journal.append(recordingId(id), plainBlock(id, seq), seq);
}

function blockEnds(seqs: readonly number[]): number[] {
  let end = 0;
  return seqs.map((seq) => {
    end += plainBlock(1, seq).length;
    return end;
  });
}

async function segments(directory: string): Promise<number[]> {
  const names = await readdir(join(directory, 'journal'));
  return names.filter((name) => name.endsWith('.log')).map((name) => Number.parseInt(name, 16));
}

async function marks(directory: string): Promise<string[]> {
  return (await readdir(join(directory, 'journal'))).filter((name) => name.endsWith('.finished'));
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
