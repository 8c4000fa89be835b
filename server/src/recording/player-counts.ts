import type { TimelineEntry } from '@gametape/shared';

/** Counts what of each player's events is written and what is known to be missing (W6). */
export class PlayerCounts {
  readonly #received = new Map<string, number>();
  readonly #missing = new Map<string, number | null>();

  add(player: string, { stamp }: TimelineEntry): void {
    if (stamp !== null) this.#received.set(player, (this.#received.get(player) ?? 0) + 1);
  }

  /** Null when nobody knows how many are missing: that is how it stays. */
  miss(player: string, events: number | null): void {
    const missing = this.#missing.get(player) ?? 0;
    this.#missing.set(player, this.#missing.get(player) === null || events === null ? null : missing + events);
  }

  /** How many events each of these players numbered, for `RecordingEnd`. */
  expected(): Map<string, number | null> {
    const expected = new Map<string, number | null>();
    for (const [player, missing] of this.#missing) {
      const received = this.#received.get(player) ?? 0;
      expected.set(player, missing === null ? null : Math.max(received, received + missing));
    }
    return expected;
  }
}
