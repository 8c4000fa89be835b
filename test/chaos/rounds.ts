import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawClient } from '../support/raw-client.ts';
import { type ProcessOptions, RelayProcess } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor } from '../support/wait-for.ts';
import type { VanishedPlayer } from './room-check.ts';
import { RETURN_LIMIT_MS, type TypingCounts, TypingRooms } from './typing-rooms.ts';

/** A relay lives this long under load before it is killed, at most. */
const LONGEST_LIFE_MS = 700;
/** So many of the kills wait until everybody is back from the one before; the others come into the middle of the return. */
const PATIENT = 0.25;

export interface ChaosOptions {
  readonly rounds: number;
  readonly seed: number;
  /** More options of the relay. */
  readonly args?: readonly string[];
  readonly node?: ProcessOptions;
  readonly say?: (line: string) => void;
  /** What is still to be true of the relay when all rooms have ended. */
  readonly atEnd?: () => Promise<unknown>;
}

export interface ChaosOutcome {
  readonly problems: readonly string[];
  readonly figures: TypingCounts & { readonly rounds: number; readonly kills: number; readonly seconds: number };
}

/**
 * Kills the real relay at seeded random moments while the players of all rooms type, starts it again, lets everybody come back
 * by themselves, ends the rooms, and compares the recordings with what each player knows.
 */
export async function runRounds({
  rounds,
  seed,
  args,
  node,
  say = () => {},
  atEnd,
}: ChaosOptions): Promise<ChaosOutcome> {
  const startedAt = performance.now();
  const random = seededRandom(seed);
  const dataDir = await mkdtemp(join(tmpdir(), 'gametape-chaos-'));
  const relay = await RelayProcess.start(dataDir, args, node);
  let typing: TypingRooms | undefined;
  try {
    const haunted = { room: 'room-0', player: await acceptAndVanish(relay.wsUrl, 'room-0') };
    const players = await TypingRooms.start(relay.wsUrl);
    typing = players;
    for (let round = 1; round <= rounds; round++) {
      const lifeMs = Math.round(random() * LONGEST_LIFE_MS);
      const isPatient = random() < PATIENT || round === rounds;
      const wanted = isPatient ? players.typists.length : Math.floor(random() * players.typists.length);
      await pass(lifeMs);
      await relay.kill();
      const killedAt = performance.now();
      await relay.start();
      await waitFor(`${wanted} players to be back`, () => players.back >= wanted, RETURN_LIMIT_MS);
      const awayMs = Math.round(performance.now() - killedAt);
      say(
        `round ${round} of ${rounds}: killed after ${lifeMs} ms, ${wanted} back after ${awayMs} ms, ${players.typed} events, ${players.broken} accepted ones gone so far`,
      );
    }
    const { problems, counts } = await players.endAndCheck(relay, haunted);
    await atEnd?.();
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    return { problems, figures: { rounds, kills: rounds, ...counts, seconds } };
  } catch (error) {
    const message = `seed ${seed}: ${(error as Error).message}\nrelay: ${relay.log.slice(-3_000)}`;
    // A long run says at once that it is over.
    say(message);
    throw new Error(message, { cause: error });
  } finally {
    typing?.stop();
    await relay.kill();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The load goes on for so long. */
export async function pass(ms: number): Promise<void> {
  const until = performance.now() + ms;
  await waitFor('the moment of a fault', () => performance.now() >= until, ms + 1_000);
}

/** A player of which nothing is ever heard again once its events are accepted. */
async function acceptAndVanish(url: string, room: string): Promise<VanishedPlayer> {
  const client = await RawClient.join(url, { room, player: 'vanished' });
  const said = Array.from({ length: 50 }, (_, i) => `last words ${i}`);
  client.events(1, said);
  await client.accepted(said.length);
  await client.vanish();
  return { id: 'vanished', said };
}
