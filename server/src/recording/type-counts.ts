/** Types beyond this many are counted together: a room of any profile may have one for each event. */
const MAX_TYPES = 256;
/** Longer names of types are cut. */
const MAX_TYPE_LENGTH = 128;

/** Name under which the types beyond the limit are counted. */
const OTHER_TYPES = '(other)';

/** How many events there are of each type, in bounded memory (R6). */
export class TypeCounts {
  readonly #counts = new Map<string, number>();

  add(type: string, count = 1): void {
    const name = type.length > MAX_TYPE_LENGTH ? `${type.slice(0, MAX_TYPE_LENGTH)}…` : type;
    const key = this.#counts.has(name) || this.#counts.size < MAX_TYPES ? name : OTHER_TYPES;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  /** The most frequent first, equally frequent ones by name. */
  toJson(): Record<string, number> {
    const sorted = [...this.#counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    return Object.fromEntries(sorted);
  }
}
