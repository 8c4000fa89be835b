import type { DiffRules } from './diff-rules.ts';
import type { DiffItem } from './diff-track.ts';

/** Events looked at on each side: more only while fewer do not show where both agree again. */
const WINDOWS = [16, 64, 256] as const;
/** So many events in a row that agree, time included, are no coincidence. */
const ANCHOR = 4;
/** Without their times, events have to be more, and of several kinds. */
const LOOSE_ANCHOR = 12;
const LOOSE_ANCHOR_KINDS = 6;

/** What two events cost that are taken for each other; one that stands alone costs 4, so 8 is as good as two alone. */
const COST = { alone: 4, otherTime: 2, otherData: 3, otherType: 6, never: 1_000 } as const;

export type AlignStep = 'pair' | 'removed' | 'added';

/** The events of one player on one side that are known so far. */
export interface AlignSide {
  readonly length: number;
  /** No more will come. */
  readonly isOver: boolean;
  peek(at: number): DiffItem;
}

/**
 * How the next events of a player in two recordings belong together, from where they part up to where they agree again: the
 * cheapest alignment of a window of each (at most 256 events). Where none agrees inside the window, the earlier events are
 * taken to stand alone, so that any length of missing events is passed as long as times are compared.
 *
 * Undefined while more events have to be known; never when `isPressed`.
 */
export function alignEvents(
  a: AlignSide,
  b: AlignSide,
  { rules, isPressed }: { rules: DiffRules; isPressed: boolean },
): readonly AlignStep[] | undefined {
  for (const size of WINDOWS) {
    const [n, m] = [Math.min(size, a.length), Math.min(size, b.length)];
    const isShort = (n < size && !a.isOver) || (m < size && !b.isOver);
    if (isShort && !isPressed) return undefined;
    const isWhole = a.isOver && b.isOver && n === a.length && m === b.length;
    const window = new Window(itemsOf(a, n), itemsOf(b, m), rules);
    const steps = window.align(isWhole);
    if (isWhole) return window.joinLone(steps);
    const sound = window.soundPart(steps);
    if (sound > 0) return window.joinLone(steps.slice(0, sound));
    if (size === WINDOWS[WINDOWS.length - 1] || isShort)
      return window.earlier() ?? steps.slice(0, (steps.length + 1) >> 1);
  }
  return undefined;
}

class Window {
  readonly #a: readonly Known[];
  readonly #b: readonly Known[];
  readonly #rules: DiffRules;

  constructor(a: readonly DiffItem[], b: readonly DiffItem[], rules: DiffRules) {
    const ids = new Map<string, number>();
    const know = (item: DiffItem): Known => {
      item.identity ??= rules.identityOf(item.type, item.data);
      const id = ids.get(item.identity) ?? ids.size;
      ids.set(item.identity, id);
      return { id, type: item.type, timeS: item.timeS, identity: item.identity };
    };
    this.#a = a.map(know);
    this.#b = b.map(know);
    this.#rules = rules;
  }

