import type { Random } from '../support/simulated-file.ts';

/** What may go wrong in a run. Few things at a time: what must then be true is the stronger. */
export interface Plan {
  readonly players: number;
  /** How long things go wrong, in milliseconds of virtual time. */
  readonly durationMs: number;
  /** Longest time between two things that go wrong. */
  readonly paceMs: number;
  readonly flushMs: number;
  readonly relayFlushMs: number;
  readonly syncIntervalMs: number;
  readonly segmentBytes: number;
  readonly dropGraceMs: number;
  readonly pauseMs: number;
  readonly syncMs: number;
  readonly troubles: ReadonlySet<Trouble>;
}

export type Trouble =
  | 'kill'
  | 'power loss'
  | 'stop'
  | 'reset'
  | 'half-open'
  | 'cut'
  | 'repeat'
  | 'drop'
  | 'client crash'
  | 'leave'
  | 'end'
  | 'disk fault'
  | 'slow disk'
  | 'wall clock';

const TROUBLES: readonly Trouble[] = [
  'kill',
  'power loss',
  'stop',
  'reset',
  'half-open',
  'cut',
  'repeat',
  'drop',
  'client crash',
  'leave',
  'end',
  'disk fault',
  'slow disk',
  'wall clock',
];

export function makePlan(random: Random): Plan {
  const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const share = pick(0.15, 0.3, 0.6);
  const troubles = new Set(TROUBLES.filter(() => random() < share));
  // Something has to happen.
  if (troubles.size === 0) troubles.add(pick('kill', 'power loss', 'reset'));
  return {
    players: 2 + Math.floor(random() * 4),
    durationMs: 10_000 + random() * 60_000,
    paceMs: pick(500, 2_000, 8_000),
    flushMs: pick(0, 4, 16),
    relayFlushMs: pick(0, 4, 16),
    syncIntervalMs: pick(0, 20, 100),
    segmentBytes: pick(2_048, 16_384, 1 << 20),
    dropGraceMs: pick(1_000, 5_000),
    pauseMs: pick(300, 1_000, 3_000),
    syncMs: pick(0.3, 2, 15),
    troubles,
  };
}
