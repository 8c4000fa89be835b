import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Session } from '@gametape/client-sdk';
import type { Hello } from '@gametape/shared';
import { RawClient } from '../support/raw-client.ts';
import { type Recording, RelayProcess, readRecording } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';

const ROOMS = 2;
const PLAYERS = 3;
/** A relay lives this long under load before it is killed, at most. */
const LONGEST_LIFE_MS = 700;
/** What the SDK's backoff may come to. */
const RETURN_LIMIT_MS = 20_000;

export interface ChaosOptions {
  readonly rounds: number;
  readonly seed: number;
  /** More options of the relay. */
  readonly args?: readonly string[];
  readonly say?: (line: string) => void;
}

/** What a room's players say they did, and what its recording says. */
export interface RoomOutcome {
  readonly room: string;
  readonly players: readonly { readonly id: string; readonly log: readonly number[]; readonly state: unknown }[];
  /** What was accepted of a player that never came back; only one room has such a player. */
  readonly lost: { readonly id: string; readonly accepted: readonly string[] } | undefined;
  readonly complete: boolean;
  readonly recording: Recording;
}

/**
 * Kills the real relay at seeded random moments while players of two rooms type as fast as they can, starts it again, lets
 * everybody come back by themselves, and ends the rooms.
 */
export async function runRounds({ rounds, seed, args = [], say = () => {} }: ChaosOptions): Promise<RoomOutcome[]> {
  const random = seededRandom(seed);
  const dataDir = await mkdtemp(join(tmpdir(), 'gametape-chaos-'));
  const relay = await RelayProcess.start(dataDir, args);
  const typists: Typist[] = [];
  try {
    const haunted = roomNames().at(-1) as string;
    const lost = await acceptAndVanish(relay, haunted);
    for (const room of roomNames()) {
      for (let i = 0; i < PLAYERS; i++) typists.push(await Typist.start(relay.wsUrl, room, `p${i}`));
    }
    for (let round = 1; round <= rounds; round++) {
      const lifeMs = Math.round(random() * LONGEST_LIFE_MS);
      const diesAt = performance.now() + lifeMs;
      await waitFor('the moment of death', () => performance.now() >= diesAt, LONGEST_LIFE_MS + 1_000);
      await relay.kill();
      await relay.start();
      await waitFor('everybody to be back', () => typists.every(({ isBack }) => isBack), RETURN_LIMIT_MS);
      const recorded = typists.reduce((sum, { log }) => sum + log.length, 0);
      say(`round ${round} of ${rounds}: killed after ${lifeMs} ms, ${recorded} events so far`);
    }
    for (const typist of typists) typist.stop();
    return await Promise.all(
      roomNames().map(async (room): Promise<RoomOutcome> => {
        const players = typists.filter((typist) => typist.session.room === room);
        const [first] = players as [Typist, ...Typist[]];
        const summary = await within(`${room} to end`, first.session.end(), RETURN_LIMIT_MS);
        return {
          room,
          players: players.map(({ session, log }) => ({ id: session.player, log, state: session.state })),
          lost: room === haunted ? lost : undefined,
          complete: summary.complete,
          recording: await readRecording(await readFile(relay.recordingPath(summary.recordingId))),
        };
      }),
    );
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\nrelay: ${relay.log.slice(-3_000)}`, { cause: error });
  } finally {
    for (const typist of typists) typist.stop();
    await relay.kill();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** A player that types as fast as its turn comes, and keeps a log of its own. */
class Typist {
  readonly session: Session;
  readonly log: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #text = '';
  #backAt = 0;

  private constructor(session: Session) {
    this.session = session;
  }

  static async start(url: string, room: string, player: string): Promise<Typist> {
    const state = { text: '', n: 0 };
    const typist = new Typist(await connect({ url, room, player, profile: 'json', state, flushMs: 2 }));
    typist.#type();
    return typist;
  }

  /** Something that was recorded on this connection is accepted. */
  get isBack(): boolean {
    const { connection, accepted, recorded } = this.session.status;
    if (connection !== 'live') this.#backAt = recorded + 1;
    return connection === 'live' && accepted >= this.#backAt;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #type(): void {
    const n = this.log.length + 1;
    const char = String.fromCharCode(97 + (n % 26));
    this.#text = this.#text.length < 500 ? this.#text + char : char;
    this.session.record({ type: 'keystroke', data: { char, modifiers: [], n } }, { text: this.#text, n });
    this.log.push(n);
    this.#timer = setTimeout(() => this.#type(), 1);
  }
}

/** A player of which nothing is ever heard again once its events are accepted. */
async function acceptAndVanish(relay: RelayProcess, room: string): Promise<NonNullable<RoomOutcome['lost']>> {
  const hello: Partial<Hello> = { room, player: 'lost' };
  const client = await RawClient.join(relay.wsUrl, hello);
  const accepted = Array.from({ length: 50 }, (_, i) => `last words ${i}`);
  client.events(1, accepted);
  await client.accepted(accepted.length);
  await client.vanish();
  return { id: 'lost', accepted };
}

function roomNames(): string[] {
  return Array.from({ length: ROOMS }, (_, index) => `room-${index}`);
}
