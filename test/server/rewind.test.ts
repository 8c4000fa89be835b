import { connect, type Session, spectate } from '@gametape/client-sdk';
import { CloseCode, EventType, type JsonObject } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { SlowNetwork } from '../support/slow-network.ts';
import { waitFor } from '../support/wait-for.ts';

describe('a rewind', () => {
  test('[T8] restores every state, everywhere, is recorded, and erases nothing', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await both(relay);
    const live = await spectate({ url: relay.wsUrl, room: 'arena' });
    typeAll(a, 'one');
    typeAll(b, 'two');
    await b.stable();
    await waitFor('a to be shown it', () => a.states.get('b')?.text === 'two');
    await a.checkpoint('here');
    typeAll(a, ' more');
    b.record({ type: 'step', data: { of: 'b' } }, { text: 'other', n: 7 });
    await b.stable();
    const shown = () => ['a', 'b'].map((player) => live.states.get(player)?.text);
    await waitFor('the spectator to be shown it', () => shown().join() === 'one more,other');
    const heard = [a, b].map((session) => hearRewind(session));
    await a.rewind('here');
    // Whoever hears of it is there already.
    expect(await Promise.all(heard)).toEqual([
      { name: 'here', own: { text: 'one' }, others: { text: 'two' } },
      { name: 'here', own: { text: 'two' }, others: { text: 'one' } },
    ]);
    await waitFor('the spectator to be there', () => shown().join() === 'one,two');
    expect(['a', 'b'].map((player) => live.states.get(player))).toEqual([{ text: 'one' }, { text: 'two' }]);
    typeAll(a, '!');
    typeAll(b, '?');
    await Promise.all([a.stable(), b.stable()]);
    const { recordingId, complete } = await a.end();
    expect(complete).toBe(true);
    const { entries, states, checkpoints } = await relay.recording(recordingId);
    expect([states.get('a'), states.get('b')]).toEqual([{ text: 'one!' }, { text: 'two?' }]);
    const rewinds = entries.filter(({ type }) => type === EventType.REWIND);
    expect(rewinds.map(({ player, data, stamp }) => [player, data, stamp])).toEqual([['a', { name: 'here' }, null]]);
    const typed = (player: string) => entries.filter((entry) => entry.type === 'typed' && entry.player === player);
    expect(
      typed('a')
        .map(({ data }) => data.text)
        .join(''),
    ).toBe('one more!');
    expect(
      typed('b')
        .map(({ data }) => data.text)
        .join(''),
    ).toBe('two?');
    expect(entries.some(({ type }) => type === 'step')).toBe(true);
    expect(checkpoints.map(({ name }) => name)).toEqual(['here']);
    live.close();
  });

  test('[T8] a name that nobody gave is refused, and the player plays on', async () => {
    const relay = await TestRelay.start();
    const [a] = await both(relay);
    await expect(a.rewind('nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    typeAll(a, 'on');
    await a.stable();
    expect(a.state).toEqual({ text: 'on' });
  });

  test('[S3] a spectator may not rewind', async () => {
    const relay = await TestRelay.start();
    await both(relay);
    const watcher = await RawClient.join(relay.wsUrl, { role: 'spectator', player: 'w' });
    watcher.send({ kind: 'rewind', name: 'here' });
    expect(await watcher.end()).toMatchObject({ code: CloseCode.NOT_ALLOWED });
  });

  test('[T8] a client that was away is where all others are, resumed or reset', async () => {
    for (const isLong of [false, true]) {
      const relay = await TestRelay.start({ dropGraceMs: 60_000 });
      const network = new SlowNetwork();
      const [a, b] = await both(relay, network);
      typeAll(b, 'two');
      await b.stable();
      await a.checkpoint('here');
      typeAll(b, ' and more');
      await b.stable();
      network.down();
      await waitFor('b to be away', () => b.status.connection !== 'live');
      // What b makes meanwhile goes on from a state that is taken back.
      typeAll(b, ' unseen');
      await a.rewind('here');
      if (isLong) {
        const text = 'x'.repeat(60_000);
        for (let i = 0; i < 80; i++) a.say(text.slice(i));
        await a.stable();
      }
      network.up();
      await waitFor('b to be there', () => b.status.connection === 'live' && b.state.text === 'two');
      typeAll(b, '!');
      await b.stable();
      const { recordingId, complete } = await a.end();
      expect(complete).toBe(true);
      const { states, own } = await relay.recording(recordingId);
      expect(states.get('b')).toEqual({ text: 'two!' });
      expect(own.filter(({ player, type }) => player === 'b' && type === 'typed').length).toBe(3 + 9 + 7 + 1);
    }
  });

  test('[T8] [J4] it is still so after a restart, and a second one goes further back', async () => {
    const relay = await TestRelay.start();
    const [a, b] = await both(relay);
    typeAll(a, 'one');
    await a.checkpoint('first');
    typeAll(a, 'two');
    await a.checkpoint('second');
    typeAll(a, 'three');
    await a.rewind('second');
    typeAll(a, '+');
    await a.stable();
    await relay.restart();
    await waitFor('both to be back', () => [a, b].every(({ status }) => status.connection === 'live'));
    typeAll(a, '-');
    await a.stable();
    expect(a.state).toEqual({ text: 'onetwo+-' });
    await a.rewind('first');
    typeAll(a, '.');
    await a.rewind('second');
    const { recordingId, complete } = await a.end();
    expect(complete).toBe(true);
    const { states, entries } = await relay.recording(recordingId);
    expect(states.get('a')).toEqual({ text: 'onetwo' });
    expect(entries.filter(({ type }) => type === EventType.REWIND).map(({ data }) => data.name)).toEqual([
      'second',
      'first',
      'second',
    ]);
  });

  test('[T8] [D5] the clock of a player goes on from where it was', async () => {
    const relay = await TestRelay.start();
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'a' });
    session.record({ type: 'keystroke', data: { char: 'x', modifiers: [] } });
    await session.checkpoint('here');
    const before = Number(session.state.session_duration);
    session.record({ type: 'keystroke', data: { char: 'y', modifiers: [] } });
    await waitFor('some time', () => Number(session.state.session_duration) >= before);
    await session.rewind('here');
    await session.stable();
    expect(Number(session.state.session_duration)).toBeGreaterThanOrEqual(before);
    const { recordingId } = await session.end();
    const { states } = await relay.recording(recordingId);
    expect(Number((states.get('a') as JsonObject).session_duration)).toBeGreaterThanOrEqual(before);
  });
});

