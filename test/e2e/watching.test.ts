import {
  connect,
  isGametapeError,
  type Live,
  openRecording,
  type Session,
  type SpectateFrom,
  type State,
  spectate,
} from '@gametape/client-sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor } from '../support/wait-for.ts';

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
    await waitFor('it to catch up', () => quick.live.isLive, 20_000);
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
      expect([...watcher.seqs].sort((a, b) => a - b)).toEqual(truth.seqs);
      const inTime = truth.inOrder.filter((seq) => !watcher.lateSeqs.has(seq));
      expect(watcher.seqs.filter((seq) => !watcher.lateSeqs.has(seq))).toEqual(inTime);
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
    await waitFor('it to be live again', () => watcher.live.isLive && (watcher.seqs.at(-1) ?? 0) > 900, 30_000);
    const { recordingId } = await game.end();
    await watcher.finish();
    const truth = await Truth.of(`${relay.url}/v1/recordings/${recordingId}.lmsp`);
    expect(wasBehind).toBe(true);
    expect(watcher.seqs.filter((seq) => seq > from)).toEqual(truth.seqs.filter((seq) => seq > from));
    watcher.live.close();
  }, 60_000);

  test('[V2] with a delay all of it is as of the delayed room, and going back works the same', async () => {
    const delayS = 1.5;
    const relay = await TestRelay.start({ spectatorDelayMs: delayS * 1_000 });
    const game = await Game.start(relay.wsUrl, { steady: ['ann', 'bob'] });
    const watcher = await Watcher.start(relay.wsUrl, 'live', 1);
    const { live } = watcher;
    expect(live.delay).toBe(delayS);
    await waitFor('it to see something', () => watcher.seqs.length > 100, 20_000);
    expect(live.isLive).toBe(true);
    live.pause();
    watcher.look();
    live.currentTime = live.duration / 2;
    await waitFor('it to be there', () => !live.seeking);
    watcher.look();
    live.playbackRate = 16;
    live.play();
    await waitFor('it to catch up', () => live.isLive, 20_000);
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
  }, 60_000);

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
  }, 60_000);
});

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

/** Calls again and again. Returns how to stop, which waits for the call that is under way. */
function every(ms: number, call: () => void | Promise<void>): () => Promise<void> {
  let isOver = false;
  const running = (async () => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (isOver) return;
      await call();
    }
  })();
  return async () => {
    isOver = true;
    await running;
  };
}

/** Players who type all the time, change their states without an event, and pause for a moment now and then. */
class Game {
  readonly #sessions: readonly Session[];
  readonly #stop: (() => Promise<void>)[] = [];
  #typed = 0;
  saysMuch = false;

  private constructor(sessions: readonly Session[]) {
    this.#sessions = sessions;
    for (const [index, session] of sessions.entries()) {
      this.#stop.push(every(7 + index * 4, () => this.#type(session)));
    }
  }

  static async start(
    url: string,
    { steady, shaky }: { steady: readonly string[]; shaky?: readonly [url: string, player: string] },
  ): Promise<Game> {
    const options = { room: 'arena', profile: 'json' as const, state: { text: '', n: 0 } };
    const sessions: Session[] = [];
    for (const player of steady) sessions.push(await connect({ ...options, url, player }));
    if (shaky) sessions.push(await connect({ ...options, url: shaky[0], player: shaky[1] }));
    // The shaky one loses its connection on purpose; what it loses besides would make it fail.
    return new Game(sessions);
  }

