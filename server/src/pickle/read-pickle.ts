import { isGametapeError } from '@gametape/shared';
import { BufferReader, Parser } from 'pickleparser';
import { checkPickle, type PickleLimits } from './check-pickle.ts';
import { OPCODES } from './opcodes.ts';
import { type OpcodePlace, opcodeError, type PicklePlace } from './pickle-error.ts';
import { decodePickledText, decodeRawUnicodeEscape } from './pickle-text.ts';
import { eventTypeNamed, knownName } from './seed-classes.ts';

/**
 * What a pickle holds: null, booleans, numbers, texts, arrays (lists and tuples), Maps (dicts), Sets, Uint8Arrays (bytes), and the
 * three classes below. Whatever it says, nothing is run, loaded or looked up.
 *
 * @throws GametapeError naming opcode and byte, as `checkPickle` does
 */
export function readPickle(bytes: Uint8Array, place: PicklePlace, limits?: PickleLimits): unknown {
  checkPickle(bytes, place, limits);
  const reader = new PickleReader(bytes, place);
  try {
    return PARSER.read(reader);
  } catch (error) {
    // What was checked is sound; should the two ever disagree, it is still told where.
    if (isGametapeError(error)) throw error;
    throw opcodeError('BAD_RECORDING', place, reader.opcode, error instanceof Error ? error.message : String(error));
  }
}

/** An int that takes more than 32 bits: little-endian, two's complement. */
export class PickledInt extends Uint8Array {
  toBigInt(): bigint {
    if (this.length === 0) return 0n;
    const digits = Array.from(this, (byte) => byte.toString(16).padStart(2, '0'));
    return BigInt.asIntN(this.length * 8, BigInt(`0x${digits.reverse().join('')}`));
  }
}

/** A member of the seed's `EventType`, by its value. */
export class PickledEventType {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** An object of one of the seed's dataclasses. */
export class PickledObject {
  readonly name: string;
  #fields: ReadonlyMap<unknown, unknown> = new Map();

  constructor(name: string) {
    this.name = name;
  }

  get fields(): ReadonlyMap<unknown, unknown> {
    return this.#fields;
  }

  /** pickleparser gives the state of BUILD to the method of this name. Without it, it would assign to properties. */
  __setstate__(fields: ReadonlyMap<unknown, unknown>): void {
    this.#fields = fields;
  }
}

const PARSER = new Parser({
  unpicklingTypeOfDictionary: 'Map',
  unpicklingTypeOfSet: 'Set',
  nameResolver: { resolve: resolveName },
});

const EVENT_TYPE = (value: unknown) => new PickledEventType(value);

function resolveName(module: string, name: string) {
  switch (knownName(module, name)) {
    case 'class':
      return class extends PickledObject {
        constructor() {
          super(name);
        }
      };
    case 'EventType':
      return EVENT_TYPE;
    case 'getattr':
      return (_: unknown, member: string) => new PickledEventType(eventTypeNamed(member));
    case 'reconstructor':
      return (own: new () => PickledObject) => new own();
    case 'object':
      return Object;
    default:
      throw new TypeError(`the name ${module}.${name} was not checked`);
  }
}

const LONG1 = 0x8a;
const LONG4 = 0x8b;
/** The opcodes of bytes that are laid out like those of ints. */
const BYTES_FOR: ReadonlyMap<number, number> = new Map([
  [LONG1, 0x43],
  [LONG4, 0x42],
]);

/**
 * What pickleparser reads from, putting right what it gets wrong: ints of LONG1 and LONG4 lose their sign (here they come as bytes
 * of a class of their own), texts lose a first U+FEFF and their lone surrogates, those of protocol 0 keep their escapes, and
 * `inf` is not a number.
 */
class PickleReader extends BufferReader {
  readonly #place: PicklePlace;
  readonly #bytes: Uint8Array;
  #offset = 0;
  #code = 0;

  constructor(bytes: Uint8Array, place: PicklePlace) {
    super(bytes);
    this.#bytes = bytes;
    this.#place = place;
  }

  get opcode(): OpcodePlace {
    return { name: OPCODES.get(this.#code)?.name ?? 'opcode', offset: this.#offset };
  }

  /** pickleparser asks this once before each opcode. */
  override hasNext(): boolean {
    this.#offset = this.position;
    this.#code = this.#bytes[this.position] ?? 0;
    return super.hasNext();
  }

  override byte(): number {
    const isOpcode = this.position === this.#offset;
    const byte = super.byte();
    return isOpcode ? (BYTES_FOR.get(byte) ?? byte) : byte;
  }

  override bytes(length: number): Uint8Array {
    const start = this.position;
    this.skip(length);
    const bytes = this.#bytes.subarray(start, this.position);
    return BYTES_FOR.has(this.#code) ? new PickledInt(bytes) : bytes;
  }

  override string(length: number): string {
    return this.#decoded(decodePickledText(this.bytes(length)));
  }

  override line(): string {
    const start = this.position;
    const end = this.#bytes.indexOf(0x0a, start);
    if (end < 0) throw new RangeError('the line has no end');
    this.skip(end + 1 - start);
    const bytes = this.#bytes.subarray(start, end);
    const { name } = this.opcode;
    const text = this.#decoded(name === 'UNICODE' ? decodeRawUnicodeEscape(bytes) : decodePickledText(bytes));
    return name === 'FLOAT' ? text.replace('inf', 'Infinity') : text;
  }

  #decoded(text: string | undefined): string {
    if (text !== undefined) return text;
    throw opcodeError('BAD_RECORDING', this.#place, this.opcode, 'expected text, found other bytes');
  }
}
