import type { ServerResponse } from 'node:http';
import { HttpSource } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import { crc32, JSON_PROFILE } from '@gametape/shared';
import { describe, expect, test, vi } from 'vitest';
import { LiveEdge } from '../../client-sdk/dist/live-edge.js';
import { LiveReel } from '../../client-sdk/dist/live-reel.js';
import { newId } from '../support/edited-recording.ts';
import { ANY_WELCOME } from '../support/fake-relay.ts';
import { FileServer } from '../support/file-server.ts';
import { bodyOf } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { WrittenSession } from '../support/written-session.ts';

const RECORDING_ID = newId(1);
const PATH = `/v1/recordings/${RECORDING_ID}.lmsp`;
const EVENT = { type: 'keystroke', data: { char: 'x', modifiers: [] } };

describe('a room that is over, of which the relay knows nothing any more', () => {
  test('[V1] going back and its checkpoints come from the recording, also for who has not heard of the end', async () => {
    for (const hasHeard of [true, false]) {
      const server = await FileServer.start({ [PATH]: await recording() });
      const reel = liveReel(server);
      if (hasHeard) reel.end(0.003, true);
      const checkpoints = await reel.checkpoints();
      expect(checkpoints.map(({ name }) => name)).toEqual(['half']);
      const cursor = await reel.cursorAt(0.0015);
      expect(cursor.stateOf('ann')).toEqual({ n: 2 });
      if (hasHeard) expect(server.requests.filter((request) => request.includes('/sync'))).toEqual([]);
      await reel.close();
    }
  });

  test('[V1] a relay that has neither the room nor its recording is asked again, but not at once', async () => {
    const server = await FileServer.start({});
    const startedAt = performance.now();
    await expect(liveReel(server).cursorAt(0)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(server.requests.filter((request) => request.includes('/sync')).length).toBe(5);
    expect(performance.now() - startedAt).toBeGreaterThan(1_000);
  });
});

describe('a room that is over, of which something came that does not fit', () => {
  test('[V1] it ends all the same, and its recording tells the rest', async () => {
    const server = await FileServer.start({ [PATH]: await recording() });
    const { reel, edge } = liveReelOf(server);
    edge.producer({ kind: 'producer', index: 0, player: 'ann', instance: 'ann-1' });
    const body = bodyOf({ change: { form: 'delta', ops: [{ op: 'delete', key: 'n' }] } });
    const events = [5, 6].map((seq) => ({ seq, producer: 0, time: 1e9, hlc: 0, stamp: 0, body }));
    edge.arrived(events, 6);
    let over = 0;
    edge.follow({
      step: () => {},
      moved: () => {},
      jump: () => {},
      lost: () => {},
      retimed: () => {},
      over: () => void over++,
    });
    reel.finish();
    await waitFor('it to be over', () => over > 0);
    expect([reel.rest, reel.edge]).toEqual([RECORDING_ID, undefined]);
    await reel.close();
  });
});

describe('a reel that is closed', () => {
  test('looks no longer for the recording of the room', async () => {
    const server = await FileServer.start({});
    const reel = liveReel(server);
    const sought = expect(recorded(reel)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await waitFor('it to be asked for', () => server.requests.length > 0);
    await reel.close();
    await sought;
  });

  test('closes a recording that is opened too late', async () => {
    const answers: ServerResponse[] = [];
    const server = await FileServer.start(
      { [PATH]: await recording() },
      {
        misbehave: (request, response) => {
          if (answers.push(response) > 1) return false;
          response.once('answer', () => server.answer(request, response));
          return true;
        },
      },
    );
    const close = vi.spyOn(HttpSource.prototype, 'close');
    const reel = liveReel(server);
    const sought = expect(recorded(reel)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await waitFor('it to be asked for', () => answers.length > 0);
    await reel.close();
    answers[0]?.emit('answer');
    await sought;
    expect(close).toHaveBeenCalledOnce();
    close.mockRestore();
  });
});

function recorded(reel: LiveReel) {
  return reel.recorded(RECORDING_ID, Number.NEGATIVE_INFINITY, () => false);
}

function liveReel(server: FileServer): LiveReel {
  return liveReelOf(server).reel;
}

function liveReelOf({ origin }: FileServer): { reel: LiveReel; edge: LiveEdge } {
  const edge = new LiveEdge(
    crc32,
    () => 0,
    () => {},
  );
  edge.welcome({ ...ANY_WELCOME, recordingId: RECORDING_ID, seq: 4 });
  edge.snapshot(new Uint8Array(0));
  const compression = async () => NODE_COMPRESSION;
  const reel = new LiveReel({
    edge,
    baseUrl: origin,
    room: 'room',
    recordingId: RECORDING_ID,
    token: undefined,
    compression,
  });
  return { reel, edge };
}

/** Ann's `n` is the number of her event; they lie apart by a millisecond. */
async function recording(): Promise<Uint8Array> {
  const session = new WrittenSession(JSON_PROFILE, { ann: { n: 0 } });
  for (const n of [1, 2, 3]) await session.add('ann', EVENT, { state: { n } });
  await session.add('ann', { type: 'checkpoint', data: { name: 'half' } });
  return await session.finish();
}
