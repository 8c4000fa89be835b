import type { Json } from './json.ts';

/** True for a whole number from 0 on. */
export function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** True for an array of two numbers. */
export function isPair(value: Json): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((item) => typeof item === 'number');
}

export function isListOf(value: Json | undefined, isItem: (item: Json) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}
