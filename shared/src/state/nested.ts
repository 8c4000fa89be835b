import { GametapeError } from '../errors.ts';
import type { NestedChange, Path } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { isJsonObject, type Json } from '../values/json.ts';
import { measure } from './measure.ts';

/** A value after a nested change, and what it weighs and counts more than before. */
export interface NestedEdit {
  readonly value: Json;
  readonly weight: number;
  readonly nodes: number;
}

/**
 * Makes the nested changes of one delta. What a path does not touch is shared with the value before, which stays as it is;
 * an array or a map on the path is copied once per delta, however many changes it has.
 */
export class NestedEditor {
  /** The copies, made when there is a first one: most deltas have none. */
  #own: Set<object> | undefined;

  /** @throws GametapeError `BAD_DELTA` when the change does not fit, `LIMIT_EXCEEDED` when it nests too deep. */
  apply(value: Json, path: Path, change: NestedChange, where: string, depth = 0): NestedEdit {
    const step = path[depth];
    if (step === undefined) return this.#applyHere(value, change, where, depth);
    const place = `${where}.${step}`;
    const isLast = depth === path.length - 1;
    if (typeof step === 'number') {
      if (!Array.isArray(value) || step >= value.length) throw misfit(place, 'an item of an array');
      const items = this.#ownArray(value);
      if (isLast && change.op === 'delete') {
        const [gone] = items.splice(step, 1);
        return changed(items, [gone as Json], []);
      }
      const edit = this.apply(items[step] as Json, path, change, place, depth + 1);
      items[step] = edit.value;
      return { ...edit, value: items };
    }
    if (!isJsonObject(value)) throw misfit(place, 'a key of a map');
    const isThere = Object.hasOwn(value, step);
    const before = value[step] as Json;
    const map = this.#ownMap(value);
    if (isThere && isLast && change.op === 'delete') {
      delete map[step];
      const { weight, nodes } = changed(map, [before], []);
      return { value: map, weight: weight - step.length, nodes };
    }
    if (!isThere && isLast && change.op === 'set') {
      checkDepth(change.value, depth + 1, place);
      map[step] = change.value;
      const { weight, nodes } = changed(map, [], [change.value]);
      return { value: map, weight: weight + step.length, nodes };
    }
    if (!isThere) throw misfit(place, 'a key that is there');
    const edit = this.apply(before, path, change, place, depth + 1);
    map[step] = edit.value;
    return { ...edit, value: map };
  }

  #applyHere(value: Json, change: NestedChange, where: string, depth: number): NestedEdit {
    if (change.op === 'delete') throw misfit(where, 'a path to what is deleted');
    if (change.op === 'set') {
      checkDepth(change.value, depth, where);
      return changed(change.value, [value], [change.value]);
    }
    const { at, remove, insert } = change;
    if (!Array.isArray(value) || at + remove > value.length) throw misfit(where, 'a longer array');
    for (const item of insert) checkDepth(item, depth + 1, where);
    const items = this.#ownArray(value);
    const kept = items.splice(at + remove);
    const removed = items.splice(at);
    for (const item of insert) items.push(item);
    for (const item of kept) items.push(item);
    return changed(items, removed, insert);
  }

  #ownArray(value: readonly Json[]): Json[] {
    if (this.#own?.has(value)) return value as Json[];
    return this.#keep(value.slice());
  }

  #ownMap(value: object): Record<string, Json> {
    if (this.#own?.has(value)) return value as Record<string, Json>;
    return this.#keep({ ...value });
  }

  #keep<T extends object>(copy: T): T {
    this.#own ??= new Set();
    this.#own.add(copy);
    return copy;
  }
}

function changed(value: Json, removed: readonly Json[], inserted: readonly Json[]): NestedEdit {
  let [weight, nodes] = [0, 0];
  for (const item of removed) {
    const gone = measure(item);
    weight -= gone.weight;
    nodes -= gone.nodes;
  }
  for (const item of inserted) {
    const come = measure(item);
    weight += come.weight;
    nodes += come.nodes;
  }
  return { value, weight, nodes };
}

function checkDepth(value: Json, depth: number, where: string): void {
  if (depth + measure(value).depth > LIMITS.depth) {
    throw new GametapeError('LIMIT_EXCEEDED', `state key ${where}: nested deeper than ${LIMITS.depth}`);
  }
}

function misfit(where: string, expected: string): GametapeError {
  return new GametapeError('BAD_DELTA', `state key ${where}: expected ${expected}`);
}