  /** The cheapest alignment: of all of both, or up to the end of either, where what is left may still find its like. */
  align(isWhole: boolean): AlignStep[] {
    const [n, m] = [this.#a.length, this.#b.length];
    const costs = this.#costs();
    let [i, j] = isWhole ? [n, m] : this.#cheapestEnd(costs);
    const steps: AlignStep[] = [];
    while (i > 0 || j > 0) {
      const step = this.#stepBefore(costs, i, j);
      steps.push(step);
      if (step !== 'added') i--;
      if (step !== 'removed') j--;
    }
    return steps.reverse();
  }

  /** How many of the steps can be relied on: up to the end of the first events in a row that can be no coincidence. */
  soundPart(steps: readonly AlignStep[]): number {
    let [equal, same, lastEqual, equals] = [0, 0, 0, 0];
    let kinds = new Set<number>();
    for (const [at, { cost, id }] of this.#walk(steps)) {
      equal = cost === 0 && !this.#rules.areTimesIgnored ? equal + 1 : 0;
      same = cost <= COST.otherTime ? same + 1 : 0;
      if (same === 0) kinds = new Set();
      else kinds.add(id);
      if (equal >= ANCHOR || (same >= LOOSE_ANCHOR && kinds.size >= LOOSE_ANCHOR_KINDS)) return at + 1;
      if (cost > 0) continue;
      equals++;
      lastEqual = at + 1;
    }
    return equals * 2 >= Math.min(this.#a.length, this.#b.length) ? lastEqual : 0;
  }

  /** Half of the events in the order of their times, up to where both sides go on at the same; undefined if at once. */
  earlier(): AlignStep[] | undefined {
    const steps: AlignStep[] = [];
    const count = (this.#a.length + this.#b.length) >> 1;
    let [i, j] = [0, 0];
    while (steps.length < count) {
      const [a, b] = [this.#a[i], this.#b[j]];
      if (!a || !b || this.#rules.sameTime(a.timeS, b.timeS)) break;
      const isFirst = a.timeS < b.timeS;
      steps.push(isFirst ? 'removed' : 'added');
      if (isFirst) i++;
      else j++;
    }
    return steps.length > 0 ? steps : undefined;
  }

  /** One removed beside one added of the same type, with nothing else amiss around them, are one that was changed. */
  joinLone(steps: readonly AlignStep[]): AlignStep[] {
    const joined: AlignStep[] = [];
    let [i, j] = [0, 0];
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at] as AlignStep;
      const next = steps[at + 1];
      const isCouple = step !== 'pair' && next !== undefined && next !== 'pair' && next !== step;
      const isAlone = (steps[at - 1] ?? 'pair') === 'pair' && (steps[at + 2] ?? 'pair') === 'pair';
      const isJoined = isCouple && isAlone && this.#a[i]?.type === this.#b[j]?.type;
      joined.push(isJoined ? 'pair' : step);
      if (isJoined) at++;
      if (isJoined || step !== 'added') i++;
      if (isJoined || step !== 'removed') j++;
    }
    return joined;
  }

  *#walk(steps: readonly AlignStep[]): Generator<[at: number, pair: { cost: number; id: number }]> {
    let [i, j] = [0, 0];
    for (const [at, step] of steps.entries()) {
      const a = this.#a[i] as Known;
      if (step === 'pair') yield [at, { cost: this.#pairCost(a, this.#b[j] as Known), id: a.id }];
      else yield [at, { cost: COST.alone, id: -1 }];
      if (step !== 'added') i++;
      if (step !== 'removed') j++;
    }
  }

  #costs(): Int32Array {
    const [n, m] = [this.#a.length, this.#b.length];
    const width = m + 1;
    const costs = new Int32Array((n + 1) * width);
    for (let j = 1; j <= m; j++) costs[j] = j * COST.alone;
    for (let i = 1; i <= n; i++) {
      const a = this.#a[i - 1] as Known;
      const row = i * width;
      costs[row] = i * COST.alone;
      for (let j = 1; j <= m; j++) {
        const pair = at(costs, row - width + j - 1) + this.#pairCost(a, this.#b[j - 1] as Known);
        costs[row + j] = Math.min(pair, at(costs, row - width + j) + COST.alone, at(costs, row + j - 1) + COST.alone);
      }
    }
    return costs;
  }

  #pairCost(a: Known, b: Known): number {
    const isSameTime = this.#rules.sameTime(a.timeS, b.timeS);
    if (a.id === b.id) return isSameTime ? 0 : COST.otherTime;
    if (!isSameTime) return COST.never;
    return a.type === b.type ? COST.otherData : COST.otherType;
  }

  /** On the last row or column; among equals the longest. */
  #cheapestEnd(costs: Int32Array): [i: number, j: number] {
    const [n, m] = [this.#a.length, this.#b.length];
    let best: [i: number, j: number] = [n, m];
    const consider = (i: number, j: number) => {
      const by = at(costs, i * (m + 1) + j) - at(costs, best[0] * (m + 1) + best[1]);
      const longer = i + j - best[0] - best[1];
      if (by < 0 || (by === 0 && (longer > 0 || (longer === 0 && this.#endsAtB() && j === m)))) best = [i, j];
    };
    for (let j = m; j >= 0; j--) consider(n, j);
    for (let i = n - 1; i >= 0; i--) consider(i, m);
    return best;
  }

  /** Says which side goes first among equal choices, so that swapping the sides swaps the answer. */
  #endsAtB(): boolean {
    return isLater(this.#a[this.#a.length - 1], this.#b[this.#b.length - 1]);
  }

  #stepBefore(costs: Int32Array, i: number, j: number): AlignStep {
    const [a, b] = [this.#a[i - 1], this.#b[j - 1]];
    if (!a) return 'added';
    if (!b) return 'removed';
    const width = this.#b.length + 1;
    const here = at(costs, i * width + j);
    if (here === at(costs, (i - 1) * width + j - 1) + this.#pairCost(a, b)) return 'pair';
    const canRemove = here === at(costs, (i - 1) * width + j) + COST.alone;
    const canAdd = here === at(costs, i * width + j - 1) + COST.alone;
    if (canRemove && canAdd) return isLater(a, b) ? 'removed' : 'added';
    return canRemove ? 'removed' : 'added';
  }
}

/** What of an event is compared again and again. */
interface Known {
  /** The same for events of the same type and data. */
  readonly id: number;
  readonly type: string;
  readonly timeS: number;
  readonly identity: string;
}

function isLater(a: Known | undefined, b: Known | undefined): boolean {
  if (!a || !b) return a !== undefined;
  return a.timeS === b.timeS ? a.identity > b.identity : a.timeS > b.timeS;
}

function itemsOf(side: AlignSide, count: number): DiffItem[] {
  return Array.from({ length: count }, (_, at) => side.peek(at));
}

function at(costs: Int32Array, index: number): number {
  return costs[index] as number;
}
