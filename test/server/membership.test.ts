import { connect, type Session, spectate } from '@gametape/client-sdk';
import { CloseCode } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { type Recording, TestRelay } from '../support/relay.ts';
import { waitFor, within } from '../support/wait-for.ts';

describe('coming and going', () => {
  test('a player that leaves is gone at once, with everything it recorded', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    const left: unknown[] = [];
    b.on('player_leave', ({ player, data }) => left.push([player, data.reason]));
    for (let i = 0; i < 300; i++) a.say(`t${i}`);
    await a.leave();
    expect(a.status.connection).toBe('closed');
    await waitFor('the news', () => left.length > 0);
    expect(left).toEqual([['a', 'left']]);
    expect(b.players.get('a')).toMatchObject({ connected: false });
    const summary = await b.end();
    expect(summary.complete).toBe(true);
    const { own } = await relay.recording(summary.recordingId);
    expect(own.filter(({ player }) => player === 'a')).toHaveLength(300);
  });

  test('what is recorded while leaving is refused or recorded, never lost', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    let said = 0;
    const say = (): void => {
      try {
        a.say(`t${said}`);
        said++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'SESSION_CLOSED' });
      }
    };
    say();
    const left = a.leave();
    const timer = setInterval(say, 0);
    await left;
    clearInterval(timer);
    const summary = await b.end();
    expect(summary.complete).toBe(true);
    const { own } = await relay.recording(summary.recordingId);
    expect(own.filter(({ player }) => player === 'a')).toHaveLength(said);
  });

  test('a player that is lost for less than the grace has never been away', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 60_000 });
    const [b] = await join(relay, ['b']);
    const seen: unknown[] = [];
    b.on('event', ({ type }) => seen.push(type));
    const client = await RawClient.join(relay.wsUrl, { player: 'a' });
    await client.vanish();
    expect((await relay.room('arena'))?.players).toContainEqual(expect.objectContaining({ id: 'a', connected: true }));
    const again = await RawClient.join(relay.wsUrl, { player: 'a', ...resumeOf(client) });
    again.events(1, ['back']);
    await waitFor('the message', () => seen.includes('player_message'));
    expect(seen).toEqual(['player_join', 'player_message']);
  });

  test('one that is lost for longer is dropped, and may join again where it was', async () => {
    const relay = await TestRelay.start({ dropGraceMs: 40 });
    const [b] = await join(relay, ['b']);
    const seen: unknown[] = [];
    b.on('event', ({ type, data }) => seen.push(data.message ?? data.reason ?? type));
    const client = await RawClient.join(relay.wsUrl, { player: 'a' });
    client.events(1, ['one']);
    await client.accepted(1);
    await client.vanish();
    await waitFor('the drop', () => seen.includes('dropped'));
    const again = await RawClient.join(relay.wsUrl, { player: 'a', ...resumeOf(client) });
    expect(again.welcome).toMatchObject({ producer: client.welcome.producer, lastPseq: 1 });
    again.events(2, ['two']);
    await waitFor('the message', () => seen.includes('two'));
    expect(seen).toEqual(['player_join', 'one', 'dropped', 'player_join', 'two']);
    again.send({ kind: 'leave', lastPseq: 2 });
    expect(await again.end()).toMatchObject({ code: CloseCode.LEFT });
    const summary = await b.end();
    expect(summary).toMatchObject({ complete: true });
  });

  test('[W6] a room that everybody has left is finished by itself', async () => {
    const relay = await TestRelay.start({ idleFinishMs: 30, dropGraceMs: 30 });
    const [a] = await join(relay, ['a']);
    const live = await spectate({ url: relay.wsUrl, room: 'arena' });
    const ended = new Promise((resolve) => live.on('end', resolve));
    a.say('bye');
    await a.leave();
    expect(await within('the end', ended)).toMatchObject({ complete: true, recordingId: a.recordingId });
    await waitFor('the room to be gone', async () => (await relay.room('arena')) === undefined);
    await expect(spectate({ url: relay.wsUrl, room: 'arena' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a player that is refused does not keep an empty room alive', async () => {
    const relay = await TestRelay.start({ idleFinishMs: 100 });
    const [a] = await join(relay, ['a']);
    await a.leave();
    const wrong = await RawClient.open(relay.wsUrl);
    wrong.hello({ profile: 'lmsp' });
    await wrong.end();
    await waitFor('the room to be gone', async () => (await relay.room('arena')) === undefined);
  });
});

describe('the end', () => {
  test('[W6] it states what each player recorded, and everything of it is there', async () => {
    const relay = await TestRelay.start();
    const sessions = await join(relay, ['a', 'b', 'c']);
    for (let i = 0; i < 200; i++) for (const session of sessions) session.say(`${session.player} ${i}`);
    const ends = sessions.map(
      (session) =>
        new Promise<void>((resolve) => session.on('status', ({ connection }) => connection === 'ended' && resolve())),
    );
    const summary = await sessions[1]?.end({ success: true });
    await within('everybody to hear of it', Promise.all(ends));
    expect(summary).toMatchObject({ room: 'arena', complete: true });
    expect(summary?.players.map(({ id, expected, received, gaps }) => [id, expected, received, gaps])).toEqual(
      ['a', 'b', 'c'].map((id) => [id, 200, 200, []]),
    );
    const recording = await relay.recording(summary?.recordingId as string);
    expect(recording.summary).toMatchObject({ complete: true, outcome: { success: true } });
    for (const { player } of sessions)
      expect(messagesOf(recording, player)).toEqual(Array.from({ length: 200 }, (_, i) => `${player} ${i}`));
    expect(() => sessions[0]?.say('too late')).toThrow(/ended/);
    expect(await sessions[0]?.end()).toEqual(summary);
  });

  test('[W6] who asks for the end at the same time gets the same one', async () => {
    const relay = await TestRelay.start();
    const sessions = await join(relay, ['a', 'b']);
    const summaries = await Promise.all(sessions.map((session) => session.end()));
    expect(summaries[0]).toEqual(summaries[1]);
    const [next] = await join(relay, ['a']);
    expect(next.recordingId).not.toBe(summaries[0]?.recordingId);
  });

  test('[W6] what is recorded while the room ends is refused, or it is in the recording', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await join(relay, ['a', 'b']);
    const slow = await RawClient.join(relay.wsUrl, { player: 'slow' });
    let said = 0;
    const timer = setInterval(() => {
      try {
        b.say(`t${said}`);
        said++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'SESSION_CLOSED' });
      }
    }, 0);
    await waitFor('some events', () => said > 20);
    const ended = a.end();
    await slow.next('ending');
    const before = said;
    await waitFor('the room to be about to end', () => !canSay(b));
    slow.send({ kind: 'final', lastPseq: 0 });
    const summary = await ended;
    clearInterval(timer);
    expect(said - before).toBeLessThan(50);
    expect(summary.complete).toBe(true);
    expect(messagesOf(await relay.recording(summary.recordingId), 'b')).toHaveLength(said + probes);
  });

  test('[W6] what is missing is named, and sent again', async () => {
    const relay = await TestRelay.start();
    const [a] = await join(relay, ['a']);
    const client = await RawClient.join(relay.wsUrl, { player: 'late' });
    client.events(1, ['one']);
    const ended = a.end();
    await client.next('ending');
    client.send({ kind: 'final', lastPseq: 3 });
    expect((await client.next('expect')).pseq).toBe(2);
    await client.next('ending');
    client.events(2, ['two', 'three']);
    client.send({ kind: 'final', lastPseq: 3 });
    const summary = await ended;
    expect(summary.complete).toBe(true);
    expect(messagesOf(await relay.recording(summary.recordingId), 'late')).toEqual(['one', 'two', 'three']);
  });

  test('[W6] events after the final are not acked, as they are not in the recording', async () => {
    const relay = await TestRelay.start();
    const [a] = await join(relay, ['a']);
    const [slow, hasty] = await Promise.all(['slow', 'hasty'].map((player) => RawClient.join(relay.wsUrl, { player })));
    const ended = a.end();
    await hasty?.next('ending');
    hasty?.events(1, ['in']);
    hasty?.send({ kind: 'final', lastPseq: 1 });
    hasty?.events(2, ['out']);
    await hasty?.accepted(1);
    await slow?.next('ending');
    slow?.send({ kind: 'final', lastPseq: 0 });
    const summary = await ended;
    expect(summary.complete).toBe(true);
    expect(hasty?.acks.accepted).toBe(1);
    expect(messagesOf(await relay.recording(summary.recordingId), 'hasty')).toEqual(['in']);
  });

  test('[W6] a player that never answers is waited for only so long, and the recording says so', async () => {
    const relay = await TestRelay.start({ endTimeoutMs: 100 });
    const [a] = await join(relay, ['a']);
    const mute = await RawClient.join(relay.wsUrl, { player: 'mute' });
    mute.events(1, ['heard']);
    await mute.accepted(1);
    const summary = await a.end();
    expect(summary.complete).toBe(false);
    expect(summary.players.map(({ id, expected, received }) => [id, expected, received])).toEqual([
      ['a', 0, 0],
      ['mute', null, 1],
    ]);
    expect(await mute.next('ended')).toMatchObject({ summary: { complete: false } });
    expect(await mute.end()).toMatchObject({ code: CloseCode.ROOM_ENDED });
    expect((await relay.recording(summary.recordingId)).summary.complete).toBe(false);
  });

  test('[W6] a player that is away for a moment is asked when it is back', async () => {
    const relay = await TestRelay.start();
    const [a] = await join(relay, ['a']);
    const away = await RawClient.join(relay.wsUrl, { player: 'away' });
    await away.vanish();
    const ended = a.end();
    const back = await RawClient.join(relay.wsUrl, { player: 'away', ...resumeOf(away) });
    await back.next('ending');
    back.events(1, ['made it']);
    back.send({ kind: 'final', lastPseq: 1 });
    const summary = await ended;
    expect(summary.complete).toBe(true);
    expect(messagesOf(await relay.recording(summary.recordingId), 'away')).toEqual(['made it']);
  });

  test('[W6] one that comes back after the end gets the end', async () => {
    const relay = await TestRelay.start({ endTimeoutMs: 50 });
    const [a] = await join(relay, ['a']);
    const away = await RawClient.join(relay.wsUrl, { player: 'away' });
    await away.vanish();
    const summary = await a.end();
    for (const restarts of [false, true]) {
      if (restarts) await relay.restart();
      const back = await RawClient.open(relay.wsUrl);
      back.hello({ player: 'away', ...resumeOf(away) });
      expect((await back.next('ended')).summary).toEqual(summary);
      expect(await back.end()).toMatchObject({ code: CloseCode.ROOM_ENDED });
    }
  });

  test('nobody new gets into a room that is about to end', async () => {
    const relay = await TestRelay.start();
    const [a] = await join(relay, ['a']);
    const slow = await RawClient.join(relay.wsUrl, { player: 'slow' });
    const ended = a.end();
    await slow.next('ending');
    const late = await RawClient.open(relay.wsUrl);
    late.hello({ player: 'late' });
    expect(await late.end()).toMatchObject({
      code: CloseCode.ROOM_ENDED,
      reason: expect.stringMatching(/^ROOM_ENDED/),
    });
    slow.send({ kind: 'final', lastPseq: 0 });
    expect((await ended).players.map(({ id }) => id)).toEqual(['a', 'slow']);
    const fresh = await RawClient.join(relay.wsUrl, { player: 'late' });
    expect(fresh.welcome.recordingId).not.toBe(a.recordingId);
  });
});

let probes = 0;

/** Whether the session still records; what it records to find out is counted. */
function canSay(session: Session): boolean {
  try {
    session.say('probe');
    probes++;
    return true;
  } catch {
    return false;
  }
}

async function join(relay: TestRelay, players: string[]): Promise<[Session, Session, ...Session[]]> {
  const options = { url: relay.wsUrl, room: 'arena', profile: 'json', flushMs: 4 } as const;
  const sessions: Session[] = [];
  for (const player of players) sessions.push(await connect({ ...options, player }));
  return sessions as [Session, Session, ...Session[]];
}

function messagesOf({ own }: Recording, player: string): unknown[] {
  return own.filter((entry) => entry.player === player).map(({ data }) => data.message);
}

function resumeOf({ welcome: { recordingId, epoch, seq } }: RawClient) {
  return { resume: { recordingId, epoch, seq } };
}
