/** What a redaction looks for. */
export interface TextPatterns {
  readonly literals: readonly string[];
  /** Each with the flag `g`. */
  readonly expressions: readonly RegExp[];
  /** Literals stand for their upper and lower case too. */
  readonly ignoreCase: boolean;
}

export type TextRange = readonly [from: number, to: number];

/** Finds what has to go from a text. Ranges are UTF-16 code units and never cut a code point in two. */
export class TextMatcher {
  /** A match is at most this long: what is further away from an edit cannot become part of one. */
  readonly reach: number;
  readonly #expressions: readonly { readonly expression: RegExp; readonly mayOverlap: boolean }[];

  constructor({ literals, expressions, ignoreCase }: TextPatterns, ...others: readonly TextMatcher[]) {
    const flags = ignoreCase ? 'giu' : 'gu';
    const ofLiterals = literals.map((literal) => new RegExp(escaped(literal), flags));
    // Letters of one case may be longer than those of the other.
    const longest = Math.max(0, ...literals.map(({ length }) => length * 2));
    const reach = expressions.length > 0 ? Number.POSITIVE_INFINITY : longest;
    this.reach = Math.max(reach, ...others.map((other) => other.reach));
    this.#expressions = [
      ...ofLiterals.map((expression) => ({ expression, mayOverlap: true })),
      ...expressions.map((expression) => ({ expression, mayOverlap: false })),
      ...others.flatMap((other) => other.#expressions),
    ];
  }

  get isEmpty(): boolean {
    return this.#expressions.length === 0;
  }

  has(text: string): boolean {
    return this.ranges(text).length > 0;
  }

  ranges(text: string): TextRange[] {
    const ranges: TextRange[] = [];
    for (const { expression, mayOverlap } of this.#expressions) {
      expression.lastIndex = 0;
      for (let match = expression.exec(text); match; match = expression.exec(text)) {
        const [found] = match;
        if (found !== '') ranges.push(wholeCodePoints(text, match.index, match.index + found.length));
        if (found === '' || mayOverlap) expression.lastIndex = match.index + 1;
      }
    }
    return ranges;
  }
}

function wholeCodePoints(text: string, from: number, to: number): TextRange {
  return [isInside(text, from) ? from - 1 : from, isInside(text, to) ? to + 1 : to];
}

/** Between the two halves of a surrogate pair. */
function isInside(text: string, at: number): boolean {
  return at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}

function escaped(literal: string): string {
  return literal.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
