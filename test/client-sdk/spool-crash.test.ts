import { readdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { RelayProcess } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import {
  loggedBy,
  logIn,
  readLives,
  SpooledGame,
  type SpooledGameOptions,
  startAgain,
} from '../support/spooled-games.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const FIRST_SEED = Number(process.env.GAMETAPE_SEED ?? 1);
/** More with GAMETAPE_ROUNDS. */
const seeds = (count: number) =>
  Array.from({ length: Number(process.env.GAMETAPE_ROUNDS ?? count) }, (_, index) => FIRST_SEED + index);

/** A relay and the machine of one player: its directory is both the spool's and the log's. */
class Desk {
  readonly relay: RelayProcess;
  readonly directory: string;
  readonly room: string;
  readonly #seed: number;
  readonly #flushMs: number;
  #lives = 0;

  private constructor(relay: RelayProcess, directory: string, seed: number) {
    this.relay = relay;
    this.directory = directory;
    this.room = `r${seed}`;
    this.#seed = seed;
    this.#flushMs = [0, 3, 16][seed % 3] as number;
  }

  static async open(seed: number): Promise<Desk> {
    return new Desk(await RelayProcess.start(await tempDir()), await tempDir(), seed);
  }

  get log(): string {
    return logIn(this.directory, 'ann');
  }

  start(options: Partial<SpooledGameOptions> = {}): SpooledGame {
    const life = options.life ?? ++this.#lives;
    return SpooledGame.start({
      url: this.relay.wsUrl,
      room: this.room,
      player: 'ann',
      directory: this.spool,
      life,
      log: this.log,
      flushMs: this.#flushMs,
      seed: this.#seed * 10 + life,
      ...options,
    });
  }

  get spool(): string {
    return `${this.directory}/spool`;
  }

  /** Until a life has written down that many events. */
  async played(life: number, events: number): Promise<void> {
    await waitFor(`life ${life} to record`, () => (loggedBy(this.log).get(life) ?? 0) >= events);
  }

  logged(life: number): number {
    return loggedBy(this.log).get(life) ?? 0;
  }
}

describe('[W3] a game process is killed and comes back', () => {
  test.each(seeds(3))('seed %i: while its relay is away, what is only in its spool is recorded once', async (seed) => {
    const random = seededRandom(seed);
    const desk = await Desk.open(seed);
    const first = desk.start();
    const { joined = '' } = await first.joined();
    await desk.played(1, 5 + random() * 60);
    await desk.relay.kill();
    // What comes after that nobody can have told it that it is stable.
    const { away: before = 0 } = await waitFor('it to notice', () => first.said.find(({ away }) => away !== undefined));
    await desk.played(1, before + 10 + random() * 100);
    await first.kill();
    const second = desk.start();
    await waitFor('it to find no relay', () => second.said.some(({ refused }) => refused));
    await startAgain(desk.relay);
    const { joined: again, spool } = await second.joined();
    expect(again).toBe(joined);
    expect(spool).toMatchObject({ isKept: true, kept: 0 });
    expect(spool?.recovered).toBeGreaterThanOrEqual(desk.logged(1) - before);
    await desk.played(2, 10);
    await second.finish('end');
    const recording = await readLives(desk.relay.recordingPath(joined), 'ann', desk.log);
    expect(recording.summary.players[0]?.gaps).toEqual([]);
    expect((await readdir(desk.spool)).filter((name) => name.startsWith(desk.room))).toEqual([]);
    expect([...first.said, ...second.said].filter(({ error }) => error)).toEqual([]);
  });

  test.each(seeds(3))('seed %i: while its relay is there', async (seed) => {
    const random = seededRandom(seed);
    const desk = await Desk.open(seed);
    const first = desk.start();
    const { joined = '' } = await first.joined();
    await desk.played(1, 1 + random() * 100);
    await first.kill();
    const second = desk.start();
    expect((await second.joined()).joined).toBe(joined);
    await desk.played(2, 10);
    await second.finish('end');
    await readLives(desk.relay.recordingPath(joined), 'ann', desk.log);
  });

  test.each(seeds(1))('seed %i: five times in a row, its relay too', async (seed) => {
    const random = seededRandom(seed);
    const desk = await Desk.open(seed);
    let joined = '';
    for (let life = 1; life <= 5; life++) {
      const game = desk.start();
      ({ joined = '' } = await game.joined());
      if (random() < 0.7) await desk.played(life, 1 + random() * 40);
      const isAway = random() < 0.6;
      if (isAway) await desk.relay.kill();
      if (random() < 0.7) await desk.played(life, desk.logged(life) + random() * 60);
      await game.kill();
      if (isAway && random() < 0.5) {
        // One that finds its tail, and is killed before it gets anywhere.
        const hasty = desk.start({ life: 100 + life });
        await waitFor('it to find no relay', () => hasty.said.some(({ refused }) => refused));
        await hasty.kill();
      }
      if (isAway) await startAgain(desk.relay);
      if (random() < 0.5) {
        // One that is killed while it delivers, or soon after.
        const hasty = desk.start({ life: 200 + life });
        const killAt = performance.now() + 150 + random() * 250;
        await waitFor('its moment of death', () => performance.now() > killAt);
        await hasty.kill();
      }
    }
    const last = desk.start({ life: 6 });
    expect((await last.joined()).joined).toBe(joined);
    await last.finish('end');
    const recording = await readLives(desk.relay.recordingPath(joined), 'ann', desk.log);
    expect(recording.summary.players[0]?.gaps).toEqual([]);
  });
});
