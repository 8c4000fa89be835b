import { connect } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import { describe, expect, test } from 'vitest';
import { RoomOver } from '../../client-sdk/dist/room-over.js';
import { RoomPast } from '../../client-sdk/dist/room-past.js';
import { TestRelay } from '../support/relay.ts';

describe('the past of a session, in a room that has had others since', () => {
  test('[V1] it is in its own recording, whether the next session is live or over', async () => {
    const relay = await TestRelay.start();
    const start = () => connect({ url: relay.wsUrl, room: 'arena', player: 'ann', profile: 'json' });
    const first = await start();
    const { recordingId } = first;
    const past = new RoomPast({
      baseUrl: relay.url,
      room: 'arena',
      recordingId,
      token: undefined,
      compression: NODE_COMPRESSION,
      signal: new AbortController().signal,
    });
    await past.refresh(0);
    await first.end();
    const over = expect.objectContaining({ recordingId });
    await expect(past.refresh(1)).rejects.toEqual(over);
    const next = await start();
    await expect(past.refresh(1)).rejects.toEqual(over);
    await next.end();
    const refused = past.refresh(1);
    await expect(refused).rejects.toBeInstanceOf(RoomOver);
    await expect(refused).rejects.toEqual(over);
  });
});
