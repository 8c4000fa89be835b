import { expect, onTestFinished, test } from 'vitest';
import type { Seat } from '../../server/dist/room/seat.js';
import { HandRoom } from '../support/hand-room.ts';
import { HandSpectator } from '../support/hand-spectator.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

// Ann is known, but a power loss has left nothing of her joining; Bob, who came after her, has joined. She comes back.

test.each([
  ['who was here before', 0, { epoch: 1, seq: 2 }],
  ['who is new', 0, undefined],
  ['who is new in a room with a delay', 50, undefined],
] as const)('[J4] [W4] %s is told of a player whose joining was lost when she joins', async (_, delayMs, resume) => {
  const dataDir = await tempDir();
  const before = await HandRoom.open(dataDir, undefined, delayMs > 0 ? { spectatorDelayMs: delayMs } : {});
  const spectator = new HandSpectator();
  const { context } = before.room.addSeat('ann', 'ann-1', undefined);
  const bob = before.join('bob', 'b');
  await before.room.output.stable();
  if (resume) await before.room.audience.join(spectator.receiver, undefined);
  before.room.output.stop();
  before.room.audience.stop();
  await before.journal.close();

  const hand = await HandRoom.recover(dataDir);
  const { room } = hand;
  onTestFinished(async () => {
    room.output.stop();
    room.audience.stop();
    await hand.journal.close();
  });
  bob.returnTo(hand);
  await waitFor('it to be shown', () => room.audience.shown);
  spectator.reconnect();
  await room.audience.join(spectator.receiver, resume);
  expect(spectator.welcomes.at(-1)).toMatchObject({ resumption: resume ? 'resumed' : 'new', seq: 2 });
  bob.type('!');
  room.relayEvents.join(room.seats.all[context.index] as Seat, { name: 'Ann' });
  await room.output.flushed();
  await waitFor('her to be shown', () => spectator.view.players.get('ann')?.connected);
  bob.type('?');
  await room.output.flushed();
  await waitFor('what comes then', () => spectator.view.states.get('bob')?.text === 'b!?');
});
