import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Session } from '@gametape/client-sdk';
import { isGametapeError, profileNamed } from '@gametape/shared';
import { type DemoPlayer, type DemoStep, makeDemoSession } from './demo-session.ts';
import { Pacer, Typewriter } from './typewriter.ts';

const BETWEEN_DEMOS_MS = 5_000;

export interface DemoOptions {
  readonly url: string;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onRoom: (room: string) => void;
}

/** Plays one demo after another, each in a room of its own, until `signal` is aborted. */
export async function playDemos({ url, seed, signal, onRoom }: DemoOptions): Promise<void> {
  let number = 1;
  for (let demo = 0; !signal.aborted; demo++) {
    const players = makeDemoSession(seed + demo);
    const { sessions, room, next } = await joinFreshRoom(url, players, number);
    number = next;
    onRoom(room);
    await playDemo(players, sessions, signal);
    await sleep(BETWEEN_DEMOS_MS, undefined, { signal }).catch(() => {});
  }
}

async function playDemo(
  players: readonly DemoPlayer[],
  sessions: readonly Session[],
  signal: AbortSignal,
): Promise<void> {
  try {
    await Promise.all(
      players.map(async ({ steps }, index) => {
        const session = sessions[index];
        if (session) await playSteps(session, steps, signal);
      }),
    );
    const [first] = players;
    await sessions[0]?.end({ success: true, final_code: first?.finalCode ?? '' });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await Promise.allSettled(sessions.map((session) => session.leave()));
  }
}

async function playSteps(session: Session, steps: readonly DemoStep[], signal: AbortSignal): Promise<void> {
  const typewriter = new Typewriter(session, '');
  const pacer = new Pacer(session, 1, signal);
  for (const step of steps) {
    await pacer.wait(step.afterMs);
    switch (step.does) {
      case 'type':
        typewriter.type(step);
        break;
      case 'say':
        session.say(step.message);
        break;
      case 'checkpoint':
        await session.checkpoint(step.name);
        break;
      case 'record':
        for (const [key, value] of Object.entries(step.state)) session.set(key, value);
        session.record(step.event);
    }
  }
}

/** `demo`, or `demo-2` and so on where that one has been used: a room that has ended stays ended. */
async function joinFreshRoom(
  url: string,
  players: readonly DemoPlayer[],
  number: number,
): Promise<{ sessions: Session[]; room: string; next: number }> {
  for (let next = number; ; next++) {
    const room = next === 1 ? 'demo' : `demo-${next}`;
    if (await isUsed(url, room)) continue;
    try {
      const sessions: Session[] = [];
      for (const { player, name } of players) {
        const state = profileNamed('lmsp').initialState?.(player) ?? {};
        sessions.push(await connect({ url, room, player, name, state }));
      }
      return { sessions, room, next: next + 1 };
    } catch (error) {
      if (!isGametapeError(error, 'ROOM_ENDED')) throw error;
    }
  }
}

async function isUsed(url: string, room: string): Promise<boolean> {
  const response = await fetch(new URL(`/v1/rooms/${room}`, url.replace(/^ws/, 'http')));
  return response.ok;
}
