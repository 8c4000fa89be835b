import { connect, type Session } from '@gametape/client-sdk';
import { EventType } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { TestRelay } from '../support/relay.ts';
import { SlowNetwork } from '../support/slow-network.ts';
import { waitFor } from '../support/wait-for.ts';

const COMMANDS = ['rewind', 'checkpoints', 'pause', 'resume', 'end'];
const REFUSALS = ['ROOM_ENDED', 'NOT_FOUND', 'LIMIT_EXCEEDED', 'SESSION_CLOSED', 'UNREACHABLE'];

describe('commands that make no sense', () => {
  test('[S4] [W11] are refused one by one, and the room plays on', async () => {
    const relay = await TestRelay.start();
    const session = await join(relay, 'a');
    const bodies = ['{', '[]', 'null', '"x"', '{"name":{}}', '{"name":"x","__proto__":1}', '{"outcome":[]}', '\u0000'];
    for (const command of COMMANDS) {
      for (const body of [...bodies, '['.repeat(30_000)]) {
        expect((await post(relay, command, body)).status, `${command} ${body.slice(0, 30)}`).toBe(400);
      }
      expect([404, 405]).toContain((await relay.get(`/v1/rooms/arena/${command}`)).status);
      for (const room of ['nobody', '..%2f..', '%00', 'x'.repeat(300)]) {
        const body = ['rewind', 'checkpoints'].includes(command) ? '{"name":"x"}' : '';
        expect((await post(relay, command, body, room)).status, `${command} ${room}`).toBe(404);
      }
    }
    session.say('still here');
    await session.stable();
    expect((await session.end()).complete).toBe(true);
  });

  test('[S4] [W6] all at once with the end: each is answered, and there is one recording, whole', async () => {
    const relay = await TestRelay.start();
    const [a, b] = [await join(relay, 'a'), await join(relay, 'b')];
    await a.checkpoint('here');
    const asked = [1, 2, 3].flatMap((i) => [
      post(relay, 'rewind', '{"name":"here"}'),
      post(relay, 'end', `{"outcome":{"n":${i}}}`),
      post(relay, 'checkpoints', `{"name":"c${i}"}`),
      post(relay, 'pause', ''),
      post(relay, 'resume', ''),
    ]);
    const rewinds = [a.rewind('here'), b.rewind('here'), b.checkpoint('late')].map((work) =>
      work.catch((error: { code: string }) => error.code),
    );
    const answers = await Promise.all(asked);
    for (const { status } of answers) expect([200, 201, 404, 410, 429]).toContain(status);
    for (const outcome of await Promise.all(rewinds)) expect([undefined, ...REFUSALS]).toContain(outcome);
    const ends = await Promise.all(answers.filter((_, i) => i % 5 === 1).map((answer) => answer.json()));
    const ids = new Set((ends as { recordingId?: string }[]).flatMap(({ recordingId }) => recordingId ?? []));
    expect(ids).toEqual(new Set([a.recordingId]));
    const { summary } = await relay.recording(a.recordingId);
    expect(summary.complete).toBe(true);
    for (const command of COMMANDS) {
      const body = ['rewind', 'checkpoints'].includes(command) ? '{"name":"x"}' : '';
      expect((await post(relay, command, body)).status).toBe(404);
    }
  });
});

describe('a rewind', () => {
  test('[T8] [T7] of a room with a player who is gone and a clock that stands still', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 50 });
    const network = new SlowNetwork();
    const a = await join(relay, 'a');
    const gone = await network.connect({ ...options(relay), player: 'gone', state: { n: 1 } });
    await a.checkpoint('here');
    for (const session of [a, gone]) session.setState({ n: 2 });
    await Promise.all([a.stable(), gone.stable()]);
    network.down();
    await waitFor('the drop', async () => (await relay.room('arena'))?.players.some(({ connected }) => !connected));
    a.pause();
    await a.stable();
    await a.rewind('here');
    expect(a.state).toEqual({ n: 1 });
    // Right after it has joined.
    const late = await join(relay, 'late');
    await late.rewind('here');
    expect([late.state, late.states.get('a')]).toEqual([{ n: 1 }, { n: 1 }]);
    a.resume();
    network.up();
    await waitFor('the player to be back', () => gone.status.connection === 'live');
    await waitFor('its state of then', () => gone.state.n === 1);
    await relay.restart();
    await waitFor('all to be back', () => [a, gone, late].every(({ status }) => status.connection === 'live'));
    a.setState({ n: 3 });
    await a.rewind('here');
    const { recordingId, complete } = await a.end();
    expect(complete).toBe(true);
    const { states, entries, summary } = await relay.recording(recordingId);
    expect([states.get('a'), states.get('gone'), states.get('late')]).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }]);
    expect(entries.filter(({ type }) => type === EventType.REWIND).map(({ player }) => player)).toEqual([
      'a',
      'late',
      'a',
    ]);
    expect(summary.pauses).toHaveLength(1);
  });
});

function options(relay: TestRelay) {
  return { url: relay.wsUrl, room: 'arena', profile: 'json' } as const;
}

function join(relay: TestRelay, player: string): Promise<Session> {
  return connect({ ...options(relay), player, state: { n: 1 } });
}

function post(relay: TestRelay, command: string, body: string, room = 'arena'): Promise<Response> {
  return relay.get(`/v1/rooms/${room}/${command}`, { method: 'POST', body });
}
