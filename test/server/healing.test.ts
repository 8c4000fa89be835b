import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileJournal, NODE_COMPRESSION } from '@gametape/server';
import { BLOCK_HEADER_BYTES, isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { outline, recovered } from '../contracts/journal-contract.ts';
import { diskError, FailingFiles } from '../support/failing-files.ts';
import { HandRoom, recoverHere } from '../support/hand-room.ts';
import { tempDir } from '../support/temp-dir.ts';
import { plainBlock, recordBlock, recordingId } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

const isFailure = (error: unknown) => isGametapeError(error, 'JOURNAL_FAILED');

describe('a log that has failed', () => {
  test.each(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'])(
    '[J5] %s: takes entries again when the disk does, and what it refused never comes back',
    async (code) => {
      const files = new FailingFiles();
      const { journal, directory } = await openJournal(files);
      await append(journal, 1).stable;
      // The first block of the write gets there whole, and nobody is told so.
      files.maxWriteBytes = plainBlock(1, 2).length;
      let writes = 0;
      files.onCall = (call) => {
        if (call === 'create' || (call === 'writev' && ++writes > 1)) throw diskError(code);
      };
      const refused = [append(journal, 2), append(journal, 3)];
      for (const { accepted } of refused) await expect(accepted).rejects.toSatisfy(isFailure);
      expect(journal.failed?.message).toContain(code);
      await expect(append(journal, 2).accepted).rejects.toSatisfy(isFailure);
      files.onCall = () => {};
      files.maxWriteBytes = Number.POSITIVE_INFINITY;
      await waitFor('the journal to heal', () => journal.failed === undefined);
      expect(outline(await recovered(journal, 1))).toEqual(['1-1']);
      // Another block under the same number.
      const other = recordBlock(1, 'other');
      await journal.append(recordingId(1), plainBlock(1, 2, 3), 4).stable;
      await journal.append(recordingId(1), other, 4).stable;
      const { journal: after } = await openJournal(new FailingFiles(), directory);
      const blocks = await recovered(after, 1);
      expect(outline(blocks)).toEqual(['1-1', '2-4', '0-0']);
      expect(
        Buffer.from(other)
          .subarray(BLOCK_HEADER_BYTES)
          .equals(blocks[2]?.stored ?? Buffer.alloc(0)),
      ).toBe(true);
      await after.close();
      await journal.close();
    },
  );

  test('[J5] it does not heal while the disk takes nothing, and a stop does not wait for it', async () => {
    const files = new FailingFiles();
    const { journal } = await openJournal(files);
    files.onCall = (call) => {
      if (call === 'writev') throw diskError('ENOSPC');
    };
    await expect(append(journal, 1).accepted).rejects.toSatisfy(isFailure);
    const { writev } = files.counts;
    await waitFor('two looks at the disk', () => files.counts.writev >= writev + 2);
    expect(isFailure(journal.failed)).toBe(true);
    await expect(journal.close()).rejects.toSatisfy(isFailure);
  });

  test('[J5] accepted blocks whose sync failed are there for whoever comes back, in order and once', async () => {
    const files = new FailingFiles();
    const { journal, directory } = await openJournal(files);
    files.onCall = (call) => {
      if (call === 'datasync') throw diskError('EIO');
    };
    const [first, second] = [append(journal, 1), append(journal, 2)];
    await first.accepted;
    await expect(second.stable).rejects.toSatisfy(isFailure);
    files.onCall = () => {};
    await waitFor('the journal to heal', () => journal.failed === undefined);
    expect(outline(await recovered(journal, 1))).toEqual(['1-1', '2-2']);
    await journal.seal(recordingId(1), plainBlock(1, 1, 2), 2);
    await append(journal, 3).stable;
    const { journal: after } = await openJournal(new FailingFiles(), directory);
    expect(outline(await recovered(after, 1))).toEqual(['sealed 1-2', '3-3']);
    await after.close();
    await journal.close();
    expect(await segments(directory)).toHaveLength(1);
  });

  test('a probe that a kill has left goes with the next start', async () => {
    const { journal, directory } = await openJournal(new FailingFiles());
    await journal.close();
    await writeFile(join(directory, 'journal', 'probe'), new Uint8Array(1_000));
    const { journal: after } = await openJournal(new FailingFiles(), directory);
    expect(await readdir(join(directory, 'journal'))).toEqual([]);
    await after.close();
  });
});

describe('segments', () => {
  test('[J5] one that cannot be followed goes on, and is followed when it can be', async () => {
    const files = new FailingFiles();
    const { journal, directory } = await openJournal(files, undefined, { segmentBytes: 1 });
    files.onCall = (call) => {
      if (call === 'create' && files.counts.create > 1) throw diskError('EMFILE');
    };
    for (const seq of [1, 2, 3]) await append(journal, seq).stable;
    expect(await segments(directory)).toHaveLength(1);
    files.onCall = () => {};
    let seq = 4;
    await waitFor('the next segment', async () => {
      await append(journal, seq++).stable;
      return (await segments(directory)).length > 1;
    });
    expect(outline(await recovered(journal, 1))).toHaveLength(seq - 1);
    await journal.close();
  });

  test('[J1] a slow sync of a full segment holds back no write into the next', async () => {
    const files = new FailingFiles();
    const { journal, directory } = await openJournal(files, undefined, { segmentBytes: 1 });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    files.onCall = (call) => (call === 'datasync' ? held : undefined);
    const appended = [append(journal, 1)];
    await appended[0]?.accepted;
    await waitFor('the first sync', () => files.counts.datasync === 1);
    for (const seq of [2, 3, 4]) {
      appended.push(append(journal, seq));
      await appended.at(-1)?.accepted;
    }
    expect(await segments(directory)).toHaveLength(4);
    release();
    await Promise.all(appended.map(({ stable }) => stable));
    // The segment of each was synced.
    expect(files.counts.datasync).toBeGreaterThanOrEqual(4);
    await journal.close();
  });
});

describe('a seal that fails', () => {
  test('[J5] is tried again while the room goes on, and everything is there once', async () => {
    const files = new FailingFiles();
    const dataDir = await tempDir();
    const hand = await HandRoom.open(dataDir, files);
    const player = hand.join('a', '');
    files.onCall = sealsFail('EMFILE');
    const sealing: Promise<void>[] = [];
    for (let round = 1; round <= 4; round++) {
      player.type(`${round}`);
      sealing.push(hand.seal());
      await hand.room.output.stable();
      expect(player.seat.stable).toBe(player.pseq);
      await waitFor('the seal to fail', () => hand.room.output.sealFault);
      expect([hand.room.output.failure, hand.room.output.sealFault?.message]).toEqual([
        undefined,
        expect.stringContaining('EMFILE'),
      ]);
    }
    files.onCall = () => {};
    await Promise.all(sealing);
    expect(hand.room.output.sealFault).toBeUndefined();
    const journal = join(dataDir, 'journal');
    expect((await readFile(join(journal, `${recordingId(1)}.lmsp`))).length).toBeGreaterThan(0);
    await hand.journal.close();
    // All of it is sealed: the log is of no more use.
    expect(await readdir(journal)).toEqual([`${recordingId(1)}.lmsp`]);
    const { start } = await recoverHere(dataDir);
    expect(start.producers[0]?.context.state.get('text')).toBe('1234');
    expect(start.events).toBe(hand.room.recording.events);
  });

  test('[J5] the room is read-only once more waits to be sealed than memory may hold, and says why', async () => {
    const files = new FailingFiles();
    const hand = await HandRoom.open(await tempDir(), files);
    const player = hand.join('a', '');
    files.onCall = sealsFail('EDQUOT');
    player.type('x');
    const sealing = hand.seal();
    await waitFor('the seal to fail', () => hand.room.output.sealFault);
    // What other rooms have waiting.
    hand.backlog.bytes += 64 * 1024 * 1024;
    player.type('y');
    await expect(hand.room.output.flushed()).rejects.toSatisfy(isFailure);
    await expect(sealing).rejects.toSatisfy(isFailure);
    expect(hand.failures.map(({ message }) => message)).toEqual([
      expect.stringMatching(/arena: too much waits to be sealed: .*EDQUOT/),
    ]);
    // What was accepted before is in the log.
    expect(player.seat.accepted).toBe(player.pseq - 1);
    await hand.journal.close();
  });

  test('[J5] of a recovered room: nothing of it is called stable before it is sealed', async () => {
    const dataDir = await tempDir();
    const before = await HandRoom.open(dataDir);
    const player = before.join('a', '');
    player.type('x');
    await before.room.output.flushed();
    await before.journal.close();
    const files = new FailingFiles();
    files.onCall = sealsFail('EIO');
    const hand = await HandRoom.recover(dataDir, files);
    const sealing = hand.room.output.seal();
    await waitFor('the seal to fail', () => hand.room.output.sealFault);
    hand.room.relayEvents.setPaused(true);
    await hand.room.output.flushed();
    const [seat] = hand.room.seats.all;
    expect([seat?.accepted, seat?.stable]).toEqual([player.pseq, 0]);
    const stable = hand.room.output.stable();
    files.onCall = () => {};
    await (await sealing).stable;
    await stable;
    expect(seat?.stable).toBe(player.pseq);
    await hand.journal.close();
  });

  test('[J5] what has long not been sealed comes back in blocks that readers take', async () => {
    const files = new FailingFiles();
    const dataDir = await tempDir();
    const hand = await HandRoom.open(dataDir, files);
    const player = hand.join('a', '');
    files.onCall = sealsFail('EIO');
    const text = 'x'.repeat(32 * 1024);
    for (let i = 0; i < 40; i++) {
      player.record('said', { text, i });
      await hand.room.output.flushed();
    }
    hand.room.output.stop();
    await hand.journal.close();
    const { start } = await recoverHere(dataDir);
    const { closed, rest } = start.journal.sealing ?? {};
    const blocks = closed ?? [];
    expect(blocks.length).toBeGreaterThanOrEqual(3);
    for (const { bytes } of blocks) expect(bytes.length).toBeLessThan(400 * 1024);
    expect(rest?.entries).toBeLessThan(40);
    const again = await HandRoom.recover(dataDir);
    await (await again.room.output.seal()).stable;
    await again.journal.close();
    const { start: last } = await recoverHere(dataDir);
    expect([last.events, last.headSeq]).toEqual([start.events, start.headSeq]);
    expect(await readdir(join(dataDir, 'journal'))).toEqual([`${recordingId(1)}.lmsp`]);
  });
});

/** Nothing of a room's own file can be opened, not to be written. */
function sealsFail(code: string): FailingFiles['onCall'] {
  return (call, _count, path) => {
    if (call === 'open' && path.endsWith('.lmsp')) throw diskError(code);
  };
}

async function openJournal(files: FailingFiles, place?: string, options: { segmentBytes?: number } = {}) {
  const directory = place ?? (await tempDir());
  const all = { compression: NODE_COMPRESSION, onDamage: () => {}, files, syncIntervalMs: 0, ...options };
  return { journal: await FileJournal.open(directory, all), directory };
}

function append(journal: FileJournal, seq: number) {
  return journal.append(recordingId(1), plainBlock(1, seq), seq);
}

async function segments(directory: string): Promise<string[]> {
  return (await readdir(join(directory, 'journal'))).filter((name) => name.endsWith('.log'));
}
