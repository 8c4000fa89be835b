import { readFile } from 'node:fs/promises';
import { connect, type Session } from '@gametape/client-sdk';
import { CloseCode } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { bodyOf, RawClient } from '../support/raw-client.ts';
import { RelayProcess, readRecording, TestRelay } from '../support/relay.ts';
import { runningTime } from '../support/running-time.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

describe('a relay that stops', () => {
  test('[J7] tells its clients to come back, and they lose nothing', async () => {
    const relay = await TestRelay.start();
    const sessions = await Promise.all(['a', 'b'].map((player) => join(relay, player)));
    const [a, b] = sessions as [Session, Session];
    const seen: unknown[] = [];
    b.on('player_message', ({ data }) => seen.push(data.message));
    let said = 0;
    const timer = setInterval(() => a.say(`t${said++}`), 1);
    for (let round = 0; round < 3; round++) {
      await waitFor('some more', () => said > 40 * (round + 1));
      await relay.restart();
      await waitFor('the session to be back', () => a.status.connection === 'live' && b.status.connection === 'live');
    }
    clearInterval(timer);
    const summary = await a.end();
    const all = Array.from({ length: said }, (_, i) => `t${i}`);
    expect(summary.complete).toBe(true);
    expect(seen).toEqual(all);
    const { own, entries } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(all);
    expect(entries.filter(({ type }) => type === 'player_join')).toHaveLength(2);
  });

  test('[J7] closes with a code that says so', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, ['one']);
    await client.accepted(1);
    await relay.stop();
    expect(await client.end()).toMatchObject({ code: CloseCode.DRAINING });
    expect(client.acks.stable).toBe(1);
  });

  test('[J7] leaves nothing running: a stop in the middle of anything is quick', async () => {
    const relay = await TestRelay.start({ endTimeoutMs: 30_000, dropGraceMs: 30_000, idleFinishMs: 30_000 });
    await RawClient.join(relay.wsUrl, { player: 'mute' });
    const ender = await RawClient.join(relay.wsUrl, { player: 'ender' });
    ender.send({ kind: 'end', lastPseq: 0, outcome: {} });
    await ender.next('ending');
    (await RawClient.join(relay.wsUrl, { room: 'other' })).socket.pause();
    const stoppedForMs = runningTime();
    await relay.stop();
    expect(stoppedForMs()).toBeLessThan(4_000);
  });

  test('[J7] SIGTERM: everything is stable, the exit code is 0', async () => {
    const dataDir = await tempDir();
    const relay = await RelayProcess.start(dataDir);
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json' });
    for (let i = 0; i < 500; i++) session.say(`t${i}`);
    await waitFor('some to be accepted', () => session.status.accepted > 0);
    const startedAt = performance.now();
    expect(await relay.stop()).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await relay.start();
    const summary = await session.end();
    const { own } = await readRecording(await readFile(relay.recordingPath(summary.recordingId)));
    expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: 500 }, (_, i) => `t${i}`));
    await relay.kill();
  });
});

