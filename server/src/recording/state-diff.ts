import { type Json, jsonEqual, type Profile } from '@gametape/shared';
import { type Difference, type DifferenceList, type ValueDifference, valueDifference } from './diff-report.ts';
import type { DiffRules } from './diff-rules.ts';
import { type DiffItem, type PlayerTrack, placeOf } from './diff-track.ts';

/** Keys whose values differ, since one event: told of once, however many events follow. */
interface Divergence {
  readonly open: Set<string>;
  readonly told: Extract<Difference, { readonly kind: 'state' }> | undefined;
}

export interface StateDiffOptions {
  readonly player: string;
  readonly a: PlayerTrack;
  readonly b: PlayerTrack;
  readonly profiles: readonly [a: Profile, b: Profile];
  readonly rules: DiffRules;
  readonly differences: DifferenceList;
}

/**
 * Compares one player's states in two recordings after each pair of events. Only what changed since the pair before is
 * looked at: equal changes of equal states need no look at all, so a long text is rarely compared.
 */
export class StateDiff {
  /** States compared, and how many of them differed. */
  compared = 0;
  different = 0;
  readonly #player: string;
  readonly #a: PlayerTrack;
  readonly #b: PlayerTrack;
  readonly #rules: DiffRules;
  readonly #differences: DifferenceList;
  readonly #clockKeys: ReadonlySet<string>;
  readonly #diverged = new Map<string, Divergence>();

  constructor({ player, a, b, profiles, rules, differences }: StateDiffOptions) {
    this.#player = player;
    this.#a = a;
    this.#b = b;
    this.#rules = rules;
    this.#differences = differences;
    this.#clockKeys = new Set(profiles.flatMap(({ clockKeys }) => [...clockKeys]));
  }

  /** `a` and `b` are the events after which the states are compared. */
  compare(a: DiffItem, b: DiffItem): void {
    this.compared++;
    const parted: string[] = [];
    for (const key of this.#suspects(a, b)) {
      const isEqual = this.#isEqual(key);
      const known = this.#diverged.get(key);
      if (isEqual && known) this.#heal(key, known, a);
      else if (!isEqual && !known) parted.push(key);
    }
    this.#a.state.compared();
    this.#b.state.compared();
    if (parted.length > 0) this.#part(parted, a, b);
    if (this.#diverged.size > 0) this.different++;
  }

  /** All keys once more: what came after the last pair counts too. */
  finish(): void {
    const different = [...this.#allKeys()].filter((key) => !this.#diverged.has(key) && !this.#isEqual(key));
    if (different.length === 0) return;
    this.#differences.add(() => ({
      kind: 'final',
      player: this.#player,
      keys: different.map((key) => this.#show(key)),
    }));
  }

  *#suspects(a: DiffItem, b: DiffItem): Iterable<string> {
    const [touchedA, touchedB] = [this.#a.state.touched, this.#b.state.touched];
    if (!touchedA || !touchedB) {
      yield* this.#allKeys();
      return;
    }
    yield* this.#clockKeys;
    const isSameChange = this.#isSameChange(a, b);
    for (const key of touchedA) if (!isSameChange || this.#diverged.has(key)) yield key;
    for (const key of touchedB) if (!touchedA.has(key)) yield key;
  }

  /** Nothing but the events' own changes came since the last pair, and those are the same. */
  #isSameChange({ steps: [a, ...moreOfA] }: DiffItem, { steps: [b, ...moreOfB] }: DiffItem): boolean {
    const isAlone = moreOfA.length + moreOfB.length === 0 && this.#a.state.steps === 1 && this.#b.state.steps === 1;
    if (!isAlone || a?.change?.form !== 'delta' || b?.change?.form !== 'delta') return false;
    // The ops of a delta are JSON, which their types do not say.
    return jsonEqual(a.change.ops as unknown as Json, b.change.ops as unknown as Json);
  }

  #isEqual(key: string): boolean {
    if (this.#rules.isIgnored(key)) return true;
    const [a, b] = [this.#a.state.get(key), this.#b.state.get(key)];
    if (this.#clockKeys.has(key) && typeof a === 'number' && typeof b === 'number') return this.#rules.sameTime(a, b);
    return jsonEqual(a, b);
  }

  #part(keys: readonly string[], a: DiffItem, b: DiffItem): void {
    const told = this.#differences.add((): Extract<Difference, { readonly kind: 'state' }> => {
      const places = { a: placeOf(a), b: placeOf(b) };
      const shown = keys.map((key) => this.#show(key));
      return { kind: 'state', player: this.#player, ...places, keys: shown, until: null };
    });
    const divergence = { open: new Set(keys), told };
    for (const key of keys) this.#diverged.set(key, divergence);
  }

  #heal(key: string, { open, told }: Divergence, a: DiffItem): void {
    this.#diverged.delete(key);
    open.delete(key);
    if (told && open.size === 0) told.until = placeOf(a);
  }

  #allKeys(): Set<string> {
    // A key that differed may be gone from both.
    return new Set([...this.#a.state.keys(), ...this.#b.state.keys(), ...this.#diverged.keys()]);
  }

  #show(key: string): ValueDifference {
    return valueDifference(key, this.#a.state.get(key), this.#b.state.get(key));
  }
}
