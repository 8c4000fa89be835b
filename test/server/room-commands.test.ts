import { connect, type Session } from '@gametape/client-sdk';
import { EventType } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

describe('what may be asked of a live room', () => {
  test('[T8] a checkpoint and a rewind to it', async () => {
    const relay = await TestRelay.start();
    const session = await join(relay);
    expect(await post(relay, 'checkpoints', { name: 'here' })).toEqual([
      201,
      { name: 'here', timeS: expect.any(Number) },
    ]);
    expect(await post(relay, 'checkpoints', { name: 'here' })).toEqual([409, refusal('NAME_TAKEN')]);
    session.setState({ n: 2 });
    await session.stable();
    const heard = new Promise((resolve) => session.on('rewind', () => resolve(session.state)));
    expect(await post(relay, 'rewind', { name: 'here' })).toEqual([
      200,
      expect.objectContaining({ room: 'arena', checkpoints: ['here'] }),
    ]);
    expect(await heard).toEqual({ n: 1 });
    expect(await post(relay, 'rewind', { name: 'there' })).toEqual([404, refusal('NOT_FOUND')]);
    const [status, summary] = (await post(relay, 'end', { outcome: { success: true } })) as [
      number,
      { recordingId: string },
    ];
    expect([status, summary]).toEqual([200, expect.objectContaining({ room: 'arena', complete: true })]);
    const { states, checkpoints, summary: stored } = await relay.recording(summary.recordingId);
    expect([states.get('a'), checkpoints.map(({ name }) => name)]).toEqual([{ n: 1 }, ['here']]);
    expect(stored.outcome).toEqual({ success: true });
  });

  test('[T7] a pause and its end, also of one that a player holds', async () => {
    const relay = await TestRelay.start();
    const session = await join(relay);
    const speeds: unknown[] = [];
    session.on('event', ({ type, data }) => type === EventType.SPEED_CHANGE && speeds.push(data.speed));
    for (const _ of [1, 2]) expect(await post(relay, 'pause')).toEqual([200, expect.anything()]);
    const { durationS } = (await relay.room('arena')) ?? { durationS: -1 };
    session.say('still');
    await session.stable();
    expect((await relay.room('arena'))?.durationS).toBe(durationS);
    await post(relay, 'resume');
    await waitFor('the player to hear of both', () => speeds.length === 2);
    expect(speeds).toEqual([0, 1]);
    session.pause();
    await session.stable();
    await post(relay, 'resume');
    await waitFor('time to go on', async () => Number((await relay.room('arena'))?.durationS) > durationS);
    const { recordingId } = await session.end();
    expect((await relay.recording(recordingId)).summary.pauses).toHaveLength(2);
  });

  test('[W11] what is asked wrongly is refused, saying what is wrong', async () => {
    const relay = await TestRelay.start();
    expect(await post(relay, 'rewind', { name: 'x' })).toEqual([404, refusal('NOT_FOUND')]);
    await join(relay);
    for (const body of [{}, { name: '' }, { name: 1 }, { name: 'x', more: 1 }, [], 'x', { name: 'x'.repeat(257) }]) {
      expect(await post(relay, 'checkpoints', body)).toEqual([400, refusal('BAD_MESSAGE')]);
    }
    const plain = await relay.get('/v1/rooms/arena/rewind', { method: 'POST', body: '{' });
    expect([plain.status, await plain.json()]).toEqual([400, refusal('BAD_MESSAGE')]);
    const body = JSON.stringify({ name: 'x'.repeat(70_000) });
    const long = await relay.get('/v1/rooms/arena/checkpoints', { method: 'POST', body });
    expect([long.status, await long.json()]).toEqual([413, refusal('LIMIT_EXCEEDED')]);
    // Nobody reads the rest of it.
    expect(long.headers.get('connection')).toBe('close');
  });

  test('[S3] pages of other sites may not ask', async () => {
    const relay = await TestRelay.start();
    await join(relay);
    for (const origin of ['https://example.com', 'null']) {
      const response = await relay.get('/v1/rooms/arena/end', { method: 'POST', headers: { origin } });
      expect([response.status, await response.json()]).toEqual([403, refusal('NOT_ALLOWED')]);
    }
    const own = await relay.get('/v1/rooms/arena/pause', { method: 'POST', headers: { origin: relay.url } });
    expect(own.status).toBe(200);
  });
});

function join(relay: TestRelay): Promise<Session> {
  return connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json', state: { n: 1 } });
}

async function post(relay: TestRelay, command: string, body?: unknown): Promise<[number, unknown]> {
  const init =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const response = await relay.get(`/v1/rooms/arena/${command}`, { method: 'POST', ...init });
  return [response.status, await response.json()];
}

function refusal(code: string): unknown {
  return { error: { code, message: expect.any(String), hint: expect.any(String) } };
}
