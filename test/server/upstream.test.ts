import { connect } from '@gametape/client-sdk';
import { CloseCode, JSON_PROFILE, LIMITS, Vocabulary } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { bodyOf, messageBody, RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';

/** Not before, and not after, in microseconds. */
type Moment = readonly [from: number, to: number];

const texts = (count: number, from = 1): string[] => Array.from({ length: count }, (_, i) => `t${from + i}`);

describe('events on their way up', () => {
  test('[W2] what comes twice is acked again and recorded once', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, texts(5));
    await client.accepted(5);
    const before = client.received.length;
    client.events(1, texts(5));
    client.events(3, texts(1, 3));
    await waitFor('another ack', () => client.received.slice(before).some(({ kind }) => kind === 'ack'));
    client.events(4, texts(4, 4));
    await client.accepted(7);
    const { own } = await endedRecording(relay, client, 7);
    expect(own.map(({ pseq, data }) => [pseq, data.message])).toEqual(texts(7).map((text, i) => [i + 1, text]));
  });

  test('[W2] other content under a number that is taken closes the connection', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, ['yes', 'and no']);
    await client.accepted(2);
    client.events(2, ['something else']);
    const { code, reason } = await client.end();
    expect([code, reason]).toEqual([CloseCode.BAD_MESSAGE, expect.stringContaining('event 2')]);
    const again = await RawClient.join(relay.wsUrl, resumeOf(client));
    expect(again.welcome.lastPseq).toBe(2);
  });

  test('[W2] a gap is answered with the number that is expected', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    client.events(1, texts(2));
    client.events(5, texts(2, 5));
    expect((await client.next('expect')).pseq).toBe(3);
    client.events(3, texts(4, 3));
    await client.accepted(6);
    expect((await endedRecording(relay, client, 6)).own.map(({ pseq }) => pseq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('[W2] numbers that overlap with what is there are taken from where they are new', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    for (const [from, count] of [
      [1, 3],
      [2, 4],
      [1, 6],
      [6, 3],
    ] as const)
      client.events(from, texts(count, from));
    await client.accepted(8);
    const { own } = await endedRecording(relay, client, 8);
    expect(own.map(({ data }) => data.message)).toEqual(texts(8));
  });

  test('[W3] accepted is never ahead of the journal, stable never ahead of accepted, and both arrive', async () => {
    const relay = await TestRelay.start({ syncIntervalMs: 30 });
    const client = await RawClient.join(relay.wsUrl);
    for (let i = 1; i <= 200; i++) client.events(i, [`t${i}`]);
    await client.stable(200);
    for (const message of client.received) {
      if ('acks' in message) expect(message.acks.stable).toBeLessThanOrEqual(message.acks.accepted);
    }
    const firstStable = client.received.findIndex((message) => 'acks' in message && message.acks.stable > 0);
    const firstAccepted = client.received.findIndex((message) => 'acks' in message && message.acks.accepted > 0);
    expect(firstAccepted).toBeLessThanOrEqual(firstStable);
  });

  test('[W3] nothing is shown to others before it is accepted', async () => {
    const relay = await TestRelay.start();
    const writer = await RawClient.join(relay.wsUrl, { player: 'writer' });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader' });
    for (let i = 1; i <= 50; i++) {
      writer.events(i, [`t${i}`]);
      await reader.next('events-down', ({ events }) => events.some(({ producer }) => producer === 0));
    }
    await writer.accepted(50);
  });

  test('[W3] the SDK keeps what it recorded until it is stable', async () => {
    const relay = await TestRelay.start({ syncIntervalMs: 100 });
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json' });
    const kept: [accepted: number, stable: number, bytes: number][] = [];
    session.on('status', ({ accepted, stable, pendingBytes }) => kept.push([accepted, stable, pendingBytes]));
    for (let i = 1; i <= 50; i++) session.say(`t${i}`);
    expect(session.status).toMatchObject({ recorded: 50, accepted: 0, stable: 0 });
    await session.stable();
    expect(session.status).toMatchObject({ recorded: 50, accepted: 50, stable: 50, lost: 0, pendingBytes: 0 });
    expect(kept.filter(([accepted, stable]) => accepted === 50 && stable < 50).every(([, , bytes]) => bytes > 0)).toBe(
      true,
    );
    await session.end();
  });

  test('[W3] what no memory can hold becomes a gap that the recording states', async () => {
    const relay = await TestRelay.start();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json', state: { n: 0 } });
    const errors: unknown[] = [];
    session.on('error', (error) => errors.push(error));
    const record = (type: string, n: number): Moment => {
      const from = performance.now() * 1_000;
      session.record({ type, data: { n } }, { n });
      return [from, performance.now() * 1_000];
    };
    const saidBefore = record('before', 1);
    await session.stable();
    await relay.stop();
    await waitFor('the session to notice', () => session.status.connection === 'reconnecting');
    const text = 'x'.repeat(40_000);
    for (let n = 2; n <= 260; n++) session.record({ type: 'away', data: { text } }, { n });
    const lost = session.status.lost;
    expect(lost).toBeGreaterThan(100);
    expect(session.status.pendingBytes).toBeLessThan(9 * 1024 * 1024);
    expect(errors[0]).toMatchObject({ code: 'EVENTS_LOST' });
    await relay.restart();
    const saidAfter = record('after', 261);
    await session.stable();
    const summary = await session.end();
    const { own, states, summary: stated } = await relay.recording(summary.recordingId);
    const [player] = stated.players;
    expect(summary.complete).toBe(false);
    expect(player).toMatchObject({ id: 'a', expected: session.status.recorded });
    expect(player?.gaps.map(([first, last]) => last - first + 1)).toEqual([lost]);
    expect(player?.received).toBe(session.status.recorded - lost);
    expect(states.get('a')).toEqual({ n: 261 });
    // The stamps go on by the player's clock: what was lost took time as well.
    const [before, after] = ['before', 'after'].map((type) => own.find((entry) => entry.type === type));
    const sinceBefore = (after?.stamp ?? 0) - (before?.stamp ?? 0);
    expect(sinceBefore).toBeGreaterThan(saidAfter[0] - saidBefore[1] - 1_000);
    expect(sinceBefore).toBeLessThan(saidAfter[1] - saidBefore[0] + 1_000);
  });

  test('[W3] a checkpoint among what was dropped is not promised', async () => {
    const relay = await TestRelay.start();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a', profile: 'json', state: { n: 0 } });
    session.on('error', () => {});
    await relay.stop();
    await waitFor('the session to notice', () => session.status.connection === 'reconnecting');
    const checkpoint = session.checkpoint('lost').then(
      () => 'kept',
      (error: { code: string }) => error.code,
    );
    for (let n = 1; n <= 260; n++) session.record({ type: 'away', data: { text: 'x'.repeat(40_000) } });
    expect(await checkpoint).toBe('EVENTS_LOST');
    await relay.restart();
    await session.end();
  });

  test('[W2] a message of chunks is one message', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    const session = await connect({
      url: relay.wsUrl,
      room: 'arena',
      player: 'sdk',
      profile: 'json',
      state: { text: '' },
    });
    const text = 'long text '.repeat(50_000);
    session.setState({ text });
    await session.stable();
    expect((await endedRecording(relay, client, 0)).states.get('sdk')).toEqual({ text });
  });

  test('[S2] one message of all chunks has a limit', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl);
    const bytes = new Uint8Array(60_000);
    for (let sent = 0; sent <= LIMITS.chunkedBytes; sent += bytes.length)
      client.send({ kind: 'chunk', last: false, bytes });
    expect(await client.end()).toEqual({
      code: CloseCode.BAD_MESSAGE,
      reason: expect.stringMatching(/^LIMIT_EXCEEDED: message: over \d+ bytes in chunks/),
    });
  });
});

