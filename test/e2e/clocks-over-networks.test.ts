import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import { BytesSource, type ClockMapRecord, RecordingReader } from '@gametape/shared';
import { expect, test } from 'vitest';
import { ChaosProxy, type Way } from '../support/chaos-proxy.ts';
import { TestRelay } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor } from '../support/wait-for.ts';

const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PLAYED_MS = 6_000;
const CUTS = 4;
/** Effects of effects of effects, and no further. */
const DEEPEST = 3;
/** Each way its own delay: the one thing that no clock can be asked for. */
const NETWORKS: Readonly<Record<string, { readonly up: Way; readonly down: Way }>> = {
  near: { up: { delayMs: 1 }, down: { delayMs: 1, jitterMs: 2 } },
  slowDown: { up: { delayMs: 4, jitterMs: 8 }, down: { delayMs: 60, jitterMs: 20 } },
  slowUp: { up: { delayMs: 70, jitterMs: 15 }, down: { delayMs: 3, jitterMs: 4 } },
  far: { up: { delayMs: 40, jitterMs: 30 }, down: { delayMs: 40, jitterMs: 30 } },
};

/** When something happened, by the clock that relay, players and test share: not before, and not after, in microseconds. */
type Moment = readonly [earliest: number, latest: number];

interface Placed {
  readonly player: string;
  readonly pseq: number;
  readonly time: number;
  readonly n: number;
  readonly cause: string | undefined;
  readonly errorUs: number | null;
}

test(`[T2] [T3] [T4] [T5] [T6] players behind networks of their own, with cuts: placed within the bound that is recorded, effects after causes (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const relay = await TestRelay.start();
  const direct = new Player(await joinAt(relay.port, 'direct'), random);
  const proxies = new Map<string, ChaosProxy>();
  const players = [direct];
  for (const [name, ways] of Object.entries(NETWORKS)) {
    const proxy = await ChaosProxy.start(relay.port, { seed: SEED, ...ways });
    proxies.set(name, proxy);
    players.push(new Player(await joinAt(proxy.port, name), random));
  }
  for (let cut = 0; cut < CUTS; cut++) {
    const said = direct.count;
    const until = performance.now() + PLAYED_MS / CUTS;
    for (const player of players) player.play(until);
    await waitFor('everybody to have played', () => players.every(({ isPlaying }) => !isPlaying));
    expect(direct.count).toBeGreaterThan(said);
    const [name] = [...proxies.keys()].sort(() => random() - 0.5);
    proxies.get(name as string)?.reset();
  }
  await waitFor('everybody to be back', () => players.every(({ isLive }) => isLive));
  for (const player of players) player.stop();
  await Promise.all(players.map(({ session }) => session.stable()));
  const { recordingId, complete } = await direct.session.end();
  expect(complete).toBe(true);
  for (const proxy of proxies.values()) await proxy.close();

  const events = await placedEvents(join(relay.dataDir, 'recordings', `${recordingId}.lmsp`));
  expect(events.length).toBe(players.reduce((sum, { count }) => sum + count, 0));
  const momentOf = ({ player, n }: Placed) => {
    return players.find(({ session }) => session.player === player)?.moments.get(n) as Moment;
  };
  const anchor = anchorOf(events.filter(({ player }) => player === 'direct').map((event) => [event, momentOf(event)]));
  const index = new Map(events.map(({ player, n }, i) => [`${player} ${n}`, i]));
  let effects = 0;
  for (const [i, event] of events.entries()) {
    const where = `${event.player} ${event.n}`;
    if (event.cause !== undefined) {
      effects++;
      expect(index.get(event.cause), `${where}: an effect of ${event.cause}`).toBeLessThan(i);
    }
    const [earliest, latest] = momentOf(event);
    const shown = direct.shown.get(where);
    if (shown !== undefined) expect(event.time + anchor[0], `${where}: placed after it was seen`).toBeLessThan(shown);
    if (event.errorUs === null) continue;
    expect(event.time + anchor[1], `${where}: too early for ±${event.errorUs} µs`).toBeGreaterThan(
      earliest - event.errorUs,
    );
    expect(event.time + anchor[0], `${where}: too late for ±${event.errorUs} µs`).toBeLessThan(latest + event.errorUs);
  }
  expect(effects).toBeGreaterThan(50);
  for (const { session } of players) {
    const own = events.filter(({ player }) => player === session.player);
    expect(own.map(({ pseq }) => pseq)).toEqual(own.map(({ pseq }) => pseq).sort((a, b) => a - b));
    // A bound that nobody knows could not be wrong.
    expect(own.filter(({ errorUs }) => errorUs !== null).length, session.player).toBeGreaterThan(own.length / 2);
  }
});

/** Plays, and answers what it is shown: the answer names its cause. */
class Player {
  readonly session: Session;
  /** By number of its event. */
  readonly moments = new Map<number, Moment>();
  /** When events of others were shown to it, in microseconds. */
  readonly shown = new Map<string, number>();
  readonly #random: () => number;
  #count = 0;
  #until = 0;
  #answers = true;

  constructor(session: Session, random: () => number) {
    this.session = session;
    this.#random = random;
    session.on('event', ({ type, player, data }) => {
      if (type !== 'played') return;
      const name = `${player} ${data.n}`;
      this.shown.set(name, performance.now() * 1_000);
      const depth = (data.depth as number) + 1;
      if (this.#answers && depth <= DEEPEST && random() < 0.1) this.#record({ cause: name, depth });
    });
  }

  get count(): number {
    return this.#count;
  }

  get isPlaying(): boolean {
    return performance.now() < this.#until;
  }

  get isLive(): boolean {
    return this.session.status.connection === 'live';
  }

  stop(): void {
    this.#answers = false;
  }

  play(until: number): void {
    this.#until = until;
    if (!this.isPlaying) return;
    this.#record({ depth: 0 });
    setTimeout(() => this.play(until), 4 + this.#random() * 20);
  }

  #record(data: { cause?: string; depth: number }): void {
    const n = ++this.#count;
    const before = performance.now() * 1_000;
    this.session.record({ type: 'played', data: { n, ...data } });
    this.moments.set(n, [before, performance.now() * 1_000]);
  }
}

async function joinAt(port: number, player: string): Promise<Session> {
  return await connect({ url: `ws://127.0.0.1:${port}`, room: 'arena', player, profile: 'json' });
}

