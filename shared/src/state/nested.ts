import { GametapeError } from '../errors.ts';
import type { NestedChange, Path } from '../event.ts';
import { isJsonObject, type Json } from '../values/json.ts';

/** `value` with `change` made at `path`. What the path does not touch is shared with `value`, which stays as it is. */
export function applyNested(value: Json, path: Path, change: NestedChange, where: string): Json {
  const [step, ...rest] = path;
  if (step === undefined) return applyHere(value, change, where);
  const place = `${where}.${step}`;
  if (typeof step === 'number') {
    if (!Array.isArray(value) || step >= value.length) throw misfit(place, 'an item of an array');
    const items: Json[] = value.slice();
    if (rest.length === 0 && change.op === 'delete') items.splice(step, 1);
    else items[step] = applyNested(value[step] as Json, rest, change, place);
    return items;
  }
  if (!isJsonObject(value)) throw misfit(place, 'a key of a map');
  if (rest.length === 0 && change.op === 'delete') {
    if (!Object.hasOwn(value, step)) throw misfit(place, 'a key that is there');
    const { [step]: _, ...others } = value;
    return others;
  }
  if (rest.length === 0 && change.op === 'set') return { ...value, [step]: change.value };
  if (!Object.hasOwn(value, step)) throw misfit(place, 'a key that is there');
  return { ...value, [step]: applyNested(value[step] as Json, rest, change, place) };
}

function applyHere(value: Json, change: NestedChange, where: string): Json {
  if (change.op === 'set') return change.value;
  if (change.op === 'delete') throw misfit(where, 'a path to what is deleted');
  if (!Array.isArray(value) || change.at + change.remove > value.length) throw misfit(where, 'a longer array');
  return [...value.slice(0, change.at), ...change.insert, ...value.slice(change.at + change.remove)];
}

function misfit(where: string, expected: string): GametapeError {
  return new GametapeError('BAD_DELTA', `state key ${where}: expected ${expected}`);
}
