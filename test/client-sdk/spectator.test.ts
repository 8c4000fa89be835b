import { spectate } from '@gametape/client-sdk';
import { describe, expect, test } from 'vitest';
import { FakeRelay } from '../support/fake-relay.ts';

const SUMMARY = { recordingId: 'fake', room: 'r', complete: true, durationS: 0, events: 0, players: [] };

describe('a spectator of a room that ends', () => {
  test('[W6] one that is still joining is told that it has ended, and which recording it has left', async () => {
    const relay = await FakeRelay.start();
    const refused = expect(spectate({ url: relay.wsUrl, room: 'r' })).rejects.toMatchObject({
      code: 'ROOM_ENDED',
      message: 'r: the room has ended; its recording is fake',
    });
    const peer = await relay.peer(1);
    peer.send({ kind: 'ended', summary: SUMMARY, seq: 5 });
    await refused;
  });
});
