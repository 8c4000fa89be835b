import { isHighSurrogate, isLowSurrogate, isTextBoundary } from './text-buffer.ts';
import { diffText } from './text-diff.ts';

/** Texts alike in fewer units than this are not worth a cut of their own. */
const ANCHOR = 32;

/** One step of a patch: after `keep` units that stay, `remove` units go and `insert` comes. The rest of the text stays. */
export interface TextPatchStep {
  readonly keep: number;
  readonly remove: number;
  readonly insert: string;
}

/**
 * A patch from `before` to `after`, short where a text was edited in several places: what both have in common at the ends
 * stays, and between them every run of `ANCHOR` units of `before` that is found again, in order (as rsync finds blocks).
 */
export function patchText(before: string, after: string): TextPatchStep[] {
  const change = diffText(before, after);
  if (!change) return [];
  const { at, remove, insert } = change;
  if (Math.min(remove, insert.length) < ANCHOR) return [{ keep: at, remove, insert }];
  return matchRuns(before.slice(at, at + remove), insert, at);
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

function matchRuns(before: string, after: string, keep: number): TextPatchStep[] {
  const starts = anchorsOf(before);
  const steps: TextPatchStep[] = [];
  let [keptFrom, removeFrom, insertFrom] = [-keep, 0, 0];
  for (let at = 0; at + ANCHOR <= after.length; ) {
    const found = starts.get(after.slice(at, at + ANCHOR));
    if (found === undefined || found < removeFrom) {
      at++;
      continue;
    }
    const { from, to, length } = widen(before, after, { from: found, to: at, removeFrom, insertFrom });
    if (length < ANCHOR) {
      at++;
      continue;
    }
    if (from > removeFrom || to > insertFrom) {
      steps.push({
        keep: removeFrom - keptFrom,
        remove: from - removeFrom,
        insert: after.slice(insertFrom, to),
      });
      keptFrom = from;
    }
    removeFrom = from + length;
    insertFrom = to + length;
    at = insertFrom;
  }
  if (removeFrom < before.length || insertFrom < after.length) {
    steps.push({ keep: removeFrom - keptFrom, remove: before.length - removeFrom, insert: after.slice(insertFrom) });
  }
  return steps;
}

/** Where each run of `ANCHOR` units, one after another, is in a text. One that is there twice tells no place (-1). */
function anchorsOf(text: string): Map<string, number> {
  const starts = new Map<string, number>();
  for (let at = 0; at + ANCHOR <= text.length; at += ANCHOR) {
    const run = text.slice(at, at + ANCHOR);
    starts.set(run, starts.has(run) ? -1 : at);
  }
  return starts;
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
