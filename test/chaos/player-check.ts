import { isDeepStrictEqual } from 'node:util';

/** What a player says it did and was promised. Event n, counted from 1, is event n of its producer. */
export interface PlayerLog {
  readonly id: string;
  readonly typed: readonly string[];
  readonly accepted: number;
  readonly stable: number;
  readonly state: unknown;
}

export interface CheckedCounts {
  /** Events of its own that the recording has. */
  events: number;
  lost: number;
  lostAccepted: number;
  lostStable: number;
  twice: number;
  outOfOrder: number;
  /** Events that nobody made, or with other data than they were made with. */
  wrong: number;
}

/** Compares what a recording has of one player, event by event in the order of the recording, with the player's own log. */
export class PlayerCheck {
  readonly counts: CheckedCounts = newCounts();
  readonly #log: PlayerLog;
  readonly #seen: Uint8Array;
  #last = 0;

  constructor(log: PlayerLog) {
    this.#log = log;
    this.#seen = new Uint8Array(log.typed.length + 1);
  }

  take(data: Readonly<Record<string, unknown>>): void {
    const { n, char } = data;
    this.counts.events++;
    if (typeof n !== 'number' || char !== this.#log.typed[n - 1] || n < 1 || n >= this.#seen.length) {
      this.counts.wrong++;
      return;
    }
    if (this.#seen[n]) this.counts.twice++;
    else if (n < this.#last) this.counts.outOfOrder++;
    this.#seen[n] = 1;
    this.#last = Math.max(this.#last, n);
  }

  /** What is wrong with all that was taken, and with the player's last state. */
  finish(state: unknown): string[] {
    const { typed, accepted, stable } = this.#log;
    for (let n = 1; n <= typed.length; n++) {
      if (this.#seen[n]) continue;
      this.counts.lost++;
      if (n <= accepted) this.counts.lostAccepted++;
      if (n <= stable) this.counts.lostStable++;
    }
    const problems = Object.entries(this.counts)
      .filter(([name, count]) => name !== 'events' && count > 0)
      .map(([name, count]) => `${name}: ${count}`);
    if (!isDeepStrictEqual(state, this.#log.state)) problems.push('another state at the end');
    return problems;
  }
}

export function newCounts(): CheckedCounts {
  return { events: 0, lost: 0, lostAccepted: 0, lostStable: 0, twice: 0, outOfOrder: 0, wrong: 0 };
}
