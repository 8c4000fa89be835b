import { connect, type Session, spectate } from '@gametape/client-sdk';
import { closeAction, type DownMessage, decodeDownMessage, encodeMessage, SUBPROTOCOL } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { helloOf, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { fragmentBytes, readFragment, syncOf } from '../support/room-past.ts';
import { SlowReader } from '../support/slow-reader.ts';
import { waitFor } from '../support/wait-for.ts';

const LONG = 'x'.repeat(30_000);
const MIB = 1024 * 1024;

describe('spectators that do not keep up', () => {
  test('[W8] one that is too far behind goes on from a snapshot over the same connection; the fragments have what it missed', async () => {
    const relay = await TestRelay.start();
    const ann = await join(relay, 'ann');
    const reader = await SlowReader.start(relay.port);
    const slow = await RawClient.join(reader.url, { player: 'slow', role: 'spectator' });
    const view = await spectate({ url: reader.url, room: 'arena' });
    const statuses: string[] = [];
    view.on('status', (status) => statuses.push(status));
    reader.limit(0);
    await playLong(ann, 500);
    reader.limit(Number.POSITIVE_INFINITY);
    const again = await slow.next('welcome', ({ resumption }) => resumption === 'reset');
    ann.edit('text', { at: 0, remove: 0, insert: 'the end ' });
    await ann.stable();
    const { headSeq, recordingId } = await syncOf(relay, 'arena');
    const shown = () => eventSeqs(slow.received);
    await waitFor('the last event', () => shown().at(-1) === headSeq);
    const seqs = shown();
    const [last = 0] = seqs.filter((seq) => seq <= again.seq).slice(-1);
    expect(again.seq).toBeGreaterThan(last + 1);
    expect(seqs.filter((seq) => seq > again.seq)).toEqual(range(again.seq + 1, headSeq));
    expect(slow.isClosed).toBe(false);
    await waitFor('the right state', () => view.states.get('ann')?.text === ann.state.text);
    expect(view.states.get('ann')).toEqual(ann.state);
    expect(statuses).toEqual([]);
    const { fragments, tail } = await syncOf(relay, 'arena', `?after=${last}`);
    const missed: number[] = [];
    for (const { name } of [...fragments, tail]) {
      const bytes = await fragmentBytes(relay, recordingId, name);
      missed.push(...readFragment(bytes as Uint8Array).entries.map(({ seq }) => seq));
    }
    expect(missed.filter((seq) => seq > last && seq <= again.seq)).toEqual(range(last + 1, again.seq));
  });

  test('[W8] among 200 who read, one that never does and one that reads 1 KB/s cost nothing, and come back to the right state', async () => {
    const relay = await TestRelay.start({ heartbeatMs: 1_000, silenceMs: 30_000 });
    const ann = await join(relay, 'ann');
    const crowd = await Promise.all(Array.from({ length: 200 }, (_, i) => Watcher.join(relay, `watcher-${i}`)));
    const readers = await Promise.all([SlowReader.start(relay.port), SlowReader.start(relay.port)]);
    const [never, slowly] = readers;
    const lives = await Promise.all(readers.map(({ url }) => spectate({ url, room: 'arena' })));
    never.limit(0);
    slowly.limit(1_024);
    const before = process.memoryUsage().rss;
    let most = before;
    // Until both have been dropped: nothing is ever kept for them beyond what they may be sent.
    await waitFor(
      'both to be dropped',
      async () => {
        await playLong(ann, 10);
        const { headSeq } = await syncOf(relay, 'arena');
        await waitFor('the crowd to be shown it', () => crowd.every(({ seq }) => seq >= headSeq));
        most = Math.max(most, process.memoryUsage().rss);
        return ((await relay.room('arena'))?.spectators ?? 0) <= crowd.length;
      },
      100_000,
    );
    expect(most - before).toBeLessThan(300 * MIB);
    for (const { isWhole, isClosed } of crowd) expect([isWhole, isClosed]).toEqual([true, false]);
    for (const reader of readers) reader.limit(Number.POSITIVE_INFINITY);
    for (const live of lives) {
      await waitFor('the right state', () => live.states.get('ann')?.text === ann.state.text);
    }
    ann.edit('text', { at: 0, remove: 0, insert: 'after all ' });
    for (const live of lives) {
      await waitFor('what comes after', () => String(live.states.get('ann')?.text).startsWith('after all '));
    }
  }, 180_000);
});

describe('spectators who come in masses', () => {
  test('[V1, W5] three hundred at once have the right states, and miss nothing from there on', async () => {
    const relay = await TestRelay.start();
    const players = await Promise.all(['ann', 'ben', 'cid'].map((player) => join(relay, player)));
    for (const session of players) session.setState({ text: `${session.player} ${LONG}` });
    await Promise.all(players.map((session) => session.stable()));
    const joining = Promise.all(Array.from({ length: 300 }, (_, i) => Watcher.join(relay, `w-${i}`)));
    let isJoining = true;
    void joining.finally(() => {
      isJoining = false;
    });
    while (isJoining) {
      for (const session of players) session.say(`now ${performance.now()}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const crowd = await joining;
    await Promise.all(players.map((session) => session.stable()));
    const { headSeq } = await syncOf(relay, 'arena');
    await waitFor('all to be shown it', () => crowd.every(({ seq }) => seq >= headSeq));
    for (const { isWhole, isClosed } of crowd) expect([isWhole, isClosed]).toEqual([true, false]);
  });
});

describe('who watches', () => {
  test('players and spectators are told, at most once a second and with every heartbeat', async () => {
    const relay = await TestRelay.start();
    const ann = await join(relay, 'ann');
    expect(ann.spectators).toEqual({ count: 0, ids: [] });
    const told: number[] = [];
    ann.on('spectators', ({ count }) => told.push(count));
    const startedAt = performance.now();
    const watchers: RawClient[] = [];
    for (let i = 0; i < 120; i++) {
      watchers.push(await RawClient.join(relay.wsUrl, { player: `w${i}`, role: 'spectator' }));
    }
    await waitFor('all to be counted', () => ann.spectators.count === 120);
    expect(ann.spectators.ids).toEqual(range(0, 99).map((i) => `w${i}`));
    expect(told.length).toBeLessThanOrEqual((performance.now() - startedAt) / 1_000 + 2);
    expect(await relay.room('arena')).toMatchObject({ spectators: 120, spectatorIds: ann.spectators.ids });
    const first = watchers[0] as RawClient;
    await first.next('spectators', ({ count }) => count === 120);
    await watchers[5]?.vanish();
    await waitFor('one less', () => ann.spectators.count === 119);
    expect(ann.spectators.ids).not.toContain('w5');
    const ben = await join(relay, 'ben');
    expect(ben.spectators.count).toBe(119);
    const last = await RawClient.join(relay.wsUrl, { player: 'last', role: 'spectator' });
    expect(last.welcome.spectators.count).toBe(120);
  });

  test('[W10] spectators are told the time of the room with every heartbeat', async () => {
    const relay = await TestRelay.start();
    await join(relay, 'ann');
    const askedAt = performance.now();
    const watcher = await RawClient.join(relay.wsUrl, { player: 'w', role: 'spectator' });
    const welcomedAt = performance.now();
    const { roomTime, holdMs, delayMs } = watcher.welcome;
    expect([delayMs, holdMs]).toEqual([0, 50]);
    for (let inTime = 0, last = roomTime; inTime < 3; ) {
      const { time, holdMs: hold } = await watcher.next('clock');
      const toldAt = performance.now();
      expect(hold).toBe(50);
      // It may be late on a machine that stands still, and is never ahead.
      expect(time).toBeGreaterThanOrEqual(last);
      expect((time - roomTime) / 1_000).toBeLessThanOrEqual(toldAt - askedAt);
      if (toldAt - welcomedAt - (time - roomTime) / 1_000 < 500) inTime++;
      last = time;
    }
  });
});

/** A spectator that keeps nothing but how far it was shown, and whether anything was missing. */
class Watcher {
  seq = 0;
  welcomeSeq = 0;
  isWhole = true;
  isClosed = false;
  readonly #ready: Promise<void>;

  private constructor(url: string, player: string) {
    const socket = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false });
    onTestFinished(() => socket.terminate());
    let hasChunk = false;
    this.#ready = new Promise((resolve, reject) => {
      socket.on('open', () => socket.send(encodeMessage(helloOf({ player, role: 'spectator', instance: player }))));
      socket.on('error', reject);
      socket.on('message', (data: Buffer) => {
        const message = decodeDownMessage(new Uint8Array(data));
        if (message.kind === 'ping') {
          socket.send(encodeMessage({ kind: 'pong', id: message.id, received: 0, sent: 0 }));
        }
        if (message.kind === 'welcome') this.#welcome(message.seq);
        if (message.kind === 'events-down') {
          for (const { seq } of message.events) this.#take(seq);
        }
        hasChunk ||= message.kind === 'chunk' || message.kind === 'snapshot';
        if (hasChunk) resolve();
      });
    });
    socket.on('close', (code) => {
      this.isClosed = closeAction(code) !== undefined;
    });
  }

  static async join(relay: TestRelay, player: string): Promise<Watcher> {
    const watcher = new Watcher(relay.wsUrl, player);
    await watcher.#ready;
    return watcher;
  }

  #welcome(seq: number): void {
    // A second one would say that it was behind.
    if (this.welcomeSeq > 0) this.isWhole = false;
    this.seq = seq;
    this.welcomeSeq = seq;
  }

  #take(seq: number): void {
    if (seq !== this.seq + 1) this.isWhole = false;
    this.seq = seq;
  }
}

/** Long events, each with an edit of the state, as fast as the relay takes them. */
async function playLong(session: Session, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    session.edit('text', { at: 0, remove: 0, insert: 'a' });
    session.record({ type: 'blob', data: { text: LONG } });
    if (i % 50 === 49) await session.stable();
  }
  await session.stable();
}

function eventSeqs(messages: readonly DownMessage[]): number[] {
  return messages.flatMap((message) => (message.kind === 'events-down' ? message.events.map(({ seq }) => seq) : []));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

function join(relay: TestRelay, player: string): Promise<Session> {
  const options = { url: relay.wsUrl, room: 'arena', profile: 'json', flushMs: 4 } as const;
  return connect({ ...options, player, state: { text: '' } });
}
