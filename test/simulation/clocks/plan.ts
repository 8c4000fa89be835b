import type { ClockKind } from './client-clock.ts';
import { PATHS, type PathKind } from './network-path.ts';

/** What befalls a player. Only the honest are promised an error bound: a clock that lies, or jumps unnoticed, is none. */
export type Trouble = 'none' | 'away' | 'sleep' | 'nap' | 'jump' | 'ahead' | 'backwards' | 'frozen' | 'wild' | 'faker';

const HONEST: readonly Trouble[] = ['none', 'none', 'none', 'away', 'sleep', 'nap'];
const OTHERS: readonly Trouble[] = ['jump', 'ahead', 'backwards', 'frozen', 'wild', 'faker'];
const MINUTE_US = 60_000_000;

export interface PlayerPlan {
  readonly path: PathKind;
  readonly clock: ClockKind;
  readonly trouble: Trouble;
  readonly eventsPerSecond: number;
}

export interface RoomPlan {
  readonly durationUs: number;
  readonly players: readonly PlayerPlan[];
}

export function isHonest(trouble: Trouble): boolean {
  return HONEST.includes(trouble);
}

/** A room of two to eight players, each with its own path, clock and trouble. */
export function planRoom(random: () => number): RoomPlan {
  const players: PlayerPlan[] = [];
  for (let count = 2 + Math.floor(random() * 7); count > 0; count--) {
    const trouble = random() < 0.2 ? pick(OTHERS, random) : pick(HONEST, random);
    const clock = {
      startUs: Math.floor(random() * 2 ** 42),
      driftPpm: (random() * 2 - 1) * 200,
      tickUs: tickOf(random()),
    };
    players.push({ path: pick(PATHS, random), clock, trouble, eventsPerSecond: 2 + random() * 18 });
  }
  return { durationUs: (8 + random() * 12) * MINUTE_US, players };
}

/** Browsers: 100 µs; isolated ones 5 µs; Firefox and Safari 1 ms; one that resists fingerprinting 100 ms. */
function tickOf(luck: number): number {
  if (luck < 0.1) return 100_000;
  if (luck < 0.3) return 1_000;
  return luck < 0.5 ? 5 : 100;
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)] as T;
}