/** What players made, in the order of the recording, with the bound of the map that each was placed by. */
async function placedEvents(path: string): Promise<Placed[]> {
  const reader = await RecordingReader.open(new BytesSource(await readFile(path)));
  const maps = new Map<number, ClockMapRecord[]>();
  for (const index of reader.blocks.keys()) {
    const { content } = await reader.readBlock(index);
    for (const map of content.clockMaps) maps.set(map.producer, [...(maps.get(map.producer) ?? []), map]);
  }
  const events: Placed[] = [];
  let [lastTime, lastHlc] = [-1, -1];
  for await (const { entry, body, context } of reader.steps()) {
    const { time, hlc, producer, pseq } = entry;
    expect(time > lastTime || (time === lastTime && hlc >= lastHlc), `seq ${entry.seq}`).toBe(true);
    [lastTime, lastHlc] = [time, hlc];
    if (body.event?.type !== 'played') continue;
    const { n, cause } = body.event.data as { n: number; cause?: string };
    const errorUs = maps.get(producer)?.findLast((map) => map.pseq <= pseq)?.errorUs ?? null;
    events.push({ player: context.player, pseq, time, n, cause, errorUs });
  }
  return events;
}

/** From room time to the clock of the test: at least and at most, as the player without a network can tell. */
function anchorOf(events: readonly (readonly [Placed, Moment])[]): Moment {
  let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const [{ time, errorUs }, [earliest, latest]] of events) {
    if (errorUs === null) continue;
    least = Math.max(least, earliest - errorUs - time);
    most = Math.min(most, latest + errorUs - time);
  }
  expect(least).toBeLessThanOrEqual(most);
  return [least, most];
}
