import type { DeltaOp, NestedChange, Path, State } from '../event.ts';
import { isJsonObject, type Json, jsonEqual } from '../values/json.ts';
import { diffText } from './text-diff.ts';

/** Longest array that `add` describes: positions, colours, scores. */
const MAX_ADDED = 16;
/** A nested value whose JSON is shorter than this is sent whole: naming a path inside would not be shorter. */
const SMALL_JSON = 24;

/** What the differ has to know of the state before: texts are only asked for when they are compared. */
export interface DiffBase {
  keys(): Iterable<string>;
  get(key: string): Json | undefined;
}

/** The ops from the state in `base` to `next`: the walk's `diff` (D1). Keys of `ignore` are left alone. */
export function diff(base: DiffBase, next: State, ignore: ReadonlySet<string>): DeltaOp[] {
  const ops: DeltaOp[] = [];
  for (const key of base.keys()) {
    if (!Object.hasOwn(next, key) && !ignore.has(key)) ops.push({ op: 'delete', key });
  }
  for (const key of Object.keys(next)) {
    if (ignore.has(key)) continue;
    const op = diffKey(key, base.get(key), next[key] as Json);
    if (op) ops.push(op);
  }
  return ops;
}

export function diffKey(key: string, before: Json | undefined, after: Json): DeltaOp | undefined {
  if (before === after) return undefined;
  if (typeof before === 'string' && typeof after === 'string') {
    const change = diffText(before, after);
    return change && { op: 'splice', key, ...change };
  }
  if (typeof before !== 'object' || typeof after !== 'object' || before === null || after === null) {
    const by = addition(before, after);
    return by === undefined ? { op: 'set', key, value: after } : { op: 'add', key, by: [by] };
  }
  if (jsonEqual(before, after)) return undefined;
  const by = additions(before, after);
  if (by) return { op: 'add', key, by };
  const nested = diffNested(before, after, []);
  return nested ? { op: 'nest', key, ...nested } : { op: 'set', key, value: after };
}

/** The one nested change that turns `before` into `after`, or undefined when there is more than one or it does not pay. */
function diffNested(before: Json, after: Json, path: Path): { path: Path; change: NestedChange } | undefined {
  if (path.length > 0 && JSON.stringify(after).length < SMALL_JSON)
    return { path, change: { op: 'set', value: after } };
  if (Array.isArray(before) && Array.isArray(after)) return diffArrays(before, after, path);
  if (!isJsonObject(before) || !isJsonObject(after))
    return path.length > 0 ? { path, change: { op: 'set', value: after } } : undefined;
  const changed = Object.keys(after).filter(
    (key) => !Object.hasOwn(before, key) || !jsonEqual(before[key], after[key]),
  );
  const gone = Object.keys(before).filter((key) => !Object.hasOwn(after, key));
  const [key] = [...changed, ...gone];
  if (key === undefined || changed.length + gone.length > 1) {
    return path.length > 0 ? { path, change: { op: 'set', value: after } } : undefined;
  }
  if (gone.length === 1) return { path: [...path, key], change: { op: 'delete' } };
  const value = after[key] as Json;
  if (!Object.hasOwn(before, key)) return { path: [...path, key], change: { op: 'set', value } };
  return (
    diffNested(before[key] as Json, value, [...path, key]) ?? { path: [...path, key], change: { op: 'set', value } }
  );
}

function diffArrays(before: readonly Json[], after: readonly Json[], path: Path): { path: Path; change: NestedChange } {
  const shortest = Math.min(before.length, after.length);
  let start = 0;
  while (start < shortest && jsonEqual(before[start], after[start])) start++;
  let end = 0;
  while (end < shortest - start && jsonEqual(before[before.length - 1 - end], after[after.length - 1 - end])) end++;
  const remove = before.length - end - start;
  const insert = after.slice(start, after.length - end);
  if (remove === 1 && insert.length === 1) {
    const deeper = diffNested(before[start] as Json, insert[0] as Json, [...path, start]);
    if (deeper) return deeper;
  }
  return { path, change: { op: 'splice', at: start, remove, insert } };
}

function addition(before: Json | undefined, after: Json): number | undefined {
  const sound = Number.isSafeInteger(before) && Number.isSafeInteger(after);
  if (!sound) return undefined;
  const by = (after as number) - (before as number);
  // A whole number over 4 bytes of difference is as short when it is set.
  return Math.abs(by) < 2 ** 31 ? by : undefined;
}

function additions(before: Json, after: Json): number[] | undefined {
  if (!Array.isArray(before) || !Array.isArray(after)) return undefined;
  if (before.length !== after.length || before.length === 0 || before.length > MAX_ADDED) return undefined;
  const by = after.map((value: Json, index) => addition(before[index] as Json, value));
  return by.includes(undefined) ? undefined : (by as number[]);
}
