import { connect, type Session } from '@gametape/client-sdk';
import { closeAction, encodeMessage } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChaosProxy, type ChaosProxyOptions } from '../support/chaos-proxy.ts';
import { messageBody, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

const ROOM = 'arena';
const TEXT = 'twelve bytes';
/** Of a short frame of a client: two and its mask. */
const FRAME_BYTES = 6;
/** The text is the end of its message. */
const BYTES_BEFORE_TEXT = encodedMessage(TEXT).length - TEXT.length;

describe('over a bad network', () => {
  test('[W2] [W4] resets in the middle of it: everybody resumes, and nothing is lost or twice', async () => {
    const relay = await TestRelay.start();
    const proxy = await proxyTo(relay);
    const [a, b] = [await join(proxy, 'a'), await join(proxy, 'b')];
    const seen: unknown[] = [];
    b.on('player_message', ({ data }) => seen.push(data.message));
    let said = 0;
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 40; i++) a.say(`t${said++}`);
      if (round % 2 === 0) await waitFor('some of it to be on its way', () => a.status.accepted > round * 40);
      const { opened } = proxy;
      proxy.reset();
      await waitFor('both to be back', () => proxy.opened >= opened + 2 && isLive(a) && isLive(b));
    }
    const all = Array.from({ length: said }, (_, i) => `t${i}`);
    await waitFor('the other to see it all', () => seen.length >= said);
    expect(seen).toEqual(all);
    const summary = await a.end();
    expect(summary.complete).toBe(true);
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(all);
    expect(proxy.opened).toBeGreaterThanOrEqual(12);
  });

  test('[W2] the answer to what was recorded is lost: it comes again and is not recorded again', async () => {
    const relay = await TestRelay.start();
    const proxy = await proxyTo(relay);
    const a = await join(proxy, 'a');
    await a.stable();
    // Far more than the events have: they are in the journal, and no ack of them gets back.
    proxy.down.isSilent = true;
    for (let i = 0; i < 20; i++) a.say(`t${i}`);
    await waitFor('the relay to have them', async () => ((await relay.room(ROOM))?.events ?? 0) >= 21);
    expect(a.status.accepted).toBe(0);
    proxy.down.isSilent = false;
    proxy.reset();
    await waitFor('all to be accepted', () => a.status.accepted === 20);
    const summary = await a.end();
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(Array.from({ length: 20 }, (_, i) => `t${i}`));
  });

  test('[W10] a half-open connection is found by its silence, at both ends', async () => {
    // Longer than a busy machine stands still: then nobody would be told apart from who is gone.
    const relay = await TestRelay.start({ heartbeatMs: 50, silenceMs: 3_000 });
    const proxy = await proxyTo(relay);
    const [a, b] = [await join(proxy, 'a'), await join(proxy, 'b')];
    a.say('before');
    await a.stable();
    const startedAt = performance.now();
    proxy.halfOpen();
    a.say('into the void');
    // Sooner than after the 15 s of a relay that names none.
    await waitFor('the end of a to notice', () => !isLive(a), 10_000);
    expect(performance.now() - startedAt).toBeGreaterThan(300);
    await waitFor('both to be back', () => isLive(a) && isLive(b));
    await a.stable();
    // The relay had found out too, or had superseded them: each player is there once.
    const room = await relay.room(ROOM);
    expect(room?.players.map(({ id, connected }) => [id, connected])).toEqual([
      ['a', true],
      ['b', true],
    ]);
    const summary = await a.end();
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(['before', 'into the void']);
  });

  test('segments of one byte, a slow line and jitter change nothing of what is recorded', async () => {
    const plain = await recordedThrough({});
    expect(await recordedThrough({ up: { splits: true }, down: { splits: true } })).toEqual(plain);
    const slow = { delayMs: 15, jitterMs: 20, bytesPerSecond: 200_000 };
    expect(await recordedThrough({ up: slow, down: slow, seed: 5 })).toEqual(plain);
  });

  test('[W11] a byte that is not what was sent closes that one connection, and nothing wrong is recorded', async () => {
    const relay = await TestRelay.start();
    const proxy = await proxyTo(relay);
    const healthy = await connect({ url: relay.wsUrl, room: ROOM, player: 'b', profile: 'json', flushMs: 0 });
    healthy.say('one');
    for (let byte = 0; byte < TEXT.length; byte++) {
      const raw = await RawClient.join(`ws://127.0.0.1:${proxy.port}`, { room: ROOM, player: `a${byte}` });
      await waitFor(
        'the first probes to be answered',
        () => raw.received.filter(({ kind }) => kind === 'ping').length > 3,
      );
      await raw.quiet();
      proxy.corruptNext(FRAME_BYTES + BYTES_BEFORE_TEXT + byte);
      raw.events(1, [TEXT]);
      const { code } = await raw.end();
      expect(closeAction(code), `byte ${byte}: ${code}`).toBe('stop');
    }
    healthy.say('two');
    expect(healthy.status.connection).toBe('live');
    const summary = await healthy.end();
    const { own } = await relay.recording(summary.recordingId);
    expect(own.map(({ data }) => data.message)).toEqual(['one', 'two']);
  });
});

/** What one player typing through that network leaves: events, states, counts. */
async function recordedThrough(options: ChaosProxyOptions): Promise<unknown> {
  const relay = await TestRelay.start();
  const proxy = await proxyTo(relay, options);
  const session = await join(proxy, 'a', { text: '' });
  for (let i = 0; i < 60; i++) {
    session.edit('text', { at: i, remove: 0, insert: String.fromCharCode(97 + (i % 26)) });
    session.record({ type: 'keystroke', data: { i } });
    if (i % 20 === 0) await session.stable();
  }
  const summary = await session.end();
  const { own, states } = await relay.recording(summary.recordingId);
  const events = own.map(({ pseq, type, data }) => ({ pseq, type, data }));
  return { complete: summary.complete, events, states: [...states] };
}

async function proxyTo(relay: TestRelay, options?: ChaosProxyOptions): Promise<ChaosProxy> {
  const proxy = await ChaosProxy.start(relay.port, options);
  onTestFinished(() => proxy.close());
  return proxy;
}

function join(proxy: ChaosProxy, player: string, state?: { text: string }): Promise<Session> {
  const url = `ws://127.0.0.1:${proxy.port}`;
  return connect({ url, room: ROOM, player, profile: 'json', flushMs: 1, ...(state && { state }) });
}

function isLive({ status }: Session): boolean {
  return status.connection === 'live';
}

function encodedMessage(text: string): Uint8Array {
  return encodeMessage({ kind: 'events-up', firstPseq: 1, events: [{ stampDelta: 100, body: messageBody(text) }] });
}
