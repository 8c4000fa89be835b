import { type Live, openRecording, type SpectateFrom, spectate } from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor } from '../support/wait-for.ts';
import { every, Game, Truth, Watcher } from '../support/watched-room.ts';

const SPECTATORS = 50;
const ROUNDS = 40;

describe('watching a room that goes on', () => {
  test('[V3] [T6] 50 spectators who jump, run, stop and lose their connections see what the recording has at that time', async () => {
    const relay = await TestRelay.start();
    const proxies = await Promise.all([1, 2, 3, 4].map((seed) => proxyTo(relay.port, seed)));
    const late = await proxyTo(relay.port, 9);
    const random = seededRandom(42);
    const game = await Game.start(relay.wsUrl, {
      steady: ['ann', 'bob'],
      shaky: [`ws://127.0.0.1:${late.port}`, 'cat'],
    });
    const watchers: Watcher[] = [];
    const cuts = every(400, () => proxies[Math.floor(random() * proxies.length)]?.reset());
    // The shaky player is silent, types on, and is back: what it typed then arrives much too late.
    const silences = every(1_900, async () => {
      late.halfOpen();
      await new Promise((resolve) => setTimeout(resolve, 900));
      late.reset();
    });
    while (watchers.length < SPECTATORS) {
      const url = `ws://127.0.0.1:${proxies[watchers.length % proxies.length]?.port}`;
      const from = (['live', 'start', { time: 0.4 }, 'live'] as const)[watchers.length % 4];
      watchers.push(await Watcher.start(url, from ?? 'live', watchers.length));
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const watcher of watchers) if (random() < 0.25) watcher.doSomething(random);
      await new Promise((resolve) => setTimeout(resolve, 60));
      for (const watcher of watchers) watcher.look();
    }
    cuts();
    await silences();
    const summary = await game.end();
    await Promise.all(watchers.map((watcher) => watcher.finish()));
    for (const watcher of watchers) watcher.look();

    const truth = await Truth.of(`${relay.url}/v1/recordings/${summary.recordingId}.lmsp`);
    const looks = watchers.flatMap(({ looks }) => looks);
    const wrong = looks.filter((look) => !truth.explains(look));
    expect(wrong.slice(0, 5).map((look) => truth.explanation(look))).toEqual([]);
    const kinds = (['live', 'paused', 'behind'] as const).map(
      (kind) => looks.filter((look) => look.kind === kind).length,
    );
    expect(kinds.every((looked) => looked > 100)).toBe(true);
    // Some looked before an event of an earlier time had arrived, or the rule about those would prove nothing.
    expect(looks.filter((look) => truth.isEarly(look)).length).toBeGreaterThan(0);
    expect(watchers.some(({ late }) => late > 0)).toBe(true);
    expect(watchers.reduce((sum, { errors }) => sum + errors.length, 0)).toBe(0);
    for (const { live } of watchers) live.close();
  }, 180_000);

  test('[V1] from the start every event is seen once, in the order of the timeline, over lost connections and past the end', async () => {
    const relay = await TestRelay.start();
    const proxy = await proxyTo(relay.port, 3);
    const late = await proxyTo(relay.port, 5);
    const game = await Game.start(relay.wsUrl, {
      steady: ['ann', 'bob'],
      shaky: [`ws://127.0.0.1:${late.port}`, 'cat'],
    });
    // Its past is in several fragments.
    game.saysMuch = true;
    await game.hasTyped(200);
    game.saysMuch = false;
    await game.hasTyped(260);
    const url = `ws://127.0.0.1:${proxy.port}`;
    const slow = await Watcher.start(url, 'start', 1);
    const quick = await Watcher.start(url, 'start', 2);
    slow.live.playbackRate = 0.25;
    quick.live.playbackRate = 16;
    const cuts = every(300, () => proxy.reset());
    const silences = every(1_200, () => late.reset());
    await waitFor('it to catch up', () => quick.live.isLive);
    const sync = await (await fetch(`${relay.url}/v1/rooms/arena/sync`)).json();
    expect((sync as { fragments: unknown[] }).fragments.length).toBeGreaterThan(1);
    await game.hasTyped(600);
    cuts();
    await silences();
    const { recordingId } = await game.end();
    // Who is behind when the room ends plays the rest of the recording, from where it is.
    expect(slow.live.isLive).toBe(false);
    await Promise.all([slow.finish(), quick.finish()]);
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    for (const watcher of [slow, quick]) {
      expectEveryEventOnce(watcher, truth);
      expect(watcher.live.currentTime).toBe(truth.duration);
      expect(Object.fromEntries(watcher.live.states)).toEqual(truth.last);
      watcher.live.close();
    }
  }, 180_000);

  test('[W8] [V1] a spectator that is reset goes on from where it was, without a hole', async () => {
    const relay = await TestRelay.start();
    const proxy = await proxyTo(relay.port, 3);
    const game = await Game.start(relay.wsUrl, { steady: ['ann'] });
    const watcher = await Watcher.start(`ws://127.0.0.1:${proxy.port}`, 'live', 1);
    const from = watcher.live.reel.edge?.seq ?? 0;
    let wasBehind = false;
    watcher.live.on('event', () => {
      wasBehind ||= !watcher.live.isLive;
    });
    // Away for longer than the relay remembers.
    proxy.up.isSilent = true;
    proxy.reset();
    game.saysMuch = true;
    await game.hasTyped(900);
    game.saysMuch = false;
    delete proxy.up.isSilent;
    proxy.reset();
    await waitFor('it to be live again', () => watcher.live.isLive && (watcher.seqs.at(-1) ?? 0) > 900);
    const { recordingId } = await game.end();
    await watcher.finish();
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    expect(wasBehind).toBe(true);
    expect(watcher.seqs.filter((seq) => seq > from)).toEqual(truth.seqs.filter((seq) => seq > from));
    watcher.live.close();
  });

  test('[V1] a relay that is started anew goes on with the past that it had', async () => {
    const relay = await TestRelay.start();
    const game = await Game.start(relay.wsUrl, { steady: ['ann', 'bob'] });
    game.saysMuch = true;
    await game.hasTyped(150);
    game.saysMuch = false;
    const watcher = await Watcher.start(relay.wsUrl, 'start', 1);
    const { live } = watcher;
    live.playbackRate = 0.5;
    await waitFor('it to see something', () => watcher.seqs.length > 10);
    await relay.restart();
    await waitFor('it to be back', () => live.status === 'live');
    await game.hasTyped(300);
    live.playbackRate = 16;
    await waitFor('it to catch up', () => live.isLive);
    const { recordingId } = await game.end();
    await watcher.finish();
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    expectEveryEventOnce(watcher, truth);
    expect(Object.fromEntries(live.states)).toEqual(truth.last);
    live.close();
  });

  test('[T7] [V3] play time stands still while the room is paused, live and for who goes back over it', async () => {
    const relay = await TestRelay.start();
    const game = await Game.start(relay.wsUrl, { steady: ['ann', 'bob'] });
    const watcher = await Watcher.start(relay.wsUrl, 'live', 1);
    const { live } = watcher;
    for (let pauses = 0; pauses < 2; pauses++) {
      await game.hasTyped(60 * (pauses + 1));
      await game.pause();
      const ticks: number[] = [];
      const stop = live.on('durationchange', (duration) => ticks.push(duration));
      await waitFor('time to stand still', () => ticks.length > 5 && ticks.at(-1) === ticks.at(-6));
      stop();
      game.resume();
    }
    await game.hasTyped(200);
    live.pause();
    for (const part of [0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 1, 0]) {
      await live.seek(part * live.duration);
      watcher.look();
    }
    const { recordingId, durationS } = await game.end();
    await watcher.finish();
    watcher.look();
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    expect(watcher.looks.filter((look) => !truth.explains(look)).map((look) => truth.explanation(look))).toEqual([]);
    expect([watcher.looks.length, live.currentTime]).toEqual([9, durationS]);
    live.close();
  });

  test('[V2] with a delay all of it is as of the delayed room, and going back works the same', async () => {
    const delayS = 1.5;
    const relay = await TestRelay.start({ spectatorDelayMs: delayS * 1_000 });
    const game = await Game.start(relay.wsUrl, { steady: ['ann', 'bob'] });
    const watcher = await Watcher.start(relay.wsUrl, 'live', 1);
    const { live } = watcher;
    expect(live.delay).toBe(delayS);
    await waitFor('it to see something', () => watcher.seqs.length > 100);
    expect(live.isLive).toBe(true);
    live.pause();
    watcher.look();
    live.currentTime = live.duration / 2;
    await waitFor('it to be there', () => !live.seeking);
    watcher.look();
    live.playbackRate = 16;
    live.play();
    await waitFor('it to catch up', () => live.isLive);
    watcher.look();
    const seen = watcher.seqs.at(-1) as number;
    const { recordingId } = await game.end();
    await watcher.finish();
    watcher.look();
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    expect(watcher.looks.filter((look) => !truth.explains(look)).map((look) => truth.explanation(look))).toEqual([]);
    expect(watcher.looks.length).toBe(4);
    // What was last seen live is by so much older than what was last typed.
    const [last, shown] = [truth.inOrder.at(-1), seen].map((seq) => truth.timeOf(seq as number));
    expect((last as number) - (shown as number)).toBeGreaterThan(delayS * 0.9);
    live.close();
  });

  test('[V1] who begins at a checkpoint or a time has its states at once; unknown names are said', async () => {
    const relay = await TestRelay.start();
    const game = await Game.start(relay.wsUrl, { steady: ['ann', 'bob'] });
    await game.hasTyped(60);
    await game.checkpoint('half');
    await game.hasTyped(160);
    const [half] = await withLive(relay.wsUrl, { checkpoint: 'half' }, async (live) => {
      const states = Object.fromEntries(live.states);
      return [{ states, time: live.currentTime, checkpoints: await live.checkpoints() }];
    });
    await expect(spectate({ url: relay.wsUrl, room: 'arena', from: { checkpoint: 'none' } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('half'),
    });
    const { recordingId } = await game.end();
    const tape = await openRecording(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    expect(half?.checkpoints.map(({ name }) => name)).toEqual(['half']);
    expect(half?.checkpoints[0]?.time).toBeCloseTo(tape.checkpoints[0]?.time ?? 0, 6);
    expect(half?.time).toBeGreaterThanOrEqual(tape.checkpoints[0]?.time ?? 0);
    expect(half?.states).toEqual(Object.fromEntries(await tape.statesAt(half?.time ?? 0)));
    await tape.close();
  });
});

/** Those that were not late in the order of the recording (T3). */
function expectEveryEventOnce({ seqs, lateSeqs }: Watcher, truth: Truth): void {
  expect([...seqs].sort((one, other) => one - other)).toEqual(truth.seqs);
  const places = seqs.filter((seq) => !lateSeqs.has(seq)).map((seq) => truth.placeOf(seq));
  expect(places).toEqual([...places].sort((one, other) => one - other));
}

async function withLive<Result>(
  url: string,
  from: SpectateFrom,
  look: (live: Live) => Promise<Result>,
): Promise<Result> {
  const live = await spectate({ url, room: 'arena', from });
  try {
    live.pause();
    return await look(live);
  } finally {
    live.close();
  }
}

async function proxyTo(port: number, seed: number): Promise<ChaosProxy> {
  const proxy = await ChaosProxy.start(port, { seed });
  onTestFinished(() => proxy.close());
  return proxy;
}
