import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { SyncAnswers } from '../../server/dist/audience/sync-answers.js';
import { Turnstile } from '../../server/dist/turnstile.js';
import { HandRoom } from '../support/hand-room.ts';
import { HandSpectator } from '../support/hand-spectator.ts';
import { type Synced, statesOf } from '../support/room-past.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const SECOND_US = 1_000_000;
const DELAYED = { spectatorDelayMs: 1_000 };
/** For what has to happen before anything is due, also on a machine that stands still for a while. */
const LONG_DELAYED = { spectatorDelayMs: 4_000 };

describe('a room that is shown with a delay, and has more to show than may wait in memory', () => {
  test('[V2] it is hidden until that is due, and then everybody goes on from there', async () => {
    const { room, ann } = await started();
    const { audience, output } = room.room;
    const early = await watching(room);
    await waitFor('the start', () => textShown(early) === 'at the start');
    await sayMuch(room, ann, 'hidden');
    ann.record('last', {}, { text: 'hidden mark' });
    await output.flushed();
    const midway = new HandSpectator();
    await audience.join(midway.receiver, undefined);
    room.clock.nowUs += 0.9 * SECOND_US;
    for (const one of [early, midway]) expect(textShown(one)).toBe('at the start');
    const { headSeq, tail } = await syncOf(room);
    expect([headSeq, tail?.lastSeq]).toEqual([2, 2]);
    expect(early.welcomes).toHaveLength(1);
    room.clock.nowUs += SECOND_US;
    for (const one of [early, midway]) {
      await waitFor('what was hidden', () => textShown(one) === 'hidden mark');
      expect(one.welcomes.map(({ resumption }) => resumption)).toEqual(['new', 'reset']);
    }
    ann.record('later', {}, { text: 'later' });
    await output.flushed();
    room.clock.nowUs += 2 * SECOND_US;
    for (const one of [early, midway]) await waitFor('what comes later', () => textShown(one) === 'later');
  });

  test('[V2] with more of it in every second than may wait, it is shown again and again, each time as it was a second ago', async () => {
    const { room, ann } = await started();
    const one = await watching(room);
    const shown: unknown[] = [];
    for (const [text, seconds] of [
      ['one', 0.4],
      ['two', 0.2],
      ['three', 0.6],
      ['four', 0.5],
      ['five', 1.1],
    ] as const) {
      await sayMuch(room, ann, text);
      // A timer comes when it comes: what is due is shown by the time that it has.
      await expectSame(room, one);
      room.clock.nowUs += seconds * SECOND_US;
      const due = { one: 'at the start', two: 'at the start', three: 'one', four: 'three', five: 'five' }[text];
      await waitFor(`"${due}" after "${text}"`, () => textShown(one) === due);
      shown.push(textShown(one));
      await expectSame(room, one);
    }
    expect(shown).toEqual(['at the start', 'at the start', 'one', 'three', 'five']);
  });

  test('[V1] its past can be asked for while it is hidden, also where what is shown ends with a block', async () => {
    const { room, ann } = await started();
    const one = await watching(room);
    await waitFor('the start', () => textShown(one) === 'at the start');
    await room.room.output.seal();
    await sayMuch(room, ann, 'hidden');
    const { fragments, tail } = await syncOf(room);
    expect([fragments.map(({ lastSeq }) => lastSeq), tail?.firstSeq, tail?.lastSeq]).toEqual([[2], 3, 2]);
    await expectSame(room, one);
  });
});