  #type(session: Session): void {
    const n = ++this.#typed;
    const { text } = session.state as { text: string };
    const char = String.fromCharCode(97 + (n % 26));
    if (n % 9 === 0) session.set('n', n);
    else {
      session.edit('text', {
        at: n % (text.length + 1),
        remove: n % 5 === 0 && text.length > n % (text.length + 1) ? 1 : 0,
        insert: char,
      });
      session.record({ type: 'keystroke', data: { char, modifiers: [], ...(this.saysMuch && { noise: noise(n) }) } });
    }
  }

  async hasTyped(count: number): Promise<void> {
    await waitFor(`${count} letters`, () => this.#typed >= count, 30_000);
  }

  async checkpoint(name: string): Promise<void> {
    await this.#sessions[0]?.checkpoint(name);
  }

  async end() {
    for (const stop of this.#stop) await stop();
    await Promise.all(this.#sessions.map((session) => session.stable()));
    return await (this.#sessions[0] as Session).end();
  }
}

function noise(seed: number): string {
  const random = seededRandom(seed);
  return Array.from({ length: 6_000 }, () => String.fromCharCode(33 + Math.floor(random() * 90))).join('');
}

/** What a spectator saw at one moment. */
interface Look {
  readonly who: number;
  readonly kind: 'live' | 'paused' | 'behind';
  readonly time: number;
  /** The last that had arrived: what came later cannot have been seen. */
  readonly arrived: number;
  readonly states: Readonly<Record<string, State>>;
}

/** A spectator that does this and that, and remembers what it saw. */
class Watcher {
  readonly live: Live;
  readonly looks: Look[] = [];
  readonly seqs: number[] = [];
  readonly lateSeqs = new Set<number>();
  readonly errors: Error[] = [];
  late = 0;
  readonly #number: number;
  /** After a step it stands between events of one time: there is no time to compare with. */
  #isBetween = false;
  #wantsLook = false;

  private constructor(live: Live, number: number) {
    this.live = live;
    this.#number = number;
    live.on('event', ({ seq, late }) => {
      this.seqs.push(seq);
      if (late) this.lateSeqs.add(seq);
    });
    live.on('change', ({ late }) => {
      if (late) this.late++;
    });
    live.on('error', (error) => this.errors.push(error));
    // A playhead that plays has taken everything that arrived right after it moved, and at no other time.
    live.on('timeupdate', () => {
      if (this.#wantsLook && !live.isLive && !live.paused && !live.seeking) this.#remember('behind');
      this.#wantsLook = false;
    });
    live.on('seeked', () => {
      this.#isBetween = false;
    });
  }

  static async start(url: string, from: SpectateFrom, number: number): Promise<Watcher> {
    for (;;) {
      try {
        return new Watcher(await spectate({ url, room: 'arena', from, timeoutMs: 20_000 }), number);
      } catch (error) {
        // Its very first connection was cut: nobody was there yet.
        if (!isGametapeError(error, 'UNREACHABLE')) throw error;
      }
    }
  }

  look(): void {
    const { live } = this;
    if (this.#isBetween || live.seeking) return;
    if (live.isLive) this.#remember('live');
    else if (live.paused) this.#remember('paused');
    else this.#wantsLook = true;
  }

  /** Plays to the end of what the room has left. */
  async finish(): Promise<void> {
    const { live } = this;
    await waitFor('it to know of the end', () => live.reel.edge === undefined, 30_000);
    await waitFor(
      'it to come to the end',
      () => {
        if (live.ended) return true;
        live.playbackRate = 16;
        live.play();
        return false;
      },
      30_000,
    );
  }

  doSomething(random: () => number): void {
    const { live } = this;
    const what = random();
    if (what < 0.25) live.currentTime = random() * live.duration;
    else if (what < 0.4) live.playbackRate = [0.5, 1, 4, 16][Math.floor(random() * 4)] ?? 1;
    else if (what < 0.55) live.pause();
    else if (what < 0.75) live.play();
    else if (what < 0.85) {
      this.#isBetween = true;
      void live.step(random() < 0.5 ? 1 : -2).then(() => live.play());
      void live.seek(random() * live.duration);
    } else live.goLive();
  }

  #remember(kind: Look['kind']): void {
    const { live } = this;
    const arrived = live.reel.edge?.seq ?? Number.POSITIVE_INFINITY;
    const states = Object.fromEntries(live.states);
    this.looks.push({ who: this.#number, kind, time: live.currentTime, arrived, states });
  }
}

interface Entry {
  readonly seq: number;
  readonly time: number;
  readonly state: State;
  readonly isEvent: boolean;
  readonly isChange: boolean;
}

/** What the recording says of any time, with only what had arrived by then. */
class Truth {
  readonly #players: ReadonlyMap<string, readonly Entry[]>;
  readonly duration: number;

  private constructor(players: ReadonlyMap<string, readonly Entry[]>, duration: number) {
    this.#players = players;
    this.duration = duration;
  }

  static async of(url: string): Promise<Truth> {
    const tape = await openRecording(url);
    const players = new Map<string, Entry[]>();
    const cursor = await tape.cursorAt(Number.NEGATIVE_INFINITY);
    while (Number.isFinite(await cursor.nextTime())) {
      const { player, time, seq, event } = cursor.step();
      const entries = players.get(player) ?? [];
      players.set(player, entries);
      const state = cursor.stateOf(player) ?? {};
      // What the relay says of somebody who is away comes before what that one sends later, and is after it in the timeline.
      const isChange = JSON.stringify(state) !== JSON.stringify(entries.at(-1)?.state);
      entries.push({ seq, time, state, isChange, isEvent: event !== undefined });
    }
    const { duration } = tape;
    await tape.close();
    return new Truth(players, duration);
  }

  get seqs(): number[] {
    return this.inOrder.sort((a, b) => a - b);
  }

  /** Seqs of all events, in the order of the timeline; of one time, in that of their arrival. */
  get inOrder(): number[] {
    const events = [...this.#players.values()].flat().filter(({ isEvent }) => isEvent);
    return events.sort((a, b) => a.time - b.time || a.seq - b.seq).map(({ seq }) => seq);
  }

  timeOf(seq: number): number | undefined {
    return [...this.#players.values()].flat().find((entry) => entry.seq === seq)?.time;
  }

  get last(): Record<string, State> {
    return this.#statesAt(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  explains({ time, arrived, states }: Look): boolean {
    const expected = this.#statesAt(time >= this.duration ? Number.POSITIVE_INFINITY : time, arrived);
    return JSON.stringify(sorted(states)) === JSON.stringify(sorted(expected));
  }

  /** Which entries it shows, and which it should, to find out why. */
  explanation({ who, kind, time, arrived, states }: Look): unknown {
    const players = [...this.#players].map(([player, entries]) => {
      const shown = entries.findLast(({ state }) => JSON.stringify(state) === JSON.stringify(states[player]));
      const due = entries.findLast((entry) => entry.isChange && entry.time <= time && entry.seq <= arrived);
      return { player, shown: shown && [shown.seq, shown.time], due: due && [due.seq, due.time] };
    });
    return { who, kind, time, arrived, players };
  }

  /** An event of an earlier time had not arrived yet. */
  isEarly({ time, arrived }: Look): boolean {
    return [...this.#players.values()].some((entries) =>
      entries.some((entry) => entry.time <= time && entry.seq > arrived),
    );
  }

  #statesAt(time: number, arrived: number): Record<string, State> {
    const states: Record<string, State> = {};
    for (const [player, entries] of this.#players) {
      const last = entries.findLast((entry) => entry.isChange && entry.time <= time && entry.seq <= arrived);
      if (last) states[player] = last.state;
    }
    return states;
  }
}

function sorted(states: Readonly<Record<string, State>>): unknown {
  return Object.keys(states)
    .sort()
    .map((player) => [player, states[player]?.text, states[player]?.n]);
}
