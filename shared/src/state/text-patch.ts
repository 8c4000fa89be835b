import { isHighSurrogate, isLowSurrogate, isTextBoundary } from './text-buffer.ts';
import { diffText } from './text-diff.ts';

/** Texts alike in fewer units than this are not worth a cut of their own. */
const ANCHOR = 32;
/** Of the rolling hash: odd, and its power by which the unit that leaves a run counted. */
const BASE = 0x0100_0193;
const LEAVING = Array.from({ length: ANCHOR - 1 }).reduce<number>((power) => Math.imul(power, BASE), 1);
/** Bits of a hash that the filter of `Anchors` knows. */
const FILTER_BITS = 16;

/** One step of a patch: after `keep` units that stay, `remove` units go and `insert` comes. The rest of the text stays. */
export interface TextPatchStep {
  readonly keep: number;
  readonly remove: number;
  readonly insert: string;
}

/**
 * A patch from `before` to `after`, short where a text was edited in several places: what both have in common at the ends
 * stays, and between them every run of `ANCHOR` units of `before` that is found again, in order (as rsync finds blocks).
 *
 * @param mostInserted undefined comes back for a patch that would insert more code units: then looking on is not worth it
 */
export function patchText(before: string, after: string): TextPatchStep[];
export function patchText(before: string, after: string, mostInserted: number): TextPatchStep[] | undefined;
export function patchText(before: string, after: string, mostInserted = Infinity): TextPatchStep[] | undefined {
  const change = diffText(before, after);
  if (!change) return [];
  const { at, remove, insert } = change;
  if (Math.min(remove, insert.length) < ANCHOR) return [{ keep: at, remove, insert }];
  return matchRuns(before.slice(at, at + remove), insert, at, mostInserted);
}

/** The text that a patch leads to, or undefined if it does not fit `text`: no cut may lie outside or inside a code point. */
export function applyTextPatch(text: string, steps: readonly TextPatchStep[]): string | undefined {
  let patched = '';
  let at = 0;
  for (const { keep, remove, insert } of steps) {
    const cut = at + keep;
    if (!isTextBoundary(text, cut) || !isTextBoundary(text, cut + remove)) return undefined;
    patched += text.slice(at, cut) + insert;
    at = cut + remove;
  }
  return patched + text.slice(at);
}

function matchRuns(before: string, after: string, keep: number, mostInserted: number): TextPatchStep[] | undefined {
  const anchors = new Anchors(before);
  const steps: TextPatchStep[] = [];
  let [keptFrom, removeFrom, insertFrom] = [-keep, 0, 0];
  let inserted = 0;
  let hash = hashRun(after, 0);
  for (let at = 0; at + ANCHOR <= after.length; ) {
    const found = anchors.find(hash, after, at);
    const match =
      found < removeFrom ? undefined : widen(before, after, { from: found, to: at, removeFrom, insertFrom });
    if (!match || match.length < ANCHOR) {
      if (inserted + at - insertFrom > mostInserted) return undefined;
      hash = roll(hash, after, at);
      at++;
      continue;
    }
    const { from, to, length } = match;
    if (from > removeFrom || to > insertFrom) {
      steps.push({
        keep: removeFrom - keptFrom,
        remove: from - removeFrom,
        insert: after.slice(insertFrom, to),
      });
      keptFrom = from;
      inserted += to - insertFrom;
    }
    removeFrom = from + length;
    insertFrom = to + length;
    at = insertFrom;
    hash = hashRun(after, at);
  }
  if (removeFrom < before.length || insertFrom < after.length) {
    steps.push({ keep: removeFrom - keptFrom, remove: before.length - removeFrom, insert: after.slice(insertFrom) });
  }
  return steps;
}

/**
 * Where each run of `ANCHOR` units of a text, one after another, is. Found by a hash that rolls (as rsync does): a slice and a
 * lookup at every unit of the other text took a third of the time that writing a recording takes.
 */
class Anchors {
  readonly #text: string;
  /** A run that is there twice tells no place (-1), nor does one with the hash of another. */
  readonly #starts = new Map<number, number>();
  /** Says of most hashes that no run has them. */
  readonly #filter = new Uint8Array(1 << FILTER_BITS);

  constructor(text: string) {
    this.#text = text;
    for (let at = 0; at + ANCHOR <= text.length; at += ANCHOR) {
      const hash = hashRun(text, at);
      this.#starts.set(hash, this.#starts.has(hash) ? -1 : at);
      this.#filter[hash >>> (32 - FILTER_BITS)] = 1;
    }
  }

  /** Where the run of `hash` that `other` has at `at` is, or -1. */
  find(hash: number, other: string, at: number): number {
    if (this.#filter[hash >>> (32 - FILTER_BITS)] === 0) return -1;
    const start = this.#starts.get(hash) ?? -1;
    return start >= 0 && this.#text.startsWith(other.slice(at, at + ANCHOR), start) ? start : -1;
  }
}

function hashRun(text: string, at: number): number {
  const end = Math.min(at + ANCHOR, text.length);
  let hash = 0;
  for (let i = at; i < end; i++) hash = (Math.imul(hash, BASE) + text.charCodeAt(i)) | 0;
  return hash;
}

/** The hash of the run one unit on. */
function roll(hash: number, text: string, at: number): number {
  const rest = (hash - Math.imul(text.charCodeAt(at), LEAVING)) | 0;
  return (Math.imul(rest, BASE) + text.charCodeAt(at + ANCHOR)) | 0;
}

interface Match {
  readonly from: number;
  readonly to: number;
  readonly removeFrom: number;
  readonly insertFrom: number;
}

/** As much as is alike around a match, cut between code points (D2). */
function widen(before: string, after: string, match: Match): { from: number; to: number; length: number } {
  let { from, to } = match;
  let [end, endTo] = [from + ANCHOR, to + ANCHOR];
  while (from > match.removeFrom && to > match.insertFrom && before.charCodeAt(from - 1) === after.charCodeAt(to - 1)) {
    from--;
    to--;
  }
  while (end < before.length && endTo < after.length && before.charCodeAt(end) === after.charCodeAt(endTo)) {
    end++;
    endTo++;
  }
  if (isLowSurrogate(before.charCodeAt(from))) {
    from++;
    to++;
  }
  if (isHighSurrogate(before.charCodeAt(end - 1))) end--;
  return { from, to, length: end - from };
}
