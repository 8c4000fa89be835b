import { connect, type Session } from '@gametape/client-sdk';
import { EventType, isGametapeError } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { RateLimit } from '../../server/dist/room/rate-limit.js';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

const SECOND_US = 1_000_000;

describe('so many a minute', () => {
  test('[S2] all at once, and then as time goes on', () => {
    const rate = new RateLimit(6, 0);
    const take = (second: number) => {
      try {
        rate.take('x', second * SECOND_US);
        return 0;
      } catch (error) {
        return isGametapeError(error, 'LIMIT_EXCEEDED') ? error.retryAfterS : error;
      }
    };
    expect([0, 0, 0, 0, 0, 0, 0].map(take)).toEqual([0, 0, 0, 0, 0, 0, 10]);
    expect([4, 10, 10, 15, 20].map(take)).toEqual([6, 0, 10, 5, 0]);
    // However long nobody took one, there is never more than a minute's worth.
    expect(Array.from({ length: 7 }, () => take(10_000))).toEqual([0, 0, 0, 0, 0, 0, 10]);
  });

  test('[S2] what is done with large states counts for more', () => {
    const rate = new RateLimit(60, 0);
    rate.take('x', 0);
    rate.charge(16 * 1024 * 1024);
    // 60 - 1 - 64 are left, and one is needed.
    expect(() => rate.take('x', 0)).toThrow(/^x: a room may have 60 a minute, and no more; try again in 6 s$/);
    expect(() => rate.take('x', 5 * SECOND_US)).toThrow(/try again in 1 s/);
    rate.take('x', 6 * SECOND_US);
  });
});

describe('a room that is asked too often', () => {
  test('[S2] [T8] rewinds are refused, saying when to ask again, and all play on', async () => {
    const relay = await TestRelay.start({ rewindsPerMinute: 3 });
    const [a, b] = [await join(relay, 'a'), await join(relay, 'b')];
    await a.checkpoint('here');
    const refused: unknown[] = [];
    for (let i = 0; i < 6; i++) await a.rewind('here').catch((error: unknown) => refused.push(error));
    expect(refused).toHaveLength(3);
    for (const error of refused) {
      expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED', hint: expect.stringMatching(/^Try again in \d+ s\.$/) });
      expect((error as { retryAfterS: number }).retryAfterS).toBeGreaterThan(10);
      expect((error as { retryAfterS: number }).retryAfterS).toBeLessThanOrEqual(20);
    }
    // It is the room that is rewound, whoever asks and however.
    await expect(b.rewind('here')).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const response = await post(relay, 'rewind', { name: 'here' });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(10);
    expect(await response.json()).toEqual({
      error: {
        code: 'LIMIT_EXCEEDED',
        message: expect.stringMatching(
          /^rewind to "here": a room may have 3 a minute, and no more; try again in \d+ s$/,
        ),
        hint: expect.stringMatching(/^Try again in \d+ s\.$/),
      },
    });
    // What there is not costs nothing, and says so.
    expect((await post(relay, 'rewind', { name: 'there' })).status).toBe(404);
    for (const session of [a, b]) session.say(`still ${session.player}`);
    await Promise.all([a.stable(), b.stable()]);
    const { entries } = await relay.recording((await a.end()).recordingId);
    expect(entries.filter(({ type }) => type === EventType.REWIND)).toHaveLength(3);
    expect(entries.filter(({ type }) => type === EventType.PLAYER_MESSAGE)).toHaveLength(2);
  });

  test('[S2] [T8] a hundred rewinds at once by four players: some happen, the others are refused', async () => {
    const relay = await TestRelay.start();
    const players = await Promise.all(['a', 'b', 'c', 'd'].map((name) => join(relay, name)));
    await players[0]?.checkpoint('here');
    const heard = players.map(() => 0);
    for (const [i, player] of players.entries()) player.on('rewind', () => heard.splice(i, 1, (heard[i] ?? 0) + 1));
    const askedAt = performance.now();
    const asked = Array.from({ length: 100 }, (_, i) => (players[i % 4] as Session).rewind('here'));
    const answers = await Promise.allSettled(asked);
    const tookS = (performance.now() - askedAt) / 1_000;
    const codes = answers.map((answer) => (answer.status === 'fulfilled' ? 'done' : answer.reason.code));
    expect(new Set(codes)).toEqual(new Set(['done', 'LIMIT_EXCEEDED']));
    const done = codes.filter((code) => code === 'done').length;
    await waitFor('all to hear of all', () => heard.every((count) => count === done));
    for (const player of players) player.setState({ n: 2 });
    await Promise.all(players.map((player) => player.stable()));
    const { recordingId, complete } = await (players[0] as Session).end();
    expect(complete).toBe(true);
    const { entries, states } = await relay.recording(recordingId);
    expect([...states.values()]).toEqual(Array.from({ length: 4 }, () => ({ n: 2 })));
    expect(entries.filter(({ type }) => type === EventType.REWIND)).toHaveLength(done);
    // Sixty a minute: one more for each second that it took.
    expect(done).toBeLessThanOrEqual(60 + tookS);
  });

  test('[S2] names for checkpoints are refused, and the events are recorded all the same', async () => {
    const relay = await TestRelay.start({ checkpointsPerMinute: 3 });
    const a = await join(relay, 'a');
    for (const name of ['one', 'two']) await a.checkpoint(name);
    expect((await post(relay, 'checkpoints', { name: 'three' })).status).toBe(201);
    const response = await post(relay, 'checkpoints', { name: 'four' });
    expect([response.status, Number(response.headers.get('retry-after')) > 10]).toEqual([429, true]);
    const error = await a.checkpoint('five').catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('try again in') });
    const errors: unknown[] = [];
    a.on('error', (error) => errors.push(error));
    a.record({ type: EventType.CHECKPOINT, data: { name: 'six' } });
    await waitFor('the answer', () => errors.length === 1);
    expect(errors).toEqual([expect.objectContaining({ code: 'LIMIT_EXCEEDED' })]);
    const { checkpoints, own } = await relay.recording((await a.end()).recordingId);
    expect(checkpoints.map(({ name }) => name)).toEqual(['one', 'two', 'three']);
    expect(own.map(({ data }) => data.name)).toEqual(['one', 'two', 'five', 'six']);
  });
});

function join(relay: TestRelay, player: string): Promise<Session> {
  return connect({ url: relay.wsUrl, room: 'arena', player, profile: 'json', state: { n: 1 } });
}

function post(relay: TestRelay, command: string, body: unknown): Promise<Response> {
  return relay.get(`/v1/rooms/arena/${command}`, { method: 'POST', body: JSON.stringify(body) });
}
