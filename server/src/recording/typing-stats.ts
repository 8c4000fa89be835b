import type { GameEvent } from '@gametape/shared';
import { LogHistogram } from './log-histogram.ts';

const MICROSECONDS = 1_000_000;
/** A convention of typing tests. */
const CHARACTERS_PER_WORD = 5;
/** What comes at once and is longer was pasted or completed, not typed. */
const MAX_TYPED_CHARACTERS = 16;
/** Keystrokes of a burst follow each other within this many seconds. */
const BURST_GAP_S = 1;
/** Fewer keystrokes than this are no burst. */
const MIN_BURST_KEYSTROKES = 5;

const DELETIONS = new Set(['backspace', 'delete']);
const BREAKS = new Set(['enter', 'return', 'tab', 'space']);
/** Names that keyboards give to keys without a character (UI Events KeyboardEvent key values). */
const NAMED_KEY =
  /^(?:arrow(?:up|down|left|right)|home|end|page_?(?:up|down)|escape|esc|shift|control|ctrl|alt|alt_?graph|meta|cmd|command|super|caps_?lock|num_?lock|scroll_?lock|fn|insert|clear|context_?menu|print_?screen|pause|dead|compose|process|unidentified|f\d{1,2})$/i;
const SHORTCUT_MODIFIER = /^(?:ctrl|control|meta|cmd|command|super)$/i;

/** How a player typed. Rates are over the player's active time. */
export interface TypingStats {
  readonly keystrokes: number;
  /** Typed, in code points; what comes more than 16 at once counts as pasted instead. */
  readonly characters: number;
  readonly pasted: number;
  /** Backspace and Delete. */
  readonly deletions: number;
  /** Arrows, modifiers and shortcuts: keystrokes that typed nothing. */
  readonly otherKeys: number;
  readonly deletionsPerKeystroke: number;
  readonly charactersPerMinute: number | null;
  /** Of five characters. */
  readonly wordsPerMinute: number | null;
  /** Between keystrokes that are not further apart than the idle gap. */
  readonly intervals: { readonly medianS: number | null; readonly p90S: number | null };
  /** Runs of at least five keystrokes, each within a second of the one before. */
  readonly bursts: {
    readonly count: number;
    readonly keystrokesEach: number | null;
    readonly longestKeystrokes: number;
    readonly longestS: number;
  };
}

/** Collects the keystrokes of one player, in order. */
export class TypingCount {
  readonly #idleS: number;
  readonly #intervals = new LogHistogram();
  readonly #bursts = new BurstCount();
  #keystrokes = 0;
  #characters = 0;
  #pasted = 0;
  #deletions = 0;
  #others = 0;
  #last: number | undefined;

  constructor(idleS: number) {
    this.#idleS = idleS;
  }

  observe(timeS: number, { data }: GameEvent): void {
    this.#keystrokes++;
    this.#countKey(typeof data.char === 'string' ? data.char : '', Array.isArray(data.modifiers) ? data.modifiers : []);
    const gap = Math.max(0, timeS - (this.#last ?? timeS));
    if (this.#last !== undefined && gap <= this.#idleS) this.#intervals.add(gap * MICROSECONDS);
    this.#bursts.observe(timeS, gap);
    this.#last = timeS;
  }

  /** Undefined when there was no keystroke. */
  toStats(activeS: number): TypingStats | undefined {
    if (this.#keystrokes === 0) return undefined;
    const perMinute = activeS > 0 ? (this.#characters * 60) / activeS : null;
    return {
      keystrokes: this.#keystrokes,
      characters: this.#characters,
      pasted: this.#pasted,
      deletions: this.#deletions,
      otherKeys: this.#others,
      deletionsPerKeystroke: this.#deletions / this.#keystrokes,
      charactersPerMinute: perMinute,
      wordsPerMinute: perMinute === null ? null : perMinute / CHARACTERS_PER_WORD,
      intervals: { medianS: this.#seconds(0.5), p90S: this.#seconds(0.9) },
      bursts: this.#bursts.toStats(),
    };
  }

  #countKey(char: string, modifiers: readonly unknown[]): void {
    if (DELETIONS.has(char.toLowerCase())) this.#deletions++;
    else if (BREAKS.has(char.toLowerCase())) this.#characters++;
    else if (char === '' || NAMED_KEY.test(char) || modifiers.some(isShortcut)) this.#others++;
    else {
      const length = codePointsOf(char);
      if (length > MAX_TYPED_CHARACTERS) this.#pasted += length;
      else this.#characters += length;
    }
  }

  #seconds(fraction: number): number | null {
    const interval = this.#intervals.quantile(fraction);
    return interval === null ? null : interval / MICROSECONDS;
  }
}

class BurstCount {
  #count = 0;
  #total = 0;
  #longest = 0;
  #longestS = 0;
  #length = 0;
  #start = 0;

  observe(timeS: number, gapS: number): void {
    if (this.#length === 0 || gapS > BURST_GAP_S) {
      this.#length = 0;
      this.#start = timeS;
    }
    this.#length++;
    if (this.#length < MIN_BURST_KEYSTROKES) return;
    this.#total += this.#length === MIN_BURST_KEYSTROKES ? MIN_BURST_KEYSTROKES : 1;
    if (this.#length === MIN_BURST_KEYSTROKES) this.#count++;
    this.#longest = Math.max(this.#longest, this.#length);
    this.#longestS = Math.max(this.#longestS, timeS - this.#start);
  }

  toStats(): TypingStats['bursts'] {
    return {
      count: this.#count,
      keystrokesEach: this.#count > 0 ? this.#total / this.#count : null,
      longestKeystrokes: this.#longest,
      longestS: this.#longestS,
    };
  }
}

function isShortcut(modifier: unknown): boolean {
  return typeof modifier === 'string' && SHORTCUT_MODIFIER.test(modifier);
}

/** Without an array of them: a paste may be long. */
function codePointsOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
