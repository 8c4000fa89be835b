import { JSON_PROFILE, LiveState } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { HandRoom } from '../support/hand-room.ts';
import { tempDir } from '../support/temp-dir.ts';

const START = { text: '' };

describe('events of a player that has not seen a rewind yet', () => {
  test('[T8] [J4] are read by a relay that was started anew, whichever rewind they go on from', async () => {
    const dataDir = await tempDir();
    let hand = await HandRoom.open(dataDir);
    const ann = hand.join('ann', '');
    ann.record('jumped', { height: 1 });
    const seen = rewind(hand);
    ann.record('landed', { on: 'ice' });
    // Two that it does not see.
    rewind(hand);
    const last = rewind(hand);
    hand = await restarted(hand, dataDir);
    ann.returnTo(hand);
    ann.record('jumped', { height: 2 });
    ann.record('landed', { on: 'sand' });
    ann.follow(seen, START);
    ann.record('slept', { s: 3 });
    hand = await restarted(hand, dataDir);
    ann.returnTo(hand);
    // Of all that was spelled out, this vocabulary knows one template.
    ann.record('slept', { s: 4 });
    ann.record('jumped', { height: 5 });
    hand = await restarted(hand, dataDir);
    ann.returnTo(hand);
    ann.record('slept', { s: 6 });
    ann.record('jumped', { height: 7 });
    expect([ann.seat.awaitsGap, ann.seat.context.pseq]).toEqual([false, ann.pseq]);
    ann.follow(last, START);
    ann.type('here');
    expect(ann.seat.context.state.get('text')).toBe('here');
    expect([ann.seat.awaitsGap, ann.seat.context.pseq]).toEqual([false, ann.pseq]);
    await hand.journal.close();
  });

  test('[T8] [W3] are read after a gap from nothing that came before it', async () => {
    const dataDir = await tempDir();
    let hand = await HandRoom.open(dataDir);
    const ann = hand.join('ann', '');
    rewind(hand);
    ann.record('jumped', { height: 1 });
    ann.skip(2);
    hand.room.acceptGap(ann.seat, { kind: 'gap', firstPseq: 3, lastPseq: 4, reason: 'for a test' });
    ann.record('landed', { on: 'ice' });
    hand = await restarted(hand, dataDir);
    ann.returnTo(hand);
    ann.record('jumped', { height: 2 });
    ann.record('landed', { on: 'sand' });
    expect([ann.seat.awaitsGap, ann.seat.context.pseq]).toEqual([false, ann.pseq]);
    await hand.journal.close();
  });
});

/** @returns seq of ann's entry of it */
function rewind({ room }: HandRoom): number {
  const state = new LiveState(JSON_PROFILE);
  state.apply({ form: 'keyframe', entries: Object.entries(START) }, 0);
  room.relayEvents.rewind(room.seats.any(), 'start', new Map([['ann', state]]));
  return room.recording.headSeq;
}

async function restarted(hand: HandRoom, dataDir: string): Promise<HandRoom> {
  await hand.room.output.flushed();
  await hand.journal.close();
  return await HandRoom.recover(dataDir);
}