describe('deltas that do not fit', () => {
  test('[D3] the relay asks for a keyframe, and the recording states the gap', async () => {
    const relay = await TestRelay.start();
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const state = bodyOf({ change: { form: 'keyframe', entries: [['text', 'abc']] } }, vocabulary);
    const client = await RawClient.join(relay.wsUrl, { state });
    const watcher = await connect({ url: relay.wsUrl, room: 'arena', player: 'watcher', profile: 'json' });
    const splice = (at: number, insert: string) =>
      bodyOf({ change: { form: 'delta', ops: [{ op: 'splice', key: 'text', at, remove: 0, insert }] } }, vocabulary);
    const send = (firstPseq: number, ...bodies: Uint8Array[]) =>
      client.send({ kind: 'events-up', firstPseq, events: bodies.map((body) => ({ stampDelta: 1_000, body })) });
    send(1, splice(3, 'd'));
    send(2, splice(99, 'no'), messageBody('after it'));
    expect((await client.next('need-keyframe')).pseq).toBe(2);
    // What was on its way meanwhile is part of the gap.
    send(4, messageBody('still on its way'));
    await client.accepted(1);
    client.send({ kind: 'gap', firstPseq: 2, lastPseq: 4, reason: 'out of step' });
    const fresh = new Vocabulary(JSON_PROFILE);
    send(5, bodyOf({ change: { form: 'keyframe', entries: [['text', 'abcdef']] } }, fresh));
    await client.accepted(5);
    await waitFor('the watcher to see it', () => watcher.states.get('raw')?.text === 'abcdef');
    const { own, summary, states } = await endedRecording(relay, client, 5);
    expect(own.filter(({ player }) => player === 'raw').map(({ pseq }) => pseq)).toEqual([1, 5]);
    expect(states.get('raw')).toEqual({ text: 'abcdef' });
    expect(summary).toMatchObject({ complete: false });
    expect(summary.players[0]).toMatchObject({ expected: 5, received: 2, gaps: [[2, 4]] });
  });

  test('[D3] a delta right after the gap is not guessed at', async () => {
    const relay = await TestRelay.start();
    const state = bodyOf({ change: { form: 'keyframe', entries: [['n', 1]] } });
    const client = await RawClient.join(relay.wsUrl, { state });
    const watcher = await connect({ url: relay.wsUrl, room: 'arena', player: 'watcher', profile: 'json' });
    const statuses: string[] = [];
    watcher.on('status', ({ connection }) => statuses.push(connection));
    client.send({ kind: 'gap', firstPseq: 1, lastPseq: 3, reason: 'mine' });
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const set = bodyOf({ change: { form: 'delta', ops: [{ op: 'set', key: 'm', value: 2 }] } }, vocabulary);
    client.send({ kind: 'events-up', firstPseq: 4, events: [{ stampDelta: 0, body: set }] });
    expect((await client.next('need-keyframe')).pseq).toBe(4);
    client.send({ kind: 'gap', firstPseq: 4, lastPseq: 4, reason: 'mine' });
    const keyframe = bodyOf({ change: { form: 'keyframe', entries: [['m', 2]] } });
    client.send({ kind: 'events-up', firstPseq: 5, events: [{ stampDelta: 0, body: keyframe }] });
    await waitFor('the watcher to see it', () => watcher.states.get('raw')?.m === 2);
    expect(statuses.filter((status) => status !== 'live')).toEqual([]);
    expect((await endedRecording(relay, client, 5)).states.get('raw')).toEqual({ m: 2 });
  });

  test('[D3] the demand for a keyframe is made again when it was lost with its socket', async () => {
    const relay = await TestRelay.start();
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const state = bodyOf({ change: { form: 'keyframe', entries: [['n', 1]] } }, vocabulary);
    const first = await RawClient.join(relay.wsUrl, { state });
    const misfit = bodyOf({ change: { form: 'delta', ops: [{ op: 'delete', key: 'none' }] } }, vocabulary);
    const events = [{ stampDelta: 0, body: misfit }];
    first.send({ kind: 'events-up', firstPseq: 1, events });
    await first.next('need-keyframe');
    await first.vanish();
    const second = await RawClient.join(relay.wsUrl, resumeOf(first));
    second.send({ kind: 'events-up', firstPseq: 1, events });
    expect((await second.next('need-keyframe')).pseq).toBe(1);
  });

  test('[D3] others follow across a gap, also when they come back or the relay does', async () => {
    const relay = await TestRelay.start();
    const client = await RawClient.join(relay.wsUrl, {
      state: bodyOf({ change: { form: 'keyframe', entries: [['n', 1]] } }),
    });
    const vocabulary = new Vocabulary(JSON_PROFILE);
    const learned = bodyOf({ event: { type: 'one', data: { a: 1 } } }, vocabulary);
    client.send({ kind: 'events-up', firstPseq: 1, events: [{ stampDelta: 0, body: learned }] });
    const reader = await RawClient.join(relay.wsUrl, { player: 'reader', role: 'spectator' });
    client.send({ kind: 'gap', firstPseq: 2, lastPseq: 3, reason: 'mine' });
    await client.accepted(3);
    await relay.restart();
    const again = await RawClient.join(relay.wsUrl, resumeOf(client));
    const fresh = new Vocabulary(JSON_PROFILE);
    const bodies = [
      bodyOf({ event: { type: 'two', data: { b: 1 } }, change: { form: 'keyframe', entries: [['n', 2]] } }, fresh),
      bodyOf({ event: { type: 'two', data: { b: 2 } } }, fresh),
    ];
    again.send({ kind: 'events-up', firstPseq: 4, events: bodies.map((body) => ({ stampDelta: 0, body })) });
    await again.accepted(5);
    await relay.restart();
    const { recordingId } = client.welcome;
    const resumed = await RawClient.join(relay.wsUrl, {
      player: 'reader',
      role: 'spectator',
      resume: { recordingId, epoch: reader.welcome.epoch, seq: reader.welcome.seq },
    });
    expect(resumed.welcome.resumption).toBe('resumed');
    await waitFor('the missed events', () => resumed.received.some(({ kind }) => kind === 'events-down'));
    const kinds = resumed.received.filter(({ kind }) => kind === 'producer' || kind === 'events-down');
    expect(kinds[0]).toMatchObject({ kind: 'producer', index: 0 });
    expect(kinds[1]).toMatchObject({ kind: 'events-down' });
  });
});

async function endedRecording(relay: TestRelay, client: RawClient, lastPseq: number) {
  client.send({ kind: 'end', lastPseq, outcome: {} });
  const { summary } = await client.next('ended');
  return await relay.recording(summary.recordingId);
}

/** The hello of the same instance's next connection. */
function resumeOf(client: RawClient) {
  const { recordingId, epoch, seq } = client.welcome;
  return { resume: { recordingId, epoch, seq } };
}
