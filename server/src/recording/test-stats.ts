import { EventType, type GameEvent, type Json, type LiveState } from '@gametape/shared';
import { ThinnedCurve } from './thinned-curve.ts';

/** How many of a player's tests passed from a time on. */
export interface TestPoint {
  readonly timeS: number;
  readonly passing: number;
  /** Null where nothing says how many tests there are. */
  readonly total: number | null;
}

export interface TestStats {
  readonly runs: number;
  readonly passes: number;
  readonly fails: number;
  /** The last ones. */
  readonly passing: number | null;
  readonly total: number | null;
  /** The most tests that ever passed at once. */
  readonly best: number | null;
}

/** Follows one player's tests: the state says how many pass where it has `tests_passing`, else the events of test runs do. */
export class TestCount {
  readonly #curve = new ThinnedCurve<TestPoint>();
  #runs = 0;
  #passes = 0;
  #fails = 0;
  #best: number | null = null;
  #last: TestPoint | undefined;

  get isThinned(): boolean {
    return this.#curve.isThinned;
  }

  observe(timeS: number, event: GameEvent | undefined, state: LiveState): void {
    const isResult = event?.type === EventType.TEST_PASS || event?.type === EventType.TEST_FAIL;
    if (event?.type === EventType.TEST_RUN) this.#runs++;
    else if (event?.type === EventType.TEST_PASS) this.#passes++;
    else if (event?.type === EventType.TEST_FAIL) this.#fails++;
    const own = numberOf(state.get('tests_passing'));
    if (own !== null) this.#point(timeS, own, numberOf(state.get('tests_total')));
    else if (isResult) {
      const passing = numberOf(event.data.tests_passing);
      if (passing !== null) this.#point(timeS, passing, numberOf(event.data.tests_total));
    }
  }

  /** Undefined for a player without tests: none was run and there is none to pass. */
  toStats(): TestStats | undefined {
    if (!this.#hasTests) return undefined;
    const { passing = null, total = null } = this.#last ?? {};
    return { runs: this.#runs, passes: this.#passes, fails: this.#fails, passing, total, best: this.#best };
  }

  /** Every change of how many pass, in order, thinned. */
  points(): TestPoint[] {
    return this.#hasTests ? this.#curve.points() : [];
  }

  get #hasTests(): boolean {
    return this.#runs + this.#passes + this.#fails > 0 || (this.#last?.total ?? 0) > 0 || (this.#best ?? 0) > 0;
  }

  #point(timeS: number, passing: number, total: number | null): void {
    if (this.#last?.passing === passing && this.#last.total === total) return;
    this.#last = { timeS, passing, total };
    this.#best = Math.max(this.#best ?? passing, passing);
    this.#curve.push(this.#last);
  }
}

function numberOf(value: Json | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
