import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, spectate } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RoomPast, type RoomPastOptions } from '../../client-sdk/dist/room-past.js';
import { TestRelay } from '../support/relay.ts';
import { syncOf } from '../support/room-past.ts';
import { waitFor } from '../support/wait-for.ts';

const DELAY_MS = 4_000;

describe('the past of a live room, of which the relay was started anew', () => {
  test('[V1] [V2] of a room with a delay it can be gone back to as soon as it is shown again', async () => {
    const relay = await TestRelay.start({ spectatorDelayMs: DELAY_MS });
    const ann = await connect({ url: relay.wsUrl, room: 'arena', player: 'ann', profile: 'json', state: { n: 0 } });
    for (const n of [1, 2, 3]) {
      ann.setState({ n });
      ann.say(`said ${n}`);
      await ann.stable();
    }
    await waitFor('it to be shown', async () => (await syncOf(relay, 'arena')).headSeq >= 4);
    const live = await spectate({ url: relay.wsUrl, room: 'arena' });
    expect(live.states.get('ann')).toEqual({ n: 3 });
    await relay.restart();
    await waitFor('those who watch to be back', () => live.status === 'live');
    const errors: Error[] = [];
    live.on('error', (error) => errors.push(error));
    await live.seek(0);
    expect(errors).toEqual([]);
    expect(live.currentTime).toBe(0);
    expect(live.states.get('ann')?.n).not.toBe(3);
    live.close();
    await ann.end();
  });

  test('[V1] it is listed anew, with whoever has the places of those that are lost', async () => {
    const row = (name: string, firstSeq: number, lastSeq: number) => ({ name, firstSeq, lastSeq });
    const producers = (...players: string[]) => players.map((player, index) => ({ index, player, instance: player }));
    const synced = {
      1: { headSeq: 200, fragments: [row('a', 1, 100), row('b', 101, 200)], producers: producers('ann', 'ben') },
      2: { headSeq: 260, fragments: [row('a', 1, 100), row('c', 101, 250)], producers: producers('ann', 'cid') },
    };
    let epoch: 1 | 2 = 1;
    const past = new RoomPast(
      await syncServer((after) => {
        const { fragments, ...rest } = synced[epoch];
        return { epoch, ...rest, fragments: fragments.filter(({ lastSeq }) => lastSeq > after) };
      }),
    );
    const players = () => [...past.producers.values()].map(({ player }) => player);
    await past.refresh(200);
    expect([past.rows.map(({ name }) => name), players()]).toEqual([
      ['a', 'b'],
      ['ann', 'ben'],
    ]);
    epoch = 2;
    await past.refresh(260);
    expect([past.rows.map(({ name }) => name), players()]).toEqual([
      ['a', 'c'],
      ['ann', 'cid'],
    ]);
  });

  test('[V1] an answer that was asked for before is not taken for all there is', async () => {
    const fragments = [1, 2, 3].map((n) => ({ name: `${n}`, firstSeq: n, lastSeq: n }));
    let waiting: (() => void) | undefined;
    let headSeq = 2;
    const past = new RoomPast(
      await syncServer(async (after) => {
        if (after === 2) {
          await new Promise<void>((resolve) => {
            waiting = resolve;
          });
        }
        const shown = fragments.filter(({ lastSeq }) => lastSeq > after && lastSeq <= headSeq);
        return { epoch: 1, headSeq, producers: [], fragments: shown };
      }),
    );
    await past.refresh(2);
    headSeq = 3;
    const early = past.refresh(3);
    await waitFor('it to be asked', () => waiting);
    past.forgetNames();
    waiting?.();
    await early;
    expect(past.rows.map(({ name }) => name)).toEqual(['1', '2', '3']);
  });

  test('[V2] nobody asks any longer for what is not shown yet once it is closed', async () => {
    const closing = new AbortController();
    let asked = 0;
    const past = new RoomPast({
      ...(await syncServer(() => ({
        epoch: 2,
        headSeq: 0,
        delayMs: 300_000,
        fragments: [],
        producers: [],
        n: asked++,
      }))),
      signal: closing.signal,
    });
    const sought = expect(past.refresh(1)).rejects.toThrow('on purpose');
    await waitFor('it to be asked', () => asked > 1);
    closing.abort(new Error('closed on purpose'));
    await sought;
  });
});

/** Answers `sync` with what is made for each `after`. */
async function syncServer(make: (after: number) => object | Promise<object>): Promise<RoomPastOptions> {
  const server = createServer(async (request, response) => {
    const after = Number(new URL(request.url ?? '', 'http://relay').searchParams.get('after'));
    const about = { recordingId: 'fake', room: 'arena', profile: 'json', createdAt: 0, checkpoints: [] };
    response.end(JSON.stringify({ ...about, ...(await make(after)) }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const signal = new AbortController().signal;
  return { baseUrl, room: 'arena', recordingId: 'fake', token: undefined, compression: NODE_COMPRESSION, signal };
}
