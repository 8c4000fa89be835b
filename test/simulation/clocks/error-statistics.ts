/** Steps to a doubling: a percentile is right to 1 %. */
const STEPS = 64;

interface Group {
  readonly errors: Uint32Array;
  readonly bounds: Uint32Array;
  count: number;
}

export interface ErrorRow {
  readonly group: string;
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly boundP50Ms: number;
}

/** Errors by group, in memory that does not grow with them. */
export class ErrorStatistics {
  readonly #groups = new Map<string, Group>();

  add(name: string, errorUs: number, boundUs: number): void {
    let group = this.#groups.get(name);
    if (!group) {
      group = { errors: new Uint32Array(STEPS * 40), bounds: new Uint32Array(STEPS * 40), count: 0 };
      this.#groups.set(name, group);
    }
    group.errors[stepOf(errorUs)] = (group.errors[stepOf(errorUs)] as number) + 1;
    group.bounds[stepOf(boundUs)] = (group.bounds[stepOf(boundUs)] as number) + 1;
    group.count++;
  }

  rows(): ErrorRow[] {
    return [...this.#groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { errors, bounds, count }]) => {
        return {
          group: name,
          count,
          p50Ms: percentile(errors, count, 0.5),
          p99Ms: percentile(errors, count, 0.99),
          maxMs: percentile(errors, count, 1),
          boundP50Ms: percentile(bounds, count, 0.5),
        };
      });
  }
}

function stepOf(us: number): number {
  return Math.min(STEPS * 40 - 1, Math.floor(Math.log2(us + 1) * STEPS));
}

function percentile(steps: Uint32Array, count: number, share: number): number {
  let left = Math.max(1, Math.ceil(count * share));
  for (const [step, hits] of steps.entries()) {
    left -= hits;
    if (left <= 0) return Math.round(2 ** ((step + 1) / STEPS) - 1) / 1_000;
  }
  return 0;
}
