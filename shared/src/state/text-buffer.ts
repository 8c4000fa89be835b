import { type Crc32, combineCrc32, crc32Shift, jsonTextCrc32 } from '../bytes/crc32.ts';

/** Longest piece; an edit copies at most this much. */
const MAX_PIECE = 1_024;
const MIN_PIECE = 128;
/** A few parts at a time: a paste of megabytes would overflow the argument list. */
const MAX_ARGUMENTS = 1_000;

interface Piece {
  text: string;
  /** CRC-32 of its JSON without quotes, and what that takes to be combined; 0 until somebody asks, and after an edit. */
  crc: number;
  shift: number;
  /** The last time it was combined: before what, and what came out. Stays right as far as the first edit since. */
  before: number;
  after: number;
}

/**
 * A text that is edited in place, in pieces, so that an edit costs in proportion to itself (D1). A plain string would be
 * copied whole at every edit: V8 flattens a rope as soon as it is sliced.
 */
export class TextBuffer {
  readonly #pieces: Piece[];
  #length: number;
  /** The piece of the last edit and the position where it starts: edits are mostly near one another. */
  #near = 0;
  #nearStart = 0;
  /** That piece, cut where the last edit ended: typing on adds to a rope, and copies nothing. Its own `text` is older. */
  #head = '';
  #tail: string;
  #joined: string | undefined;

  constructor(text: string) {
    this.#pieces = cut(text);
    this.#tail = (this.#pieces[0] as Piece).text;
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
    this.#cutAt(at);
    const tail = this.#tail;
    const size = this.#head.length + insert.length + tail.length - remove;
    const isMiddling = size <= MAX_PIECE && (size >= MIN_PIECE || this.#pieces.length === 1);
    if (remove > tail.length || !isMiddling) return this.#spliceAcross(remove, insert);
    (this.#pieces[this.#near] as Piece).shift = 0;
    this.#head += insert;
    if (remove === 0) return '';
    this.#tail = tail.slice(remove);
    return tail.slice(0, remove);
  }

  toString(): string {
    if (this.#joined === undefined) {
      this.#keepNear();
      this.#joined = this.#pieces.map(({ text }) => text).join('');
    }
    return this.#joined;
  }

  /** Continues `before`, a CRC-32, with the JSON of the text, without quotes. Only pieces edited since the last time are read. */
  hash(crc32: Crc32, before: number): number {
    this.#keepNear();
    let crc = before;
    for (const piece of this.#pieces) {
      if (piece.shift !== 0 && piece.before === crc) {
        crc = piece.after;
        continue;
      }
      if (piece.shift === 0) {
        const json = jsonTextCrc32(piece.text, crc32);
        piece.crc = json.crc;
        piece.shift = crc32Shift(json.bytes);
      }
      piece.before = crc;
      crc = combineCrc32(crc, piece.crc, piece.shift);
      piece.after = crc;
    }
    return crc;
  }

  /** An edit over the end of its piece, or one that leaves it too long or too short. */
  #spliceAcross(remove: number, insert: string): string {
    let last = this.#near;
    let tail = this.#tail;
    let left = remove;
    let removed = '';
    while (left > tail.length) {
      removed += tail;
      left -= tail.length;
      last++;
      tail = (this.#pieces[last] as Piece).text;
    }
    removed += tail.slice(0, left);
    this.#replace(this.#near, last, this.#head + insert + tail.slice(left));
    return removed;
  }

  /** Puts `text` in place of the pieces from `start` to `last`, split or joined so that pieces stay of a middling size. */
  #replace(start: number, last: number, text: string): void {
    let from = start;
    let merged = text;
    if (merged.length < MIN_PIECE && from > 0) {
      from--;
      const before = (this.#pieces[from] as Piece).text;
      merged = before + merged;
      this.#nearStart -= before.length;
    }
    const parts = merged.length <= MAX_PIECE ? [newPiece(merged)] : cut(merged);
    this.#pieces.splice(from, last - from + 1, ...parts.slice(0, MAX_ARGUMENTS));
    for (let i = MAX_ARGUMENTS; i < parts.length; i += MAX_ARGUMENTS) {
      this.#pieces.splice(from + i, 0, ...parts.slice(i, i + MAX_ARGUMENTS));
    }
    this.#near = from;
    this.#head = '';
    this.#tail = (this.#pieces[from] as Piece).text;
  }

  /** Moves to the piece that holds position `at` and cuts it there; the end of a piece counts as inside. */
  #cutAt(at: number): void {
    let offset = at - this.#nearStart;
    if (offset === this.#head.length) return;
    let text = this.#keepNear();
    while (offset < 0) {
      text = (this.#pieces[--this.#near] as Piece).text;
      this.#nearStart -= text.length;
      offset += text.length;
    }
    while (offset > text.length) {
      this.#nearStart += text.length;
      offset -= text.length;
      text = (this.#pieces[++this.#near] as Piece).text;
    }
    this.#head = text.slice(0, offset);
    this.#tail = text.slice(offset);
  }

  #keepNear(): string {
    const piece = this.#pieces[this.#near] as Piece;
    piece.text = this.#head + this.#tail;
    return piece.text;
  }

  #unit(at: number): number {
    let offset = at - this.#nearStart - this.#head.length;
    if (offset >= 0 && offset < this.#tail.length) return this.#tail.charCodeAt(offset);
    if (offset < 0 && at >= this.#nearStart) return this.#head.charCodeAt(at - this.#nearStart);
    let index = this.#near;
    if (offset < 0) {
      offset = at - this.#nearStart;
      while (offset < 0) offset += (this.#pieces[--index] as Piece).text.length;
    } else {
      offset -= this.#tail.length;
      index++;
      for (let length = this.#lengthOf(index); offset >= length; length = this.#lengthOf(index)) {
        offset -= length;
        index++;
      }
    }
    return (this.#pieces[index] as Piece).text.charCodeAt(offset);
  }

  #lengthOf(index: number): number {
    return (this.#pieces[index] as Piece).text.length;
  }
}

function newPiece(text: string): Piece {
  return { text, crc: 0, shift: 0, before: 0, after: 0 };
}

/** Pieces of half the longest each. None ends inside a code point, so that the JSON of each is a part of the whole's. */
function cut(text: string): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  while (text.length - start > MAX_PIECE / 2) {
    const end = start + MAX_PIECE / 2;
    const next = isTextBoundary(text, end) ? end : end - 1;
    pieces.push(newPiece(text.slice(start, next)));
    start = next;
  }
  pieces.push(newPiece(text.slice(start)));
  return pieces;
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
