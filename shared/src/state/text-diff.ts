import type { TextChange } from '../event.ts';
import { isHighSurrogate, isLowSurrogate } from './text-buffer.ts';

const BLOCK = 1_024;

/** The smallest single splice from `before` to `after`, widened so that it cuts between code points (D2). */
export function diffText(before: string, after: string): TextChange | undefined {
  if (before === after) return undefined;
  const shortest = Math.min(before.length, after.length);
  let start = commonPrefix(before, after, shortest);
  let end = commonSuffix(before, after, shortest - start);
  if (start > 0 && isHighSurrogate(before.charCodeAt(start - 1))) start--;
  if (end > 0 && isLowSurrogate(before.charCodeAt(before.length - end))) end--;
  return { at: start, remove: before.length - end - start, insert: after.slice(start, after.length - end) };
}

/** Compares a block at a time first: slices compare as memory does, characters one by one do not. */
function commonPrefix(a: string, b: string, limit: number): number {
  let at = 0;
  while (at + BLOCK <= limit && a.slice(at, at + BLOCK) === b.slice(at, at + BLOCK)) at += BLOCK;
  while (at < limit && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

function commonSuffix(a: string, b: string, limit: number): number {
  let at = 0;
  while (
    at + BLOCK <= limit &&
    a.slice(a.length - at - BLOCK, a.length - at) === b.slice(b.length - at - BLOCK, b.length - at)
  ) {
    at += BLOCK;
  }
  while (at < limit && a.charCodeAt(a.length - at - 1) === b.charCodeAt(b.length - at - 1)) at++;
  return at;
}