describe('what a room with a delay tells of how far it has come', () => {
  test('[V2] [W4] a position that is not due is answered like one that does not exist', async () => {
    const { room, ann } = await started();
    for (let i = 0; i < 50; i++) ann.type('x');
    await room.room.output.flushed();
    const answers: unknown[] = [];
    for (const seq of [2, 3, 52, 53, 9_999]) {
      const one = new HandSpectator();
      await room.room.audience.join(one.receiver, { epoch: 1, seq });
      answers.push(one.welcomes.map(({ resumption, seq: at }) => [resumption, at]));
    }
    const [resumed, reset] = [[['resumed', 2]], [['reset', 2]]];
    expect(answers).toEqual([resumed, reset, reset, reset, reset]);
  });

  test('[V2] [W4] back from a crash it tells nothing, over HTTP neither, and nobody that watched is reset', async () => {
    const dataDir = await tempDir();
    const first = await HandRoom.open(dataDir, undefined, LONG_DELAYED);
    const ann = first.join('ann', 'at the start');
    await first.seal();
    first.clock.nowUs += 5 * SECOND_US;
    const known = await watching(first);
    await waitFor('it to be shown', () => textShown(known) === 'at the start');
    ann.type(' and on');
    await first.room.output.stable();
    first.room.output.stop();
    first.room.audience.stop();
    await first.journal.close();

    const room = closing(await HandRoom.recover(dataDir));
    const { audience, recordingId } = room.room;
    const made = new HandSpectator();
    known.reconnect();
    known.welcomes.length = 0;
    await audience.join(known.receiver, { epoch: 1, seq: 2 });
    await audience.join(made.receiver, { epoch: 1, seq: 9_999 });
    for (const { welcomes } of [known, made])
      expect(welcomes).toMatchObject([{ resumption: 'resumed', epoch: 1, seq: 0 }]);
    await room.room.output.seal();
    const names: string[] = [];
    for await (const { header } of room.journal.sealedBlocks(recordingId, undefined)) {
      names.push(`${header.firstSeq}-${header.lastSeq}-${header.headerCrc.toString(16).padStart(8, '0')}`);
    }
    expect(names.length).toBeGreaterThan(1);
    const nothing = await syncOf(room);
    expect(nothing).toMatchObject({ headSeq: 0, fragments: [], players: [], producers: [] });
    expect(nothing).not.toHaveProperty('tail');
    for (const name of names) await expect(audience.fragments.read(name)).rejects.toThrow('there is no fragment');

    await waitFor('it to be due', () => known.welcomes.length + made.welcomes.length === 4);
    expect(known.welcomes.at(-1)).toMatchObject({
      resumption: 'resumed',
      epoch: room.room.epoch,
      seq: 3,
      players: [{ id: 'ann' }],
    });
    expect(made.welcomes.at(-1)).toMatchObject({ resumption: 'reset', seq: 3 });
    for (const one of [known, made]) await waitFor('the rest', () => textShown(one) === 'at the start and on');
    const [name = ''] = names;
    expect((await syncOf(room)).fragments[0]?.name).toBe(name);
    expect((await audience.fragments.read(name)).length).toBeGreaterThan(0);
  });
});

describe('a room with a delay that is shown just when somebody comes back to it', () => {
  test('[V2] [W4] who had begun to come in before is told of it as it is now', async () => {
    const dataDir = await tempDir();
    const first = await HandRoom.open(dataDir, undefined, DELAYED);
    first.join('ann', 'at the start');
    await first.seal();
    first.room.output.stop();
    first.room.audience.stop();
    await first.journal.close();
    const room = closing(await HandRoom.recover(dataDir));
    const { audience, epoch } = room.room;
    const { pass } = Turnstile.prototype;
    const turn = vi.spyOn(Turnstile.prototype, 'pass').mockImplementationOnce(async function (this: Turnstile, work) {
      await waitFor('it to be shown', () => audience.shown);
      return await pass.call(this, work);
    } as typeof pass);
    onTestFinished(() => turn.mockRestore());
    const one = new HandSpectator();
    await audience.join(one.receiver, { epoch: 1, seq: 2 });
    expect(one.welcomes.at(-1)).toMatchObject({ resumption: 'resumed', epoch, seq: 2, players: [{ id: 'ann' }] });
  });
});

type Ann = ReturnType<HandRoom['join']>;

/** What Ann began with is shown; two entries. */
async function started(): Promise<{ room: HandRoom; ann: Ann }> {
  const room = closing(await HandRoom.open(await tempDir(), undefined, DELAYED));
  const ann = room.join('ann', 'at the start');
  await room.room.output.flushed();
  room.clock.nowUs += 2 * SECOND_US;
  await waitFor('it to be shown', () => room.room.audience.shown?.seq === 2);
  return { room, ann };
}

function closing(room: HandRoom): HandRoom {
  onTestFinished(async () => {
    room.room.output.stop();
    room.room.audience.stop();
    await room.journal.close();
  });
  return room;
}

async function watching({ room }: HandRoom): Promise<HandSpectator> {
  const one = new HandSpectator();
  await room.audience.join(one.receiver, undefined);
  return one;
}

/** 36 MB, which is more than may wait; with a state that stays the same. */
async function sayMuch({ room }: HandRoom, ann: Ann, text: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    ann.record('blob', { noise: 'x'.repeat(60_000) }, { text });
    if (i % 50 === 49) await room.output.flushed();
  }
}

/** Over HTTP there is the same to see. */
async function expectSame(room: HandRoom, one: HandSpectator): Promise<void> {
  const { tail } = await syncOf(room);
  const bytes = await room.room.audience.fragments.read(tail?.name ?? 'none');
  expect(statesOf(bytes).end.get('ann')?.text).toBe(textShown(one));
}

/** Put together for this alone: what is answered to all may be a little old. */
async function syncOf({ room }: HandRoom): Promise<Omit<Synced, 'tail'> & Partial<Synced>> {
  const { json } = await new SyncAnswers(room.audience, room.meta, room.epoch).answer(0);
  return JSON.parse(json) as Synced;
}

function textShown({ view }: HandSpectator): unknown {
  return view.states.get('ann')?.text;
}
