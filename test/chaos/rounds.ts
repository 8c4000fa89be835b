import { connect, type Session } from '@gametape/client-sdk';
import { RawClient } from '../support/raw-client.ts';
import type { RelayProcess } from '../support/relay.ts';

/** Longest life of a relay between two kills, and longest pause before it is started again. */
const MAX_LIFE_MS = 500;
const MAX_PAUSE_MS = 80;
/** What a typist has under way at most: a few hundred events, so that a kill always hits some. */
const MAX_PENDING_BYTES = 16 * 1024;
const GHOST_EVENTS = 5;

export type Random = () => number;

/** One player's own log of everything it recorded, and its session. */
export interface Typist {
  readonly room: string;
  readonly player: string;
  readonly session: Session;
  readonly log: { readonly type: string; readonly data: unknown }[];
  /** Resolves when it has stopped typing. */
  readonly stopped: Promise<void>;
}

/** A player that was told that its events are accepted, and then was never seen again. */
export interface Ghost {
  readonly room: string;
  readonly player: string;
  readonly messages: readonly string[];
}

export interface ChaosOptions {
  readonly relay: RelayProcess;
  readonly rooms: readonly string[];
  readonly playersPerRoom: number;
  /** Room whose ghosts leave accepted events behind. */
  readonly hauntedRoom: string;
  readonly rounds: number;
  readonly random: Random;
}

/** Kills the relay at random moments while everybody types, and starts it again. Everybody is connected at the end. */
export async function runRounds(options: ChaosOptions): Promise<{ typists: Typist[]; ghosts: Ghost[] }> {
  const { relay, rooms, playersPerRoom, rounds, random, hauntedRoom } = options;
  const isOver = { value: false };
  const typists: Typist[] = [];
  for (const room of rooms) {
    for (let i = 0; i < playersPerRoom; i++)
      typists.push(await startTypist(relay.wsUrl, { room, player: `p${i}`, random, isOver }));
  }
  const ghosts: Ghost[] = [];
  for (let round = 0; round < rounds; round++) {
    ghosts.push(await haunt(relay.wsUrl, { room: hauntedRoom, player: `ghost-${round}` }));
    await pass(random() * MAX_LIFE_MS);
    await relay.kill();
    await pass(random() * MAX_PAUSE_MS);
    await relay.start();
  }
  isOver.value = true;
  await Promise.all(typists.map(({ stopped }) => stopped));
  await Promise.all(typists.map(({ session }) => session.stable()));
  return { typists, ghosts };
}

async function startTypist(
  url: string,
  { room, player, random, isOver }: { room: string; player: string; random: Random; isOver: { value: boolean } },
): Promise<Typist> {
  const session = await connect({ url, room, player, profile: 'json', state: { text: '', keys: 0 }, flushMs: 4 });
  const log: Typist['log'] = [];
  const record = (type: string, data: Record<string, string | number>) => {
    log.push({ type, data });
    session.record({ type, data });
  };
  const type = async () => {
    let length = 0;
    for (let keys = 1; !isOver.value; keys++) {
      const at = Math.floor(random() * (length + 1));
      const remove = random() < 0.3 ? Math.min(length - at, 3) : 0;
      const insert = random() < 0.8 ? 'añ😀\n'.slice(0, 1 + Math.floor(random() * 2)) : '';
      session.edit('text', { at, remove, insert });
      session.set('keys', keys);
      length += insert.length - remove;
      record('key', { keys, insert });
      if (keys % 97 === 0) record(`only-${keys}`, { keys });
      if (session.status.pendingBytes > MAX_PENDING_BYTES) await statusChange(session, isOver);
      else if (keys % 2 === 0) await turn();
    }
  };
  return { room, player, session, log, stopped: type() };
}

/** A raw client: what the relay has accepted must not depend on anybody sending it again. */
async function haunt(url: string, { room, player }: { room: string; player: string }): Promise<Ghost> {
  const messages = Array.from({ length: GHOST_EVENTS }, (_, index) => `${player} says ${index}`);
  const client = await RawClient.join(url, { room, player });
  client.events(1, messages);
  await client.accepted(GHOST_EVENTS, 15_000);
  await client.vanish();
  return { room, player, messages };
}

function statusChange(session: Session, isOver: { value: boolean }): Promise<void> {
  return new Promise((resolve) => {
    const off = session.on('status', ({ pendingBytes }) => {
      if (pendingBytes > MAX_PENDING_BYTES && !isOver.value) return;
      off();
      resolve();
    });
  });
}

/** Lets time go by: the length of a relay's life is what is random here, nothing is waited for. */
function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
