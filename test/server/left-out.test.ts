import { join } from 'node:path';
import { NODE_COMPRESSION, NODE_FILES } from '@gametape/server';
import { RecordingReader } from '@gametape/shared';
import { expect, test } from 'vitest';
import { writeRecording } from '../../server/dist/recording/write-recording.js';
import { diskError, FailingFiles } from '../support/failing-files.ts';
import { HandRoom, recoverHere } from '../support/hand-room.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

// Of ann two events are in the journal, and six more that recovery left out. She is away while the room ends. (seed 8526)

const REASON = 'damaged in the journal';

async function cutRoom(files?: FailingFiles) {
  const dataDir = await tempDir();
  const hand = await HandRoom.open(dataDir, files);
  const ann = hand.join('ann', 'a');
  ann.record('waved');
  await hand.room.output.stable();
  const { seat } = ann;
  seat.leftOut = 8;
  // The second one opens with how the room stood by the first.
  for (let seals = 0; seals < 2; seals++) await hand.room.output.trySealStanding();
  const end = { endedAt: 1, expected: [['ann', null]] as const };
  return { hand, dataDir, seat, end };
}

test('[W3] [W6] what a room ends without is in its last block, and she who comes back too late is not told that it is kept', async () => {
  const { hand, dataDir, seat, end } = await cutRoom();
  expect(seat.accepted).toBe(2);
  const leftOut = hand.room.leftOut();
  expect(leftOut).toEqual({ producers: [], gaps: [{ producer: 0, firstPseq: 3, lastPseq: 8, reason: REASON }] });
  await (await hand.room.output.seal({ end, ...leftOut })).stable;
  expect([seat.accepted, seat.stable]).toEqual([2, 2]);
  const target = join(dataDir, 'a.lmsp');
  await writeRecording({ sealed: await hand.journal.sealed(hand.room.recordingId), target, formats: 'binary', end });
  const reader = await RecordingReader.open(await NODE_FILES.read(target), NODE_COMPRESSION);
  expect(reader.summary?.players).toEqual([expect.objectContaining({ id: 'ann', gaps: [[3, 8]] })]);
  await hand.journal.close();
});

test('[J4] [W6] a relay that dies before that block is there has stated nothing: she may send them again', async () => {
  const files = new FailingFiles();
  const { hand, dataDir, end } = await cutRoom(files);
  files.onCall = (call, _, path) => {
    if (call === 'writev' && path.endsWith('.lmsp')) throw diskError('ENOSPC');
  };
  const sealing = hand.room.output.seal({ end, ...hand.room.leftOut() });
  const isStopped = expect(sealing).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
  await waitFor('the seal to fail', () => hand.room.output.sealFault !== undefined);
  const { start, end: isOver } = await recoverHere(dataDir);
  expect(isOver).toBeUndefined();
  expect(start.gaps).toBe(0);
  expect(start.producers).toEqual([
    expect.objectContaining({ leftOut: 8, context: expect.objectContaining({ pseq: 2 }) }),
  ]);
  hand.room.output.stop();
  await isStopped;
  await hand.journal.close();
});

test('[J4] [W6] who had said all before a relay dies that was about to finish need not come back to say it again', async () => {
  const dataDir = await tempDir();
  const hand = await HandRoom.open(dataDir);
  const ann = hand.join('ann', 'x');
  const bob = hand.join('bob', 'x');
  hand.join('cat', 'x');
  hand.room.relayEvents.leave(ann.seat, 'ended');
  hand.room.relayEvents.leave(bob.seat, 'dropped');
  hand.room.relayEvents.checkpoint('after it');
  await hand.room.output.stable();
  const { start } = await recoverHere(dataDir);
  expect(start.producers.map(({ isPresent, expected }) => [isPresent, expected])).toEqual([
    [false, 1],
    [false, null],
    [true, null],
  ]);
  await hand.journal.close();
});
