import type { GametapeError } from '@gametape/shared';
import { LIMITS } from '@gametape/shared';
import { type OpcodePlace, opcodeError, type PicklePlace } from './pickle-error.ts';

type ItemKind =
  | 'none'
  | 'number'
  | 'float'
  | 'text'
  | 'bytes'
  | 'tuple'
  | 'list'
  | 'dict'
  | 'set'
  | 'name'
  | 'object'
  | 'enum';

/** What a value on the stack would be. Sizes and depths are those of the value written out, with nothing shared. */
export interface Item {
  readonly kind: ItemKind;
  size: number;
  depth: number;
  /** It is inside another value: from then on it stays as it is, which is what makes sizes exact and loops impossible. */
  isPlaced?: boolean;
  /** Of short texts, and of names. */
  readonly text?: string;
  /** Of short tuples. */
  readonly items?: readonly Item[];
  /** Names of a dict; undefined once one of them is no short text. */
  keys?: Set<string> | undefined;
  isBuilt?: boolean;
}

/** Deeper than any event and state that `LIMITS.depth` lets through, counting the objects around them. */
const MAX_DEPTH = LIMITS.depth + 8;
const MAX_MARKS = 2 * MAX_DEPTH;

/** The stack and the memo of a pickle that is run with kinds of values in place of values. */
export class PickleStack {
  /** The opcode at hand: errors name it. */
  now: OpcodePlace = { name: '', offset: 0 };
  readonly #place: PicklePlace;
  readonly #maxValues: number;
  readonly #memo = new Map<number, Item>();
  readonly #marked: Item[][] = [];
  #stack: Item[] = [];

  constructor(place: PicklePlace, maxValues: number) {
    this.#place = place;
    this.#maxValues = maxValues;
  }

  get isEmpty(): boolean {
    return this.#stack.length + this.#marked.length === 0;
  }

  mark(): void {
    if (this.#marked.length >= MAX_MARKS) throw this.over(`nested deeper than ${MAX_DEPTH}`);
    this.#marked.push(this.#stack);
    this.#stack = [];
  }

  /** @param index where to; by default the number of values that are remembered */
  remember(index = this.#memo.size): void {
    this.#memo.set(index, this.top('a value'));
  }

  recall(index: number): void {
    const item = this.#memo.get(index);
    if (!item) throw this.bad(`nothing was remembered as ${index}`);
    this.push(item);
  }

  push(item: Item): void {
    this.#stack.push(item);
  }

  top(expected: string): Item {
    const item = this.#stack.at(-1);
    if (!item) throw this.bad(`expected ${expected}, found nothing`);
    return item;
  }

  pop(expected: string, kind?: Item['kind']): Item {
    const item = this.top(expected);
    if (kind !== undefined && item.kind !== kind) throw this.bad(`expected ${expected}, found a ${item.kind}`);
    this.#stack.pop();
    return item;
  }

  popMany(count: number): Item[] {
    if (this.#stack.length < count) throw this.bad(`expected ${count} values, found ${this.#stack.length}`);
    return this.#stack.splice(-count, count);
  }

  popMarked(): Item[] {
    const below = this.#marked.pop();
    if (!below) throw this.bad('expected a MARK before it, found none');
    const items = this.#stack;
    this.#stack = below;
    return items;
  }

  bad(message: string): GametapeError {
    return opcodeError('BAD_RECORDING', this.#place, this.now, message);
  }

  over(message: string): GametapeError {
    return opcodeError('LIMIT_EXCEEDED', this.#place, this.now, message);
  }

  /** `items` become part of `target`. */
  put(items: readonly Item[], target: Item): void {
    for (const item of items) {
      if (item === target) throw this.bad(`the ${target.kind} would be inside itself`);
      if (!Object.isFrozen(item)) item.isPlaced = true;
      target.size += item.size;
      target.depth = Math.max(target.depth, item.depth + 1);
    }
    if (target.size > this.#maxValues) throw this.over(`more than ${this.#maxValues} values, shared ones written out`);
    if (target.depth > MAX_DEPTH) throw this.over(`nested deeper than ${MAX_DEPTH}`);
  }

  /** What an opcode is about to change: the value on top. */
  changed(kind: Item['kind']): Item {
    const item = this.top(`a ${kind}`);
    if (item.kind !== kind) throw this.bad(`expected a ${kind}, found a ${item.kind}`);
    if (item.isPlaced) throw this.bad(`the ${kind} is inside another value already, maybe inside itself`);
    return item;
  }
}
