import { GametapeError } from '../errors.ts';
import { Byte, isDelimiter, PartialValue } from './partial-value.ts';

/** One value of the document, still as text. `bytes` is borrowed until the next step of the iteration. */
export interface RawPart {
  readonly kind: 'field' | 'event';
  /** Name of the field. */
  readonly key: string;
  /** Number of the event. */
  readonly index: number;
  /** Where it starts in the document. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Colons outside of texts: as many as its maps have members. */
  readonly colons: number;
}

export interface SplitOptions {
  /** False to count the events and not to keep them. */
  readonly events: boolean;
}

const EVENTS = 'events';
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

type Expecting =
  | 'start'
  | 'first key'
  | 'key'
  | 'colon'
  | 'value'
  | 'comma'
  | 'first event'
  | 'event'
  | 'event comma'
  | 'end';

/** What errors say was expected, what each byte of structure leads to, and whether a value may start here. */
const STEPS: Readonly<
  Record<Expecting, { expected: string; next: ReadonlyMap<number, Expecting>; value?: 'name' | 'any' }>
> = {
  start: { expected: '"{"', next: new Map([[Byte.OpenMap, 'first key']]) },
  'first key': { expected: 'a name in quotes or "}"', next: new Map([[Byte.CloseMap, 'end']]), value: 'name' },
  key: { expected: 'a name in quotes', next: new Map(), value: 'name' },
  colon: { expected: '":"', next: new Map([[Byte.Colon, 'value']]) },
  value: { expected: 'a value', next: new Map(), value: 'any' },
  comma: {
    expected: '"," or "}"',
    next: new Map([
      [Byte.Comma, 'key'],
      [Byte.CloseMap, 'end'],
    ]),
  },
  'first event': { expected: 'an event or "]"', next: new Map([[Byte.CloseArray, 'comma']]), value: 'any' },
  event: { expected: 'an event', next: new Map(), value: 'any' },
  'event comma': {
    expected: '"," or "]"',
    next: new Map([
      [Byte.Comma, 'event'],
      [Byte.CloseArray, 'comma'],
    ]),
  },
  end: { expected: 'nothing more', next: new Map() },
};

/**
 * Cuts the UTF-8 text of a JSON map into its members, and its member `events` into its items, as the bytes arrive and in
 * memory for one of them. It looks at structure alone; the parts are for `JSON.parse`.
 *
 * @throws GametapeError `BAD_RECORDING` naming the byte, `LIMIT_EXCEEDED` for a part over 64 MiB or nested too deep.
 */
export class JsonSplitter {
  /** True once `events` has turned out to be an array. */
  hasEvents = false;
  readonly #keepsEvents: boolean;
  readonly #keys = new Set<string>();
  #expecting: Expecting = 'start';
  /** Bytes before the chunk at hand. */
  #offset = 0;
  #key = '';
  #events = 0;
  #value: PartialValue | undefined;

  constructor({ events }: SplitOptions = { events: true }) {
    this.#keepsEvents = events;
  }

  /** How many events have been seen whole. */
  get events(): number {
    return this.#events;
  }

  *push(chunk: Uint8Array): Generator<RawPart> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#value) {
        at = this.#value.take(chunk, at);
        if (!this.#value.isWhole) break;
        const part = this.#finishValue(this.#value);
        this.#value = undefined;
        if (part) yield part;
      } else at += this.#step(chunk[at] as number, this.#offset + at);
    }
    this.#offset += chunk.length;
  }

  /** The text ends here. */
  end(): void {
    if (this.#expecting === 'end') return;
    const found = this.#value ? 'the end of the text inside a value' : 'the end of the text';
    throw this.#bad(this.#offset, found);
  }

  /** Takes a byte between values; 0 if it is the first of a value. */
  #step(byte: number, offset: number): 0 | 1 {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return 1;
    if (this.#expecting === 'start' && offset < 3 && byte === BYTE_ORDER_MARK[offset]) return 1;
    const next = this.#next(byte);
    if (next === undefined) throw this.#bad(offset, shownByte(byte));
    if (next === 'a value') {
      const isEvent = this.#expecting === 'event' || this.#expecting === 'first event';
      this.#value = new PartialValue(byte, { offset, place: this.#place(), keeps: !isEvent || this.#keepsEvents });
      return 0;
    }
    this.#expecting = next;
    return 1;
  }

  #next(byte: number): Expecting | 'a value' | undefined {
    if (this.#expecting === 'value' && this.#key === EVENTS && byte === Byte.OpenArray) {
      this.hasEvents = true;
      return 'first event';
    }
    const { next, value } = STEPS[this.#expecting];
    if (value === 'name' ? byte === Byte.Quote : value === 'any' && !isDelimiter(byte)) return 'a value';
    return next.get(byte);
  }

  #finishValue(value: PartialValue): RawPart | undefined {
    const { offset, colons } = value;
    switch (this.#expecting) {
      case 'first key':
      case 'key':
        this.#key = this.#readKey(value);
        this.#expecting = 'colon';
        return undefined;
      case 'value':
        this.#expecting = 'comma';
        return { kind: 'field', key: this.#key, index: 0, offset, bytes: value.bytes(), colons };
      default: {
        this.#expecting = 'event comma';
        const index = this.#events++;
        if (!this.#keepsEvents) return undefined;
        return { kind: 'event', key: EVENTS, index, offset, bytes: value.bytes(), colons };
      }
    }
  }

  #readKey(value: PartialValue): string {
    let key: string;
    try {
      key = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value.bytes())) as string;
    } catch {
      throw this.#bad(value.offset, 'a name that is not JSON');
    }
    if (this.#keys.has(key)) throw this.#bad(value.offset, `the name ${JSON.stringify(key)} a second time`);
    this.#keys.add(key);
    return key;
  }

  #place(): string {
    if (this.#expecting === 'event' || this.#expecting === 'first event') return `event ${this.#events}`;
    return this.#expecting === 'value' ? `recording.${this.#key}` : 'recording';
  }

  #bad(offset: number, found: string): GametapeError {
    const { expected } = STEPS[this.#expecting];
    return new GametapeError(
      'BAD_RECORDING',
      `${this.#place()} at byte ${offset}: expected ${expected}, found ${found}`,
    );
  }
}

function shownByte(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? JSON.stringify(String.fromCharCode(byte)) : `byte 0x${byte.toString(16)}`;
}
