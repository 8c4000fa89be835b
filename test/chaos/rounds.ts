import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawClient } from '../support/raw-client.ts';
import { type NodeOptions, RelayProcess } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';
import { type CheckedCounts, newCounts } from './player-check.ts';
import { checkRoom, type VanishedPlayer } from './room-check.ts';
import { Typist } from './typist.ts';

const ROOMS = 4;
const PLAYERS = 4;
/** Of one player; all together some 800 events a second. */
const TYPES_EVERY_MS = 20;
/** A relay lives this long under load before it is killed, at most. */
const LONGEST_LIFE_MS = 700;
/** So many of the kills wait until everybody is back from the one before; the others come into the middle of the return. */
const PATIENT = 0.25;
/** What the SDK's backoff may come to. */
const RETURN_LIMIT_MS = 20_000;

export interface ChaosOptions {
  readonly rounds: number;
  readonly seed: number;
  /** More options of the relay. */
  readonly args?: readonly string[];
  readonly node?: NodeOptions;
  readonly say?: (line: string) => void;
}

export interface ChaosFigures extends CheckedCounts {
  readonly rounds: number;
  readonly kills: number;
  /** How often a player came back. */
  returns: number;
  /** Promises that a relay did not keep at a player's return: this, too, is 0. */
  brokenAccepted: number;
  brokenStable: number;
  readonly seconds: number;
}

export interface ChaosOutcome {
  readonly figures: ChaosFigures;
  readonly problems: readonly string[];
}

/**
 * Kills the real relay at seeded random moments while the players of all rooms type, starts it again, lets everybody come back
 * by themselves, ends the rooms, and compares the recordings with what each player knows.
 */
export async function runRounds({ rounds, seed, args, node, say = () => {} }: ChaosOptions): Promise<ChaosOutcome> {
  const startedAt = performance.now();
  const random = seededRandom(seed);
  const dataDir = await mkdtemp(join(tmpdir(), 'gametape-chaos-'));
  const relay = await RelayProcess.start(dataDir, args, node);
  const typists: Typist[] = [];
  try {
    const haunted = roomNames().at(-1) as string;
    const vanished = await acceptAndVanish(relay, haunted);
    for (const room of roomNames()) {
      for (let i = 0; i < PLAYERS; i++) typists.push(await Typist.start(relay.wsUrl, room, `p${i}`, TYPES_EVERY_MS));
    }
    for (let round = 1; round <= rounds; round++) {
      const lifeMs = Math.round(random() * LONGEST_LIFE_MS);
      const isPatient = random() < PATIENT || round === rounds;
      const wanted = isPatient ? typists.length : Math.floor(random() * typists.length);
      await pass(lifeMs);
      await relay.kill();
      const killedAt = performance.now();
      await relay.start();
      const back = () => typists.filter(({ isBack }) => isBack).length;
      await waitFor(`${wanted} players to be back`, () => back() >= wanted, RETURN_LIMIT_MS);
      const typed = typists.reduce((sum, typist) => sum + typist.typed.length, 0);
      const awayMs = Math.round(performance.now() - killedAt);
      say(
        `round ${round} of ${rounds}: killed after ${lifeMs} ms, ${wanted} back after ${awayMs} ms, ${typed} events so far`,
      );
    }
    for (const typist of typists) typist.stop();
    const checked = await Promise.all(
      roomNames().map((room) => endAndCheck(relay, room, typists, room === haunted ? vanished : undefined)),
    );
    const problems = checked.flatMap(({ problems }) => problems);
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    const figures: ChaosFigures = {
      rounds,
      kills: rounds,
      returns: 0,
      ...newCounts(),
      brokenAccepted: 0,
      brokenStable: 0,
      seconds,
    };
    for (const { counts } of checked) {
      for (const name of Object.keys(counts) as (keyof CheckedCounts)[]) figures[name] += counts[name];
    }
    for (const { witness } of typists) {
      figures.returns += witness.welcomes - 1;
      figures.brokenAccepted += witness.lostAccepted;
      figures.brokenStable += witness.lostStable;
    }
    return { figures, problems };
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\nrelay: ${relay.log.slice(-3_000)}`, { cause: error });
  } finally {
    for (const typist of typists) typist.stop();
    await relay.kill();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The load goes on for so long. */
async function pass(ms: number): Promise<void> {
  const until = performance.now() + ms;
  await waitFor('the moment of death', () => performance.now() >= until, ms + 1_000);
}

async function endAndCheck(
  relay: RelayProcess,
  room: string,
  typists: readonly Typist[],
  vanished: VanishedPlayer | undefined,
): Promise<{ problems: string[]; counts: CheckedCounts }> {
  const players = typists.filter(({ session }) => session.room === room);
  const [first] = players as [Typist];
  const { recordingId } = await within(`${room} to end`, first.session.end(), RETURN_LIMIT_MS);
  const bytes = await readFile(relay.recordingPath(recordingId));
  const { problems, counts } = await checkRoom(bytes, { players: players.map(({ log }) => log), vanished });
  return { problems: problems.map((problem) => `${room}: ${problem}`), counts };
}

/** A player of which nothing is ever heard again once its events are accepted. */
async function acceptAndVanish(relay: RelayProcess, room: string): Promise<VanishedPlayer> {
  const client = await RawClient.join(relay.wsUrl, { room, player: 'vanished' });
  const said = Array.from({ length: 50 }, (_, i) => `last words ${i}`);
  client.events(1, said);
  await client.accepted(said.length);
  await client.vanish();
  return { id: 'vanished', said };
}

function roomNames(): string[] {
  return Array.from({ length: ROOMS }, (_, index) => `room-${index}`);
}