describe('typing while a rewind is on its way', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])('[T8] [D3] all agree, and no event is lost: seed %i', async (seed) => {
    const random = seededRandom(seed);
    const pick = (count: number) => Math.floor(random() * count);
    const relay = await TestRelay.start({ flushMs: pick(4), dropGraceMs: 60_000 });
    const typists = await Promise.all(['a', 'b', 'c'].map((player) => Typist.join(relay, player, pick)));
    const live = await spectate({ url: relay.wsUrl, room: 'arena' });
    const names: string[] = [];
    for (let step = 0; step < 120; step++) {
      const choice = pick(20);
      if (choice === 0) for (const { network } of typists) network.up();
      else if (choice === 1 && seed % 3 === 0 && step % 4 === 0) await relay.restart();
      else (typists[pick(typists.length)] as Typist).act(choice, step, names);
      if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, pick(6)));
    }
    for (const { network } of typists) network.up();
    await waitFor('all to be back', () => typists.every(({ session }) => session.status.connection === 'live'));
    for (const { session, asked } of typists) {
      await Promise.all(asked);
      await session.stable();
    }
    const mine = () => typists.map(({ session }) => JSON.stringify(session.state));
    const seen = () => typists.map(({ session: { player } }) => JSON.stringify(live.states.get(player)));
    await waitFor('everybody to agree', () => mine().join() === seen().join()).catch(() => undefined);
    expect(seen()).toEqual(mine());
    expect(typists.flatMap(({ errors }) => errors)).toEqual([]);
    const { recordingId, complete } = await (typists[0] as Typist).session.end();
    expect(complete).toBe(true);
    const { own, states } = await relay.recording(recordingId);
    for (const { session, made } of typists) {
      const typed = own.filter(({ player, type }) => player === session.player && type?.startsWith('typed'));
      expect(typed.map(({ data }) => data.number)).toEqual(Array.from({ length: made }, (_, i) => i));
      expect(JSON.stringify(states.get(session.player))).toBe(JSON.stringify(session.state));
    }
    live.close();
  });
});

/** A player who types, names points, rewinds, and loses its network. */
class Typist {
  readonly errors: Error[] = [];
  readonly asked: Promise<unknown>[] = [];
  made = 0;

  readonly session: Session;
  readonly network: SlowNetwork;
  readonly pick: (count: number) => number;

  private constructor(session: Session, network: SlowNetwork, pick: (count: number) => number) {
    this.session = session;
    this.network = network;
    this.pick = pick;
    session.on('error', (error) => this.errors.push(error));
  }

  static async join(relay: TestRelay, player: string, pick: (count: number) => number): Promise<Typist> {
    const network = new SlowNetwork();
    network.delayMs = () => (pick(10) < 3 ? pick(8) : 0);
    const options = { url: relay.wsUrl, room: 'arena', player, profile: 'json', flushMs: pick(5) } as const;
    return new Typist(await network.connect({ ...options, state: { text: player } }), network, pick);
  }

  act(choice: number, step: number, names: string[]): void {
    const { session, pick } = this;
    if (choice === 2) this.network.down();
    else if (choice === 3) this.asked.push(session.checkpoint(`c${step}`).then(() => names.push(`c${step}`)));
    else if (choice < 6 && names.length > 0) {
      this.asked.push(session.rewind(names[pick(names.length)] as string).catch((error: unknown) => error));
    } else this.#type(choice);
  }

  #type(choice: number): void {
    const { session, pick } = this;
    const at = pick(String(session.state.text).length + 1);
    session.edit('text', { at, remove: 0, insert: String.fromCharCode(97 + pick(26)) });
    if (choice === 19) session.set('n', pick(100));
    else session.record({ type: `typed${pick(4)}`, data: { number: this.made++ } });
  }
}

async function both(relay: TestRelay, network = new SlowNetwork()): Promise<[Session, Session]> {
  const options = { url: relay.wsUrl, room: 'arena', profile: 'json', state: { text: '' }, flushMs: 2 } as const;
  return [await connect({ ...options, player: 'a' }), await network.connect({ ...options, player: 'b' })];
}

function typeAll(session: Session, text: string): void {
  for (const char of text) {
    session.edit('text', { at: String(session.state.text).length, remove: 0, insert: char });
    session.record({ type: 'typed', data: { text: char } });
  }
}

function hearRewind(session: Session): Promise<unknown> {
  return new Promise((resolve) => {
    session.on('rewind', ({ data }) => {
      const [others] = session.states.values();
      resolve({ name: data.name, own: session.state, others });
    });
  });
}
