import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Json } from '../values/json.ts';
import { measure, textWeight } from './measure.ts';
import { isTextBoundary, TextBuffer } from './text-buffer.ts';

/** All about one key. Replaced as a whole when the key changes, so that the one before can be put back. */
export interface Slot {
  readonly value: Json | TextBuffer;
  readonly weight: number;
  readonly nodes: number;
  readonly editEnd: number;
  readonly anchor: Anchor | undefined;
}

/** Value and stamp, both in microseconds, from which a key follows the clock. */
export interface Anchor {
  readonly value: number;
  readonly stamp: number;
  /** The stay of the clock at `stamp`: as long as it lasts, the key has exactly the value it was given. */
  readonly stay: number;
}

export function isText(value: Slot['value'] | undefined): value is string | TextBuffer {
  return typeof value === 'string' || value instanceof TextBuffer;
}

export function isBoundary(text: string | TextBuffer, at: number): boolean {
  return typeof text === 'string' ? isTextBoundary(text, at) : text.isBoundary(at);
}

export function weigh(value: Json): { weight: number; nodes: number } {
  if (typeof value === 'string') return { weight: textWeight(value), nodes: 1 };
  const { weight, nodes } = measure(value);
  return { weight, nodes };
}

export function sum(key: string, slot: Slot, value: Json, by: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || !Number.isSafeInteger(value + by)) {
    throw misfit(key, 'whole numbers', slot);
  }
  return value + by;
}

export function misfit(key: string, expected: string, found: Slot | undefined): GametapeError {
  return new GametapeError('BAD_DELTA', `state key ${key}: expected ${expected}, found ${kindOf(found?.value)}`);
}

export function checkSize(bytes: number, keys: number): void {
  if (bytes <= LIMITS.stateBytes && keys <= LIMITS.stateKeys) return;
  throw new GametapeError(
    'LIMIT_EXCEEDED',
    `state: ${bytes} bytes in ${keys} keys, allowed are ${LIMITS.stateBytes} bytes in ${LIMITS.stateKeys} keys`,
  );
}

function kindOf(value: Slot['value'] | undefined): string {
  if (value === undefined) return 'no such key';
  if (isText(value)) return `a text of ${value.length}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return value === null ? 'null' : `a ${typeof value === 'object' ? 'map' : typeof value}`;
}
