import { cp, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@gametape/client-sdk';
import type { JournalDamage } from '@gametape/server';
import { BytesSource, FILE_HEADER_BYTES, type RecordingReader } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { scanLog } from '../../server/dist/journal/log-scan.js';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';
import type { RecoveredRoom } from '../../server/dist/room/room-recovery.js';
import { HandRoom, openJournal, recoverHere } from '../support/hand-room.ts';
import { TestRelay } from '../support/relay.ts';
import { tempDir } from '../support/temp-dir.ts';
import { arrive, plainBlock, recordingId, sealedBlocks, typedSession } from '../support/typed-session.ts';
import { waitFor } from '../support/wait-for.ts';

describe('recovery reads the end', () => {
  test('[J3] it is the same room when everything but the last minutes is gone', async () => {
    const dataDir = await longRoom();
    const whole = await recoverHere(await copyOf(dataDir));
    const damage: JournalDamage[] = [];
    const spans = await blocksOf(sealedFile(dataDir));
    expect(spans.length).toBeGreaterThan(20);
    const from = spans[1]?.offset ?? 0;
    const to = spans.at(-6)?.offset ?? 0;
    await overwrite(sealedFile(dataDir), from, to - from);
    const rest = await recoverHere(dataDir, damage);
    // Nobody has looked there, so nobody has seen the damage.
    expect(damage).toEqual([]);
    expect(outline(rest)).toEqual(outline(whole));
    expect(whole.start.checkpoints.size).toBe(10);
    expect(whole.start.playClock.past).toHaveLength(5);
  });

  test('[J3] a newest sealed block that is damaged falls back to the one before it', async () => {
    const dataDir = await tempDir();
    const hand = await HandRoom.open(dataDir);
    const ann = hand.join('ann', '');
    for (let i = 0; i < 12; i++) {
      ann.type(`<${i}>`);
      await hand.seal();
    }
    await hand.journal.close();
    const [last] = (await blocksOf(sealedFile(dataDir))).slice(-1);
    await overwrite(sealedFile(dataDir), (last?.offset ?? 0) + 200, 1);
    const damage: JournalDamage[] = [];
    const { start, cut } = await recoverHere(dataDir, damage);
    expect(damage.map(({ offset }) => offset)).toEqual([last?.offset]);
    expect(start.producers[0]?.context.state.get('text')).toBe(texts(11));
    // The log had nothing of it any more: its player is asked for what it still has.
    expect([start.producers[0]?.context.pseq, cut]).toEqual([12, []]);
  });

  test('[J3] what the log has after the newest sealed block comes back with it', async () => {
    const dataDir = await tempDir();
    const hand = await HandRoom.open(dataDir);
    const ann = hand.join('ann', '');
    for (let i = 0; i < 12; i++) {
      ann.type(`<${i}>`);
      if (i < 9) await hand.seal();
    }
    await hand.room.output.stable();
    const { start } = await recoverHere(await copyOf(dataDir));
    expect(start.producers[0]?.context.state.get('text')).toBe(texts(12));
    expect(start.headSeq).toBe(hand.room.recording.headSeq);
    await hand.journal.close();
  });

  test('[J4] [J6] events lost from the log are left to be sent again, with those of the same producer after them', async () => {
    const dataDir = await tempDir();
    const hand = await HandRoom.open(dataDir);
    const ann = hand.join('ann', 'x');
    const bob = hand.join('bob', 'y');
    await hand.seal();
    for (let i = 0; i < 4; i++) {
      ann.type(`<${i}>`);
      if (i === 2) bob.type('z');
      await hand.room.output.stable();
    }
    await hand.journal.close();
    const log = join(dataDir, 'journal', '0000000000000001.log');
    const spans = await blocksOf(log, 0);
    await overwrite(log, (spans.at(-3)?.offset ?? 0) + 100, 1);
    const damage: JournalDamage[] = [];
    const { start, cut } = await recoverHere(dataDir, damage);
    expect(damage).toHaveLength(1);
    // <1> is damaged, and <2> and <3> are relative to it: bob's event between them is not.
    expect(cut).toEqual(['ann']);
    expect(start.producers.map(({ context }) => context.pseq)).toEqual([2, 2]);
    expect(start.producers.map(({ context }) => context.state.get('text'))).toEqual(['x<0>', 'yz']);
    expect(start.producers.map(({ needsKeyframe }) => needsKeyframe)).toEqual([false, false]);
    expect(start.gaps).toBe(0);
    expect(start.producers.map(({ leftOut }) => leftOut)).toEqual([5, 0]);
    // Twice, so that it is read from where the room was sealed again.
    const relay = await TestRelay.start({ dataDir, dropGraceMs: 60_000 });
    for (const word of ['one', 'two']) {
      const carl = await connect({ url: relay.wsUrl, room: 'arena', player: 'carl', profile: 'json' });
      carl.say(word);
      await carl.leave();
      await relay.restart();
    }
    await relay.stop();
    const last = await TestRelay.start({ dataDir, dropGraceMs: 10, idleFinishMs: 10 });
    const id = recordingId(1);
    await waitFor('the recording', async () => (await last.get(`/v1/recordings/${id}`)).ok);
    const { summary, states } = await last.recording(id);
    expect(summary.complete).toBe(false);
    expect(summary.players.map((player) => [player.id, player.received, player.gaps])).toEqual([
      ['ann', 2, [[3, 5]]],
      ['bob', 2, []],
      ['carl', 2, []],
    ]);
    expect([...states.values()]).toEqual([{ text: 'x<0>' }, { text: 'yz' }, {}]);
  });

  test('[R5] a recording of before there were room records is read from its start', async () => {
    const dataDir = await tempDir();
    const session = typedSession({ players: 2, events: 40 });
    const { blocks, contexts } = sealedBlocks(session, arrive(session.entries.flat()), 8);
    const journal = await openJournal(dataDir);
    for (const { bytes, lastSeq } of blocks) await journal.seal(session.meta.recordingId, bytes, lastSeq);
    await journal.close();
    const { start } = await recoverHere(dataDir);
    expect(start.events).toBe(80);
    expect(start.producers.map(({ context }) => context.state.toJson())).toEqual(
      contexts.map(({ state }) => state.toJson()),
    );
  });

  test('[S4] blocks that somebody put into an event are not taken for blocks of the file', async () => {
    const dataDir = await tempDir();
    const journal = await openJournal(dataDir);
    const session = typedSession({ players: 1, events: 20 });
    const entries = arrive(session.entries[0] ?? []);
    const fake = plainBlock(1, 500);
    const body = Uint8Array.from([...(entries[19]?.body ?? []), ...fake]);
    const forged = entries.map((entry, i) => (i === 19 ? { ...entry, body } : entry));
    const { blocks } = sealedBlocks({ ...session, producers: [] }, forged, 5);
    for (const { bytes, lastSeq } of blocks) await journal.seal(session.meta.recordingId, bytes, lastSeq);
    await journal.close();
    const again = await openJournal(dataDir);
    const seqs: number[] = [];
    for await (const { header } of again.recover(recordingId(1), () => true))
      seqs.push(header.firstSeq, header.lastSeq);
    expect(seqs).toEqual([16, 20]);
    expect((await stat(sealedFile(dataDir))).size).toBe(
      FILE_HEADER_BYTES + blocks.reduce((sum, { bytes }) => sum + bytes.length, 0),
    );
    await again.close();
  });
});

describe('damage further back', () => {
  test('[J6] is set aside and stated when the recording is finished', async () => {
    const dataDir = await longRoom();
    const spans = await blocksOf(sealedFile(dataDir));
    const damaged = spans[4];
    await overwrite(sealedFile(dataDir), (damaged?.offset ?? 0) + 150, 1);
    const relay = await TestRelay.start({ dataDir, dropGraceMs: 20, idleFinishMs: 20 });
    const recording = await finishedRecording(relay);
    expect(recording.summary.complete).toBe(false);
    const gaps = recording.summary.players.flatMap(({ gaps }) => gaps);
    expect(gaps.length).toBeGreaterThan(0);
    const name = `${recordingId(1)}.lmsp.${damaged?.offset}-${(damaged?.offset ?? 0) + (damaged?.length ?? 0)}`;
    expect((await stat(join(dataDir, 'journal', 'damaged', name))).size).toBe(damaged?.length);
  });
});

async function finishedRecording(relay: TestRelay): Promise<{ summary: NonNullable<RecordingReader['summary']> }> {
  await waitFor('the recording', async () => (await relay.get(`/v1/recordings/${recordingId(1)}`)).ok);
  return await relay.recording(recordingId(1));
}

/** An hour and more with all that a room can have been through, left without a close. */
async function longRoom(): Promise<string> {
  const dataDir = await tempDir();
  const hand = await HandRoom.open(dataDir);
  const ann = hand.join('ann', 'a');
  const bob = hand.join('bob', 'b');
  const gone = hand.join('gone', 'g');
  for (let i = 0; i < 50; i++) {
    ann.type(`a${i}`);
    bob.type(`b${i}`);
    if (i === 3) {
      gone.seat.expected = gone.pseq;
      gone.seat.presence = 'gone';
      hand.room.relayEvents.leave(gone.seat, 'left');
    }
    if (i % 5 === 0) ann.record('checkpoint', { name: `c${i}` });
    if (i % 10 === 2) bob.record('speed_change', { speed: 0 });
    if (i % 10 === 3) bob.record('speed_change', { speed: 1 });
    if (i === 7) {
      hand.room.acceptGap(bob.seat, { kind: 'gap', firstPseq: bob.pseq + 1, lastPseq: bob.pseq + 3, reason: 'away' });
      bob.skip(3);
      bob.record('back', {}, { text: 'B' });
    }
    await hand.seal();
  }
  ann.type('the end');
  await hand.room.output.stable();
  await hand.journal.close();
  return dataDir;
}

function outline({ start, end, cut }: RecoveredRoom): unknown {
  const { meta, headSeq, checkpoints, playClock, events, gaps, producers, epochEnds } = start;
  return {
    meta,
    headSeq,
    checkpoints,
    // From wherever it was begun: what comes late is placed as if nothing had been lost (T6).
    playClock: playClock.told,
    events,
    gaps,
    epochEnds,
    end,
    cut,
    producers: producers.map(({ context, isPresent, firstSeq, expected, restarts, needsKeyframe }) => {
      const { player, instance, pseq, time, hlc, stamp, state } = context;
      const standing = { isPresent, firstSeq, expected, restarts, needsKeyframe };
      // Of who is gone only the numbers that others rely on: its state has no keyframe any more.
      return isPresent ? { player, instance, pseq, time, hlc, stamp, state: state.toJson(), ...standing } : standing;
    }),
  };
}

function texts(count: number): string {
  return Array.from({ length: count }, (_, i) => `<${i}>`).join('');
}

function sealedFile(dataDir: string): string {
  return join(dataDir, 'journal', `${recordingId(1)}.lmsp`);
}

async function blocksOf(path: string, from = FILE_HEADER_BYTES): Promise<{ offset: number; length: number }[]> {
  const source = new BytesSource(await readFile(path));
  const spans: { offset: number; length: number }[] = [];
  for await (const found of scanLog(source, from, await source.size(), NODE_COMPRESSION)) {
    if (found.kind === 'block') spans.push({ offset: found.offset, length: 92 + found.header.storedLength });
  }
  return spans;
}

async function overwrite(path: string, offset: number, length: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(new Uint8Array(length).fill(0xee), 0, length, offset);
  await file.close();
}

async function copyOf(dataDir: string): Promise<string> {
  const copy = await tempDir();
  await cp(dataDir, copy, { recursive: true });
  return copy;
}
