import type { Profile } from '@gametape/shared';
import { type Difference, type DifferenceList, valueDifference } from './diff-report.ts';
import { type DiffRules, own } from './diff-rules.ts';
import { type DiffItem, type PlayerTrack, placeOf } from './diff-track.ts';
import { StateDiff } from './state-diff.ts';

type Of<Kind extends Difference['kind']> = Extract<Difference, { readonly kind: Kind }>;

/** How many events of all players are what. */
export interface EventCounts {
  /** The same in both, time included. */
  equal: number;
  changed: number;
  /** The same but for the time. */
  retimed: number;
  /** Only in a. */
  removed: number;
  /** Only in b. */
  added: number;
}

export interface PlayerDiffOptions {
  readonly player: string;
  readonly a: PlayerTrack;
  readonly b: PlayerTrack;
  readonly profiles: readonly [a: Profile, b: Profile];
  readonly rules: DiffRules;
  readonly differences: DifferenceList;
  readonly counts: EventCounts;
}

/** Compares one player's events as they are taken in pairs or alone, and the states after each pair. */
export class PlayerDiff {
  readonly #player: string;
  readonly #rules: DiffRules;
  readonly #differences: DifferenceList;
  readonly #counts: EventCounts;
  readonly #states: StateDiff;
  /** Since the last event that both have: what alone events and shifted times are counted into. */
  readonly #open = new Map<'removed' | 'added' | 'time', Difference | undefined>();

  constructor(options: PlayerDiffOptions) {
    this.#player = options.player;
    this.#rules = options.rules;
    this.#differences = options.differences;
    this.#counts = options.counts;
    this.#states = new StateDiff(options);
  }

  get comparedStates(): number {
    return this.#states.compared;
  }

  get differentStates(): number {
    return this.#states.different;
  }

  /** Both were taken from their tracks. */
  pair(a: DiffItem, b: DiffItem): void {
    const isSame = a.type === b.type && this.#rules.sameData(a.data, b.data);
    if (!isSame) this.#changed(a, b);
    else if (this.#rules.sameTime(a.timeS, b.timeS)) {
      this.#counts.equal++;
      if (this.#open.size > 0) this.#open.clear();
    } else this.#retimed(a, b);
    this.#states.compare(a, b);
  }

  alone(kind: 'removed' | 'added', item: DiffItem): void {
    this.#counts[kind]++;
    if (!this.#open.has(kind)) {
      const make = (): Of<'removed' | 'added'> => {
        const event = { ...placeOf(item), data: item.data };
        return { kind, player: this.#player, event, events: 0, untilS: item.timeS };
      };
      this.#open.set(kind, this.#differences.add(make));
    }
    const open = this.#open.get(kind) as Of<'removed' | 'added'> | undefined;
    if (!open) return;
    open.events++;
    open.untilS = item.timeS;
  }

  /** Nothing waits any more. */
  finish(): void {
    this.#states.finish();
  }

  #changed(a: DiffItem, b: DiffItem): void {
    this.#counts.changed++;
    this.#open.delete('time');
    this.#differences.add((): Of<'changed'> => {
      const fields = this.#rules
        .differentFields(a.data, b.data)
        .map((key) => valueDifference(key, own(a.data, key), own(b.data, key)));
      return { kind: 'changed', player: this.#player, a: placeOf(a), b: placeOf(b), fields };
    });
  }

  #retimed(a: DiffItem, b: DiffItem): void {
    this.#counts.retimed++;
    this.#open.delete('removed');
    this.#open.delete('added');
    const by = b.timeS - a.timeS;
    if (!this.#open.has('time')) {
      const places = { a: placeOf(a), b: placeOf(b) };
      const make = (): Of<'time'> => ({
        ...{ kind: 'time', player: this.#player, ...places, events: 0, minS: by, maxS: by },
      });
      this.#open.set('time', this.#differences.add(make));
    }
    const open = this.#open.get('time') as Of<'time'> | undefined;
    if (!open) return;
    open.events++;
    open.minS = Math.min(open.minS, by);
    open.maxS = Math.max(open.maxS, by);
  }
}
