import type { TimelineEntry } from '../event.ts';
import type { ClockCounts, ClockMapRecord } from './clock-map.ts';
import type { ClockSummary } from './records.ts';

const MOST_EVENTS = 0.95;
const NO_COUNTS: ClockCounts = { ahead: 0, early: 0, backwards: 0, alarms: 0 };

/** Counts by what bound of the error each player's events were placed (T2). */
export class ClockSummaries {
  readonly #maps = new Map<number, ClockMapRecord>();
  /** Counts of epochs that are over, by player. */
  readonly #pastCounts = new Map<string, ClockCounts>();
  readonly #players = new Map<string, { producers: Set<number>; unknown: number; bounds: Map<number, number> }>();

  /** From its event on. */
  addMap(player: string, map: ClockMapRecord): void {
    const before = this.#maps.get(map.producer);
    if (before && before.epoch !== map.epoch) {
      this.#pastCounts.set(player, sum(this.#pastCounts.get(player) ?? NO_COUNTS, before));
    }
    this.#maps.set(map.producer, map);
    const known = this.#players.get(player) ?? { producers: new Set(), unknown: 0, bounds: new Map() };
    known.producers.add(map.producer);
    this.#players.set(player, known);
  }

  addEntry(player: string, { producer, stamp }: TimelineEntry): void {
    const known = this.#players.get(player);
    const map = stamp === null ? undefined : this.#maps.get(producer);
    if (!known || !map) return;
    if (map.errorUs === null) known.unknown++;
    else known.bounds.set(map.errorUs, (known.bounds.get(map.errorUs) ?? 0) + 1);
  }

  /** Undefined where no map was recorded. */
  of(player: string): ClockSummary | undefined {
    const known = this.#players.get(player);
    if (!known) return undefined;
    const bounds = [...known.bounds].sort(([a], [b]) => a - b);
    let left = bounds.reduce((events, [, count]) => events + count, 0) * MOST_EVENTS;
    const usual = bounds.find(([, count]) => {
      left -= count;
      return left <= 0;
    });
    const maps = [...known.producers].map((producer) => this.#maps.get(producer) ?? NO_COUNTS);
    const counts = maps.reduce(sum, this.#pastCounts.get(player) ?? NO_COUNTS);
    return { errorUs: usual?.[0] ?? 0, worstErrorUs: bounds.at(-1)?.[0] ?? 0, unknown: known.unknown, ...counts };
  }
}

function sum(a: ClockCounts, b: ClockCounts): ClockCounts {
  return {
    ahead: a.ahead + b.ahead,
    early: a.early + b.early,
    backwards: a.backwards + b.backwards,
    alarms: a.alarms + b.alarms,
  };
}
