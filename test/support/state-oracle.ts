import { type DeltaOp, isJsonObject, type Json, type State } from '@gametape/shared';

/** What an op makes of a state, as plainly as it can be said; undefined when it does not fit. */
export function applyNaively(state: State, op: DeltaOp): State | undefined {
  const { [op.key]: value, ...others } = state;
  const result = valueAfter(value, op);
  if (result === undefined) return undefined;
  return result === GONE ? others : { ...others, [op.key]: result };
}

const GONE = Symbol('gone');

function valueAfter(value: Json | undefined, op: DeltaOp): Json | typeof GONE | undefined {
  switch (op.op) {
    case 'set':
      return op.value;
    case 'delete':
      return value === undefined ? undefined : GONE;
    case 'splice':
      return typeof value === 'string' ? spliced(value, op) : undefined;
    case 'add':
      return added(value, op.by);
    case 'nest':
      return typeof value === 'object' && value !== null ? nested(structuredClone(value), op) : undefined;
  }
}

function spliced(
  text: string,
  { at, remove, insert }: { at: number; remove: number; insert: string },
): string | undefined {
  const [start, end] = [text.slice(0, Math.max(0, at)), text.slice(at + remove)];
  const fits = at >= 0 && at + remove <= text.length && start.isWellFormed() && end.isWellFormed();
  return fits ? start + insert + end : undefined;
}

function added(value: Json | undefined, by: readonly number[]): Json | undefined {
  const numbers = typeof value === 'number' ? [value] : value;
  if (!Array.isArray(numbers) || numbers.length !== by.length || !numbers.every(Number.isSafeInteger)) return undefined;
  const sums = numbers.map((number: Json, index) => (number as number) + (by[index] ?? 0));
  if (!sums.every(Number.isSafeInteger)) return undefined;
  return typeof value === 'number' ? sums[0] : sums;
}

function nested(value: Json, { path, change }: DeltaOp & { op: 'nest' }): Json | undefined {
  const root = { value } as Record<string, Json>;
  let holder: Json = root;
  let step: string | number = 'value';
  for (const next of path) {
    const inner: Json | undefined = child(holder, step);
    if (inner === undefined) return undefined;
    holder = inner;
    step = next;
  }
  const target = child(holder, step);
  const isArray = Array.isArray(holder) && typeof step === 'number';
  if (!isArray && !(isJsonObject(holder) && typeof step === 'string')) return undefined;
  if (isArray && (step as number) >= (holder as Json[]).length) return undefined;
  if (change.op === 'set') (holder as Record<string | number, Json>)[step] = change.value;
  else if (change.op === 'delete') {
    if (path.length === 0 || target === undefined) return undefined;
    if (isArray) (holder as Json[]).splice(step as number, 1);
    else delete (holder as Record<string, Json>)[step];
  } else {
    if (!Array.isArray(target) || change.at + change.remove > target.length) return undefined;
    target.splice(change.at, change.remove, ...change.insert);
  }
  return root.value;
}

function child(holder: Json, step: string | number): Json | undefined {
  if (Array.isArray(holder)) return typeof step === 'number' ? holder[step] : undefined;
  if (!isJsonObject(holder) || typeof step !== 'string') return undefined;
  return Object.hasOwn(holder, step) ? holder[step] : undefined;
}
