import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Session } from '@gametape/client-sdk';
import { isGametapeError } from '@gametape/shared';
import { type DemoPlayer, type DemoStep, makeDemoSession } from './demo-session.ts';
import { paint, say } from './terminal.ts';
import { Pacer, Typewriter } from './typewriter.ts';

const BETWEEN_DEMOS_MS = 5_000;
const LEAVE_MS = 2_000;

export const DEMO_ROOM = 'demo';

export interface DemoOptions {
  readonly url: string;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** Plays one demo after another, each a recording of its own, until `signal` is aborted. */
export async function playDemos({ url, seed, signal }: DemoOptions): Promise<void> {
  for (let demo = 0; !signal.aborted; demo++) {
    try {
      await playDemo(url, makeDemoSession(seed + demo), signal);
    } catch (error) {
      // Whoever looks around may well end the room of the demo.
      if (!signal.aborted && !isGametapeError(error)) throw error;
      if (!signal.aborted) say(`${paint('yellow', 'note')}: the demo stopped: ${(error as Error).message}`);
    }
    await sleep(BETWEEN_DEMOS_MS, undefined, { signal }).catch(() => {});
  }
}

async function playDemo(url: string, players: readonly DemoPlayer[], signal: AbortSignal): Promise<void> {
  const sessions: Session[] = [];
  // What is to be typed follows from what was typed: after a rewind (T8) there is nothing left to play.
  const rewound = new AbortController();
  const stopped = AbortSignal.any([signal, rewound.signal]);
  try {
    for (const { player, name } of players) sessions.push(await connect({ url, room: DEMO_ROOM, player, name }));
    for (const session of sessions) session.on('rewind', () => rewound.abort());
    try {
      await Promise.all(
        players.map(async ({ steps }, index) => {
          const session = sessions[index];
          if (session) await playSteps(session, steps, stopped);
        }),
      );
    } catch (error) {
      if (!rewound.signal.aborted || signal.aborted) throw error;
      say(`${paint('yellow', 'note')}: somebody rewound the demo; another one starts`);
    }
    await sessions[0]?.end({ success: true, final_code: players[0]?.finalCode ?? '' });
  } finally {
    const left = Promise.allSettled(sessions.map((session) => session.leave()));
    // A relay that records nothing any more never says that all is stable.
    if (signal.aborted) await Promise.race([left, sleep(LEAVE_MS)]);
    else await left;
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
        await checkpoint(session, step.name);
        break;
      case 'record':
        for (const [key, value] of Object.entries(step.state)) session.set(key, value);
        session.record(step.event);
    }
  }
}

/** A demo that was killed may have left its room with a checkpoint of that name. */
async function checkpoint(session: Session, name: string): Promise<void> {
  try {
    await session.checkpoint(name);
  } catch (error) {
    if (!isGametapeError(error, 'NAME_TAKEN')) throw error;
  }
}
