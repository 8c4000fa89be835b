import { readFile } from 'node:fs/promises';
import type { Journal, RecoveredBlock, SealedBlock } from '@gametape/server';
import { BytesSource, isGametapeError, RecordingReader } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { arrive, plainBlock, recordBlock, recordingId, sealedBlocks, typedSession } from '../support/typed-session.ts';

export interface JournalUnderTest {
  readonly name: string;
  /** What was appended is there again in a journal that is opened in the same place. */
  readonly survivesRestart: boolean;
  /** Where one test's journals live. */
  readonly place: () => Promise<string>;
  readonly open: (place: string) => Promise<Journal>;
}

/** What rooms rely on, whatever journal there is (J1 to J7). */
export function describeJournal({ name, survivesRestart, place, open }: JournalUnderTest): void {
  describe(`the ${name} journal`, () => {
    test('[J1] an append is accepted, then stable', async () => {
      const journal = await opened(open(await place()));
      const order: string[] = [];
      const { accepted, stable } = journal.append(recordingId(1), plainBlock(1, 1), 1);
      await Promise.all([accepted.then(() => order.push('accepted')), stable.then(() => order.push('stable'))]);
      expect(order).toEqual(['accepted', 'stable']);
      await journal.close();
    });

    test('[J1] appended blocks come back whole and in order, each recording on its own', async () => {
      const journal = await opened(open(await place()));
      const appended = [1, 2, 3, 4].flatMap((seq) => [1, 2].map((id) => ({ id, seq, block: plainBlock(id, seq) })));
      await Promise.all(appended.map(({ id, seq, block }) => journal.append(recordingId(id), block, seq).stable));
      for (const id of [1, 2]) {
        const blocks = await recovered(journal, id);
        expect(blocks.map(({ header }) => [header.recordingId, header.lastSeq])).toEqual(
          [1, 2, 3, 4].map((seq) => [recordingId(id), seq]),
        );
        for (const [i, { stored }] of blocks.entries()) {
          expect(
            Buffer.from(plainBlock(id, i + 1))
              .subarray(-stored.length)
              .equals(stored),
          ).toBe(true);
        }
      }
      await journal.close();
    });

    test('[J3] recovery gives the sealed blocks, then what was appended after them', async () => {
      const journal = await opened(open(await place()));
      for (const seq of [1, 2, 3]) await journal.append(recordingId(1), plainBlock(1, seq), seq).accepted;
      await journal.seal(recordingId(1), plainBlock(1, 1, 2), 2);
      await journal.append(recordingId(1), plainBlock(1, 4), 4).accepted;
      expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-2', '3-3', '4-4']);
      await journal.close();
    });

    test('[J3] recovery may start from the newest sealed block that is good enough', async () => {
      const journal = await opened(open(await place()));
      const session = typedSession({ players: 1, events: 20 });
      const { blocks } = sealedBlocks(session, arrive(session.entries[0] ?? []), 4);
      for (const { bytes, lastSeq } of blocks) await journal.seal(session.meta.recordingId, bytes, lastSeq);
      await journal.append(session.meta.recordingId, plainBlock(1, 21), 21).accepted;
      const asked: number[] = [];
      const found: RecoveredBlock[] = [];
      const isStart = ({ header }: RecoveredBlock) => {
        asked.push(header.firstSeq);
        return header.firstSeq <= 10;
      };
      for await (const block of journal.recover(session.meta.recordingId, isStart)) found.push(block);
      expect(asked).toEqual([17, 13, 9]);
      expect(outline(found)).toEqual(['sealed 9-12', 'sealed 13-16', 'sealed 17-20', '21-21']);
      const all: RecoveredBlock[] = [];
      for await (const block of journal.recover(session.meta.recordingId, () => false)) all.push(block);
      expect(outline(all)).toHaveLength(6);
      await journal.close();
    });

    test('[J4] a block without entries stays until a later entry is sealed', async () => {
      const journal = await opened(open(await place()));
      await journal.append(recordingId(1), plainBlock(1, 1), 1).accepted;
      await journal.append(recordingId(1), recordBlock(1, 'late'), 1).accepted;
      await journal.seal(recordingId(1), plainBlock(1, 1), 1);
      expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', '0-0']);
      await journal.append(recordingId(1), plainBlock(1, 2), 2).accepted;
      await journal.seal(recordingId(1), plainBlock(1, 2), 2);
      expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', 'sealed 2-2']);
      await journal.close();
    });

    test('[J4] what is appended while a seal is on its way is not let go of', async () => {
      const journal = await opened(open(await place()));
      await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
      const sealing = journal.seal(recordingId(1), plainBlock(1, 1), 1);
      await journal.append(recordingId(1), plainBlock(1, 2), 2).accepted;
      await (await sealing).stable;
      expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-1', '2-2']);
      await journal.close();
    });

    test('[R1] the sealed blocks are a recording that a reader opens', async () => {
      const journal = await opened(open(await place()));
      const session = typedSession({ players: 1, events: 20 });
      const { blocks } = sealedBlocks(session, arrive(session.entries[0] ?? []), 8);
      for (const { bytes, lastSeq } of blocks) await journal.seal(session.meta.recordingId, bytes, lastSeq);
      const sealed = await journal.sealed(session.meta.recordingId);
      const bytes = sealed.kind === 'bytes' ? sealed.bytes : await readFile(sealed.path);
      const reader = await RecordingReader.open(new BytesSource(bytes));
      expect(reader.blocks.map(({ entries }) => entries)).toEqual([8, 8, 4]);
      expect(reader.meta).toEqual(session.meta);
      await journal.close();
    });

    test('[V1] sealed blocks are listed by their headers, and read one by one', async () => {
      const journal = await opened(open(await place()));
      const session = typedSession({ players: 1, events: 20 });
      const { blocks } = sealedBlocks(session, arrive(session.entries[0] ?? []), 4);
      const { recordingId: id } = session.meta;
      expect(await listed(journal, id)).toEqual([]);
      const [first, second, ...others] = blocks;
      for (const block of [first, second]) if (block) await journal.seal(id, block.bytes, block.lastSeq);
      const some = await listed(journal, id);
      expect(some.map(({ header }) => header.lastSeq)).toEqual([4, 8]);
      for (const { bytes, lastSeq } of others) await journal.seal(id, bytes, lastSeq);
      await journal.seal(id, recordBlock(1, 'no entries'), 20);
      await journal.append(id, plainBlock(1, 21), 21).accepted;
      const later = await listed(journal, id, some.at(-1));
      expect(later.map(({ header }) => header.lastSeq)).toEqual([12, 16, 20]);
      const all = [...some, ...later];
      expect((await listed(journal, id)).map(({ place }) => place)).toEqual(all.map(({ place }) => place));
      for (const [i, block] of all.entries()) {
        expect(Buffer.compare(await journal.readSealed(block), blocks[i]?.bytes ?? Buffer.of())).toBe(0);
      }
      const gone = (error: unknown) => isGametapeError(error, 'NOT_FOUND');
      const [one, other] = all as [SealedBlock, SealedBlock];
      await expect(journal.readSealed({ header: one.header, place: other.place })).rejects.toSatisfy(gone);
      await journal.discard(id);
      expect(await listed(journal, id)).toEqual([]);
      await expect(journal.readSealed(one)).rejects.toSatisfy(gone);
      await journal.close();
    });

    test('a recording of which nothing is sealed has no sealed blocks', async () => {
      const journal = await opened(open(await place()));
      await journal.append(recordingId(1), plainBlock(1, 1), 1).stable;
      await expect(journal.sealed(recordingId(1))).rejects.toSatisfy((error) => isGametapeError(error, 'NOT_FOUND'));
      await journal.close();
    });

    test('a discarded recording is forgotten, and others are not', async () => {
      const journal = await opened(open(await place()));
      for (const id of [1, 2]) await journal.append(recordingId(id), plainBlock(id, 1), 1).accepted;
      await journal.seal(recordingId(1), plainBlock(1, 1), 1);
      await journal.discard(recordingId(1));
      expect(await recovered(journal, 1)).toEqual([]);
      expect(outline(await recovered(journal, 2))).toEqual(['1-1']);
      await journal.close();
    });

    test('[S1] only a recording id becomes part of a path', async () => {
      const journal = await opened(open(await place()));
      const bad = (error: unknown) => isGametapeError(error, 'BAD_ID');
      expect(() => journal.append('../x', plainBlock(1, 1), 1)).toThrow(expect.toSatisfy(bad));
      await expect(journal.seal('../x', plainBlock(1, 1), 1)).rejects.toSatisfy(bad);
      await journal.close();
    });

    test('[J7] close makes everything stable, and nothing is taken afterwards', async () => {
      const journal = await opened(open(await place()));
      const { stable } = journal.append(recordingId(1), plainBlock(1, 1), 1);
      await journal.close();
      await stable;
      const late = journal.append(recordingId(1), plainBlock(1, 2), 2);
      const failed = (error: unknown) => isGametapeError(error, 'JOURNAL_FAILED');
      await expect(late.accepted).rejects.toSatisfy(failed);
      await expect(late.stable).rejects.toSatisfy(failed);
      await expect(journal.seal(recordingId(1), plainBlock(1, 1), 1)).rejects.toSatisfy(failed);
    });

    describe.skipIf(!survivesRestart)('after a restart (skipped where nothing survives one)', () => {
      test('[J4] everything accepted is there once, although nothing was closed', async () => {
        const where = await place();
        const before = await opened(open(where));
        for (const seq of [1, 2, 3, 4]) await before.append(recordingId(1), plainBlock(1, seq), seq).accepted;
        await before.append(recordingId(2), plainBlock(2, 1), 1).accepted;
        await before.seal(recordingId(1), plainBlock(1, 1, 2), 2);
        const after = await open(where);
        expect(await taken(after)).toEqual([recordingId(1), recordingId(2)]);
        expect(outline(await recovered(after, 1))).toEqual(['sealed 1-2', '3-3', '4-4']);
        expect(outline(await recovered(after, 2))).toEqual(['1-1']);
        await after.close();
        await before.close();
      });

      test('[J4] the same recording goes on, over many restarts', async () => {
        const where = await place();
        for (let seq = 1; seq <= 5; seq++) {
          const journal = await opened(open(where));
          await journal.append(recordingId(1), plainBlock(1, seq), seq).stable;
          if (seq === 3) await journal.seal(recordingId(1), plainBlock(1, 1, 3), 3);
          await journal.close();
        }
        const journal = await opened(open(where));
        expect(outline(await recovered(journal, 1))).toEqual(['sealed 1-3', '4-4', '5-5']);
        await journal.close();
      });

      test('a discarded recording does not come back, although the log still holds blocks of it', async () => {
        const where = await place();
        const before = await opened(open(where));
        for (const id of [1, 2]) await before.append(recordingId(id), plainBlock(id, 1), 1).stable;
        await before.discard(recordingId(1));
        await before.close();
        const after = await open(where);
        expect(await taken(after)).toEqual([recordingId(2)]);
        expect(await recovered(after, 1)).toEqual([]);
        await after.close();
      });

      test('[V1] the sealed blocks are listed and read as before', async () => {
        const where = await place();
        const before = await opened(open(where));
        for (const seq of [1, 2, 3]) await before.seal(recordingId(1), plainBlock(1, seq), seq);
        await before.close();
        const after = await open(where);
        await taken(after);
        const blocks = await listed(after, recordingId(1));
        expect(blocks.map(({ header }) => header.lastSeq)).toEqual([1, 2, 3]);
        for (const block of blocks) {
          const bytes = await after.readSealed(block);
          expect(Buffer.compare(bytes, plainBlock(1, block.header.lastSeq))).toBe(0);
        }
        await after.close();
      });

      test('a recording is unfinished until it is discarded', async () => {
        const where = await place();
        const before = await opened(open(where));
        await before.seal(recordingId(1), plainBlock(1, 1), 1);
        expect(await taken(before)).toEqual([]);
        await before.close();
        const after = await open(where);
        expect(await taken(after)).toEqual([recordingId(1)]);
        expect(await taken(after)).toEqual([]);
        await after.discard(recordingId(1));
        await after.close();
        const last = await open(where);
        expect(await taken(last)).toEqual([]);
        await last.close();
      });
    });
  });
}

/** The journal, which owns the rooms that these tests write to. */
async function opened(opening: Promise<Journal>): Promise<Journal> {
  const journal = await opening;
  for (const id of [1, 2]) {
    await journal.claim(`room-${id}`);
    journal.begin(`room-${id}`, recordingId(id));
  }
  return journal;
}

/** What it takes over of those who were before it. */
async function taken(journal: Journal): Promise<string[]> {
  return (await journal.takeOver()).flatMap(({ unfinished }) => unfinished).sort();
}

/** All that recovery gives, as one list. */
export async function recovered(journal: Journal, id: number): Promise<RecoveredBlock[]> {
  const blocks: RecoveredBlock[] = [];
  for await (const block of journal.recover(recordingId(id))) blocks.push(block);
  return blocks;
}

async function listed(journal: Journal, id: string, after?: SealedBlock): Promise<SealedBlock[]> {
  const blocks: SealedBlock[] = [];
  for await (const block of journal.sealedBlocks(id, after)) blocks.push(block);
  return blocks;
}

export function outline(blocks: readonly RecoveredBlock[]): string[] {
  return blocks.map(({ header, sealed }) => `${sealed ? 'sealed ' : ''}${header.firstSeq}-${header.lastSeq}`);
}
