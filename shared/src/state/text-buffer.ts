/** Longest piece; an edit copies at most this much. */
const MAX_PIECE = 1_024;
const MIN_PIECE = 128;

/**
 * A text that is edited in place, in pieces, so that an edit costs in proportion to itself (D1). A plain string would be
 * copied whole at every edit: V8 flattens a rope as soon as it is sliced.
 */
export class TextBuffer {
  #pieces: string[];
  #length: number;
  /** The piece of the last edit and the position where it starts: edits are mostly near one another. */
  #near = 0;
  #nearStart = 0;
  #joined: string | undefined;

  constructor(text: string) {
    this.#pieces = [];
    for (let at = 0; at < text.length; at += MAX_PIECE / 2) this.#pieces.push(text.slice(at, at + MAX_PIECE / 2));
    if (this.#pieces.length === 0) this.#pieces.push('');
    this.#length = text.length;
    this.#joined = text;
  }

  get length(): number {
    return this.#length;
  }

  /** The same as `isTextBoundary`. */
  isBoundary(at: number): boolean {
    if (at <= 0 || at >= this.#length) return at === 0 || at === this.#length;
    return !(isLowSurrogate(this.#unit(at)) && isHighSurrogate(this.#unit(at - 1)));
  }

  /** Replaces `remove` code units at `at` and returns what they were. The caller has checked the range. */
  splice(at: number, remove: number, insert: string): string {
    this.#joined = undefined;
    this.#length += insert.length - remove;
    this.#seek(at);
    const start = this.#near;
    const offset = at - this.#nearStart;
    let last = start;
    let end = offset + remove;
    while (end > (this.#pieces[last] as string).length) {
      end -= (this.#pieces[last] as string).length;
      last++;
    }
    const first = this.#pieces[start] as string;
    const tail = this.#pieces[last] as string;
    let removed = first.slice(offset, last === start ? end : undefined);
    for (let i = start + 1; i < last; i++) removed += this.#pieces[i];
    if (last > start) removed += tail.slice(0, end);
    const merged = first.slice(0, offset) + insert + tail.slice(end);
    if (last === start && merged.length >= MIN_PIECE && merged.length <= MAX_PIECE) this.#pieces[start] = merged;
    else this.#replace(start, last, merged);
    return removed;
  }

  toString(): string {
    this.#joined ??= this.#pieces.join('');
    return this.#joined;
  }

  /** Puts `text` in place of the pieces from `start` to `last`, split or joined so that pieces stay of a middling size. */
  #replace(start: number, last: number, text: string): void {
    let from = start;
    let merged = text;
    if (merged.length < MIN_PIECE && from > 0) {
      from--;
      merged = (this.#pieces[from] as string) + merged;
      this.#nearStart -= (this.#pieces[from] as string).length;
    }
    const parts: string[] = [];
    if (merged.length <= MAX_PIECE) parts.push(merged);
    else for (let at = 0; at < merged.length; at += MAX_PIECE / 2) parts.push(merged.slice(at, at + MAX_PIECE / 2));
    // A few parts at a time: a paste of megabytes would overflow the argument list.
    this.#pieces.splice(from, last - from + 1, ...parts.slice(0, 1_000));
    for (let i = 1_000; i < parts.length; i += 1_000) this.#pieces.splice(from + i, 0, ...parts.slice(i, i + 1_000));
    this.#near = from;
  }

  /** Moves to the piece that holds position `at`; the end of a piece counts as inside, so that typing stays in it. */
  #seek(at: number): void {
    while (at < this.#nearStart) {
      this.#near--;
      this.#nearStart -= (this.#pieces[this.#near] as string).length;
    }
    while (at > this.#nearStart + (this.#pieces[this.#near] as string).length) {
      this.#nearStart += (this.#pieces[this.#near] as string).length;
      this.#near++;
    }
  }

  #unit(at: number): number {
    this.#seek(at);
    const offset = at - this.#nearStart;
    const piece = this.#pieces[this.#near] as string;
    return offset < piece.length ? piece.charCodeAt(offset) : (this.#pieces[this.#near + 1] as string).charCodeAt(0);
  }
}

/** True when `at` lies inside `text`, or at an end of it, and between two code points (D2). */
export function isTextBoundary(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return at === 0 || at === text.length;
  return !(isLowSurrogate(text.charCodeAt(at)) && isHighSurrogate(text.charCodeAt(at - 1)));
}

export function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

export function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
