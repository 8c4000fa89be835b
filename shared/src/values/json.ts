import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Names that would reach into every object of the process (W11). */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'prototype', 'constructor']);

export function isForbiddenKey(key: string): boolean {
  return FORBIDDEN_KEYS.has(key);
}

/**
 * A copy of `value` that later changes to it cannot reach, with lone surrogates replaced (D2) and -0 as 0.
 *
 * `path` names the value in errors, such as `data.char`.
 * @throws GametapeError `BAD_VALUE` for anything that is not JSON, naming the path; `LIMIT_EXCEEDED` past depth or nodes.
 */
export function captureJson(value: unknown, path: string): Json {
  return new Capture().value(value, path, 0);
}

class Capture {
  #nodes = 0;

  value(value: unknown, path: string, depth: number): Json {
    if (++this.#nodes > LIMITS.nodes) throw tooBig(path, `more than ${LIMITS.nodes} values`);
    switch (typeof value) {
      case 'string':
        return value.isWellFormed() ? value : value.toWellFormed();
      case 'number':
        if (!Number.isFinite(value)) throw notJson(path, String(value));
        return value === 0 ? 0 : value;
      case 'boolean':
        return value;
      case 'object':
        break;
      default:
        throw notJson(path, typeof value);
    }
    if (value === null) return null;
    if (depth >= LIMITS.depth) throw tooBig(path, `values nested deeper than ${LIMITS.depth}`);
    if (Array.isArray(value)) {
      return Array.from(value, (item, index) => this.value(item, `${path}[${index}]`, depth + 1));
    }
    const prototype = Object.getPrototypeOf(value) as unknown;
    // A plain object of another realm (an iframe, a vm) has a prototype whose own prototype is null.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw notJson(path, `a ${value.constructor?.name ?? 'class'} object`);
    }
    const copy: Record<string, Json> = {};
    for (const [key, item] of Object.entries(value)) {
      if (isForbiddenKey(key)) throw notJson(`${path}.${key}`, 'a name that is not allowed');
      const name = key.isWellFormed() ? key : key.toWellFormed();
      if (Object.hasOwn(copy, name)) throw notJson(`${path}.${name}`, 'a second name like it');
      copy[name] = this.value(item, `${path}.${key}`, depth + 1);
    }
    return copy;
  }
}

function notJson(path: string, found: string): GametapeError {
  return new GametapeError('BAD_VALUE', `${path}: expected a JSON value, found ${found}`);
}

function tooBig(path: string, found: string): GametapeError {
  return new GametapeError('LIMIT_EXCEEDED', `${path}: ${found}`);
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function jsonEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => jsonEqual(item, b[index]));
  }
  if (Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && jsonEqual((a as JsonObject)[key], (b as JsonObject)[key]));
}

/** JSON text that is the same for equal values: RFC 8785 (sorted keys, no white space, numbers as ECMAScript prints them). */
export function canonicalJson(value: Json): string {
  // `JSON.stringify` prints a number alike, in three times the time; a state is mostly numbers.
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const object = value as JsonObject;
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] as Json)}`);
  return `{${members.join(',')}}`;
}
