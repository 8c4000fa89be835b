import { connect, type Session } from '@gametape/client-sdk';
import { FileJournal } from '@gametape/server';
import { BytesSource, GametapeError, RecordingReader } from '@gametape/shared';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startRelay } from '../../server/dist/index.js';
import { SILENT } from '../../server/dist/log.js';
import { RoomJournal } from '../../server/dist/room/room-journal.js';
import { RoomOrigins } from '../../server/dist/room/room-origins.js';
import { RelayProcess, TestRelay } from '../support/relay.ts';
import { SlowNetwork } from '../support/slow-network.ts';
import { waitFor } from '../support/wait-for.ts';

describe('a room that starts from a checkpoint of a recording', () => {
  test('[T8] players have the states of then, also after a restart, and the recording says where from', async () => {
    const relay = await TestRelay.start();
    const from = `${await recorded(relay)}#here`;
    expect(await ask(relay, { room: 'again', from })).toEqual([201, { room: 'again', from }]);
    const a = await join(relay, 'a', 'again');
    expect(a.state).toEqual({ text: 'A' });
    await relay.restart();
    await waitFor('a to be back', () => a.status.connection === 'live');
    const b = await join(relay, 'b', 'again');
    const stranger = await join(relay, 'stranger', 'again');
    expect([b.state, stranger.state]).toEqual([{ text: 'B' }, { text: 'new' }]);
    a.edit('text', { at: 1, remove: 0, insert: '!' });
    await a.checkpoint('further');
    b.edit('text', { at: 1, remove: 0, insert: '?' });
    await b.stable();
    await a.rewind('further');
    const { recordingId, complete } = await a.end();
    expect(complete).toBe(true);
    const { states } = await relay.recording(recordingId);
    expect(Object.fromEntries(states)).toEqual({ a: { text: 'A!' }, b: { text: 'B' }, stranger: { text: 'new' } });
    const bytes = new Uint8Array(await (await relay.get(`/v1/recordings/${recordingId}.lmsp`)).arrayBuffer());
    const { meta } = await RecordingReader.open(new BytesSource(bytes));
    expect(meta.startedFrom).toEqual({ recordingId: from.split('#')[0], checkpoint: 'here' });
    // Only the next session of that room: the one after it begins as any other.
    expect((await join(relay, 'a', 'again')).state).toEqual({ text: 'new' });
  });

  test('[T8] serve --from: the room of that recording', async () => {
    const relay = await TestRelay.start();
    const from = `${await recorded(relay)}#here`;
    await relay.stop();
    const again = await startRelay({ port: 0, viewer: false, dataDir: relay.dataDir, from });
    const options = { url: again.wsUrl, room: 'arena', player: 'b', profile: 'json', state: { text: 'new' } } as const;
    const session = await connect(options);
    expect(session.state).toEqual({ text: 'B' });
    await session.end();
    await again.close();
  });

  test('[T8] [J4] serve --from after kill -9: the same session goes on, and is finished if nobody returns', async () => {
    const first = await TestRelay.start();
    const from = `${await recorded(first)}#here`;
    const { dataDir } = first;
    await first.stop();
    const killed = await RelayProcess.start(dataDir, ['--from', from]);
    const network = new SlowNetwork();
    const options = { url: killed.wsUrl, room: 'arena', player: 'b', profile: 'json', state: { text: 'new' } } as const;
    const session = await network.connect(options);
    session.say('here');
    await session.stable();
    const { recordingId } = session;
    network.down();
    await killed.kill();
    const again = await TestRelay.start({ dataDir, from, dropGraceMs: 50, idleFinishMs: 50 });
    await waitFor('the recording', async () => (await again.get(`/v1/recordings/${recordingId}`)).ok);
    const { states, summary } = await again.recording(recordingId);
    expect([states.get('b'), summary.complete]).toEqual([{ text: 'B' }, false]);
  });

  test('[S1] what is not there, or no id, or live, is refused', async () => {
    const relay = await TestRelay.start();
    const id = await recorded(relay);
    const refusal = (code: string) => ({ error: expect.objectContaining({ code }) });
    expect(await ask(relay, { from: `${id}#nowhere` })).toEqual([404, refusal('NOT_FOUND')]);
    expect(await ask(relay, { from: '01HF7YAT01040G2081040G2081#here' })).toEqual([404, refusal('NOT_FOUND')]);
    expect(await ask(relay, { from: '../../etc/passwd#here' })).toEqual([400, refusal('BAD_ID')]);
    expect(await ask(relay, { from: `${id}#here`, room: '../x' })).toEqual([400, refusal('BAD_ID')]);
    expect(await ask(relay, { room: 'x' })).toEqual([400, refusal('BAD_MESSAGE')]);
    await join(relay, 'a', 'arena');
    expect(await ask(relay, { from: `${id}#here` })).toEqual([409, refusal('NAME_TAKEN')]);
  });

  test('[V2] one that is not due yet is answered like one that is not there', async () => {
    const relay = await TestRelay.start({ spectatorDelayMs: 3_000 });
    const id = await recorded(relay);
    const none = '01HF7YAT01040G2081040G2081';
    const refused = async (from: string) => JSON.stringify(await ask(relay, { room: 'again', from }));
    const answer = await refused(`${none}#here`);
    expect(answer).toMatch(/^\[404,/);
    expect(answer).not.toContain(relay.dataDir);
    for (const name of ['here', 'nowhere']) {
      expect((await refused(`${id}#${name}`)).replaceAll(id, none).replace('nowhere', 'here')).toBe(answer);
    }
    await waitFor('it to be due', async () => (await relay.get(`/v1/recordings/${id}`)).ok, 10_000);
    expect((await ask(relay, { room: 'again', from: `${id}#here` }))[0]).toBe(201);
  });

  test('[T8] [J5] so is one that is read-only for now: the session there goes on', async () => {
    const relay = await TestRelay.start();
    const a = await join(relay, 'a', 'arena');
    const failed = new GametapeError('JOURNAL_FAILED', 'on purpose');
    vi.spyOn(FileJournal.prototype, 'claim').mockRejectedValue(failed);
    vi.spyOn(RoomJournal.prototype, 'flush').mockImplementation(() => {
      throw failed;
    });
    onTestFinished(() => void vi.restoreAllMocks());
    a.say('what cannot be written');
    await waitFor('it to be read-only', async () => (await relay.get('/readyz')).status === 503);
    const refusal = { error: expect.objectContaining({ code: 'NAME_TAKEN' }) };
    expect(await ask(relay, { room: 'arena', spectatorDelayS: 5 })).toEqual([409, refusal]);
  });

  test('[S2] a relay keeps 64 that nobody has opened, and takes another when one of them is opened', async () => {
    const relay = await TestRelay.start();
    const prepare = (n: number) => ask(relay, { room: `room-${n}`, spectatorDelayS: 5 });
    for (let n = 0; n < 64; n++) expect((await prepare(n))[0]).toBe(201);
    const full = [503, { error: expect.objectContaining({ code: 'ROOM_FULL', hint: expect.stringMatching(/a day/) }) }];
    expect(await prepare(64)).toEqual(full);
    // One that is kept may be changed.
    expect((await prepare(3))[0]).toBe(201);
    await join(relay, 'a', 'room-3');
    expect((await prepare(64))[0]).toBe(201);
    expect(await prepare(65)).toEqual(full);
  });

  test('[S2] what nobody has opened for a day is forgotten', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const origins = new RoomOrigins(async () => Promise.reject(new Error('not asked for')), SILENT);
    const prepare = (room: string) => origins.add({ room, spectatorDelayMs: 5_000 }, () => false);
    for (let n = 0; n < 64; n++) await prepare(`room-${n}`);
    vi.advanceTimersByTime(23 * 3_600_000);
    await prepare('room-1');
    await expect(prepare('other')).rejects.toMatchObject({ code: 'ROOM_FULL' });
    vi.advanceTimersByTime(2 * 3_600_000);
    expect([origins.delayOf('room-1'), origins.delayOf('room-2')]).toEqual([5_000, undefined]);
    await prepare('other');
    expect(origins.delayOf('other')).toBe(5_000);
  });
});

/** A recording of the room `arena` in which two players go on after the checkpoint `here`. */
async function recorded(relay: TestRelay): Promise<string> {
  const [a, b] = [await join(relay, 'a', 'arena'), await join(relay, 'b', 'arena')];
  b.setState({ text: 'B' });
  await b.stable();
  a.setState({ text: 'A' });
  await a.checkpoint('here');
  for (const session of [a, b]) session.setState({ text: 'later' });
  await b.stable();
  return (await a.end()).recordingId;
}

function join(relay: TestRelay, player: string, room: string): Promise<Session> {
  return connect({ url: relay.wsUrl, room, player, profile: 'json', state: { text: 'new' } });
}

async function ask(relay: TestRelay, body: unknown): Promise<[number, unknown]> {
  const headers = { 'content-type': 'application/json' };
  const response = await relay.get('/v1/rooms', { method: 'POST', body: JSON.stringify(body), headers });
  return [response.status, await response.json()];
}
