import { type ErrorCode, GametapeError } from '@gametape/shared';
import { PICKLE_HINT } from './pickle-error.ts';
import { PickledEventType, PickledInt, PickledObject } from './read-pickle.ts';

/** What errors name: which code, which value of which event. */
export interface ValuePlace {
  readonly code: ErrorCode;
  readonly path: string;
}

/**
 * What `json.dumps` of Python makes of a value that `readPickle` has read: tuples become arrays, names of maps texts. The result
 * is no deeper and no larger than the limits of the pickle it comes from.
 *
 * @throws GametapeError of the place's code for what JSON cannot hold: bytes, sets, objects, NaN, infinity, ints that a double
 *   would round, two names that become one
 */
export function plainValue(value: unknown, { code, path }: ValuePlace): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    throw unfit(code, path, 'a finite number', String(value));
  }
  if (value instanceof PickledInt) return exactNumber(value.toBigInt(), { code, path });
  if (Array.isArray(value)) return value.map((item, index) => plainValue(item, { code, path: `${path}[${index}]` }));
  if (value instanceof Map) return plainMap(value, { code, path });
  throw unfit(code, path, 'a JSON value', kindOf(value));
}

/** What a wrong value is called in errors. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof Set) return 'a set';
  if (value instanceof PickledInt) return 'an int';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Map) return 'a dict';
  if (value instanceof PickledObject) return `a ${value.name}`;
  if (value instanceof PickledEventType) return 'an EventType';
  if (typeof value === 'function') return 'a class';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function unfit(code: ErrorCode, path: string, expected: string, found: string): GametapeError {
  return new GametapeError(code, `${path}: expected ${expected}, found ${found}`, { hint: PICKLE_HINT });
}

function plainMap(map: ReadonlyMap<unknown, unknown>, { code, path }: ValuePlace): Record<string, unknown> {
  const members = new Map<string, unknown>();
  for (const [key, value] of map) {
    const name = memberName(key, { code, path });
    if (members.has(name)) throw unfit(code, path, 'every name once', `${JSON.stringify(name)} twice`);
    members.set(name, plainValue(value, { code, path: `${path}.${name}` }));
  }
  // Never by assignment: a name may be __proto__. The parsers of L4 refuse that one.
  return Object.fromEntries(members);
}

function memberName(key: unknown, place: ValuePlace): string {
  if (typeof key === 'string') return key;
  if (key === null) return 'null';
  if (typeof key === 'boolean') return String(key);
  // An int: floats as names have been refused. String would round the digits of a large one.
  if (typeof key === 'number') return String(BigInt(key));
  if (key instanceof PickledInt) return String(key.toBigInt());
  throw unfit(place.code, place.path, 'a text as name', kindOf(key));
}

function exactNumber(int: bigint, { code, path }: ValuePlace): number {
  const number = Number(int);
  if (Number.isFinite(number) && BigInt(number) === int) return number;
  const digits = String(int).slice(0, 40);
  throw unfit(code, path, 'a number', `the whole number ${digits}, which is too large to be kept exactly`);
}
