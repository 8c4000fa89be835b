import { createHash } from 'node:crypto';
import { canonicalJson, type Json, type JsonObject, jsonEqual } from '@gametape/shared';

/** Longer identities are hashed: they are compared and kept many times. */
const MAX_IDENTITY = 64;
/** What adding and subtracting seconds may be off. */
const ROUNDING_S = 1e-9;

export interface DiffRulesOptions {
  /** How many seconds times may differ: 0 for not at all, infinite to ignore times. */
  readonly toleranceS: number;
  /** Names of state keys, of fields of an event's data and of header facts that are not compared. */
  readonly ignore: readonly string[];
}

/** What counts as equal. */
export class DiffRules {
  readonly toleranceS: number;
  readonly #ignored: ReadonlySet<string>;

  constructor({ toleranceS, ignore }: DiffRulesOptions) {
    this.toleranceS = toleranceS;
    this.#ignored = new Set(ignore);
  }

  get areTimesIgnored(): boolean {
    return this.toleranceS === Number.POSITIVE_INFINITY;
  }

  isIgnored(key: string): boolean {
    return this.#ignored.has(key);
  }

  sameTime(a: number, b: number): boolean {
    return a === b || (this.toleranceS > 0 && Math.abs(a - b) <= this.toleranceS + ROUNDING_S);
  }

  sameData(a: JsonObject, b: JsonObject): boolean {
    return jsonEqual(this.#compared(a), this.#compared(b));
  }

  /** Names of the fields that differ. */
  differentFields(a: JsonObject, b: JsonObject): string[] {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].filter((key) => !this.isIgnored(key) && !jsonEqual(own(a, key), own(b, key)));
  }

  /** The same text for events that are the same but for their time. */
  identityOf(type: string, data: JsonObject): string {
    const text = JSON.stringify(type) + canonicalJson(this.#compared(data));
    return text.length <= MAX_IDENTITY ? text : createHash('sha256').update(text).digest('base64');
  }

  #compared(data: JsonObject): JsonObject {
    if (this.#ignored.size === 0) return data;
    return Object.fromEntries(Object.entries(data).filter(([key]) => !this.isIgnored(key)));
  }
}

export function own(data: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(data, key) ? data[key] : undefined;
}