describe('a relay that comes back', () => {
  test('[J4] the room is the same: recording, players, states, checkpoints', async () => {
    const relay = await TestRelay.start();
    const session = await join(relay, 'a', { n: 1 });
    session.record({ type: 'step', data: {} }, { n: 2 });
    await session.checkpoint('here');
    const before = await relay.room('arena');
    await relay.restart();
    expect(await relay.room('arena')).toMatchObject({
      recordingId: before?.recordingId,
      checkpoints: ['here'],
      events: before?.events,
      players: [{ id: 'a', connected: true }],
    });
    await waitFor('the session to be back', () => session.status.connection === 'live');
    await expect(session.checkpoint('here')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await session.checkpoint('there');
    const { recordingId } = await session.end();
    const { checkpoints, states } = await relay.recording(recordingId);
    expect(checkpoints.map(({ name }) => name)).toEqual(['here', 'there']);
    expect(states.get('a')).toEqual({ n: 2 });
  });

  test('[J4] a player that had left is complete, one that does not return is not', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 50 });
    const [stays, leaves] = (await Promise.all(['stays', 'leaves'].map((player) => join(relay, player)))) as [
      Session,
      Session,
    ];
    leaves.say('bye');
    await leaves.leave();
    const first = await RawClient.join(relay.wsUrl, { player: 'vanishes' });
    await relay.restart();
    await first.vanish();
    await waitFor('the drop', async () => {
      const players = (await relay.room('arena'))?.players ?? [];
      return players.find(({ id }) => id === 'vanishes')?.connected === false;
    });
    const summary = await stays.end();
    expect(summary.players.map(({ id, expected, received }) => [id, expected, received]).sort()).toEqual([
      ['leaves', 1, 1],
      ['stays', 0, 0],
      ['vanishes', null, 0],
    ]);
  });

  test('[J4] a room that nobody returns to is finished after its grace period', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 50, idleFinishMs: 50 });
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, ['one']);
    await client.stable(1);
    const { recordingId } = client.welcome;
    await relay.stop();
    await relay.restart();
    await waitFor('the recording', async () => (await relay.get(`/v1/recordings/${recordingId}`)).ok);
    const { own, summary } = await relay.recording(recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(['one']);
    expect(summary.players).toMatchObject([{ id: 'raw', events: 3, expected: null, received: 1, gaps: [] }]);
    expect(await relay.room('arena')).toBeUndefined();
  });

  test('[W3] a promise of a checkpoint is kept although its ack was lost', async () => {
    const relay = await TestRelay.start({ flushMs: 0 });
    const session = await join(relay, 'a');
    for (let i = 0; i < 5; i++) {
      const kept = session.checkpoint(`c${i}`);
      await new Promise((resolve) => setImmediate(resolve));
      await relay.restart();
      await kept;
    }
    const { recordingId } = await session.end();
    expect((await relay.recording(recordingId)).checkpoints.map(({ name }) => name)).toEqual([
      'c0',
      'c1',
      'c2',
      'c3',
      'c4',
    ]);
  });

  test('[J4] a room that was about to end goes on, and ends when it is asked again', async () => {
    const relay = await TestRelay.start();
    const [a] = (await Promise.all(['a', 'b'].map((player) => join(relay, player)))) as [Session];
    const mute = await RawClient.join(relay.wsUrl, { player: 'mute' });
    a.say('one');
    const ended = a.end();
    await mute.next('ending');
    await relay.restart();
    const summary = await ended;
    expect(summary.players.find(({ id }) => id === 'a')).toMatchObject({ expected: 1, received: 1 });
    await relay.recording(summary.recordingId);
  });

  test('[J4] states that only hellos told of survive, and rooms do not mix', async () => {
    const relay = await TestRelay.start();
    const clients = await Promise.all(
      ['one', 'two', 'three'].map((room) => {
        const state = bodyOf({ change: { form: 'keyframe', entries: [['room', room]] } });
        return RawClient.join(relay.wsUrl, { room, state });
      }),
    );
    await relay.restart();
    for (const [index, room] of ['one', 'two', 'three'].entries()) {
      const { recordingId, epoch, seq } = clients[index]?.welcome ?? { recordingId: '', epoch: 0, seq: 0 };
      const again = await RawClient.join(relay.wsUrl, { room, resume: { recordingId, epoch, seq } });
      again.send({ kind: 'end', lastPseq: 0, outcome: {} });
      const { summary } = await again.next('ended');
      expect((await relay.recording(summary.recordingId)).states.get('raw')).toEqual({ room });
    }
  });
});

async function join(relay: TestRelay, player: string, state?: Record<string, number>): Promise<Session> {
  const options = { url: relay.wsUrl, room: 'arena', player, profile: 'json', flushMs: 2 } as const;
  return await connect(state ? { ...options, state } : options);
}
