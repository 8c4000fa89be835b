import { LIMITS } from '@gametape/shared';
import type { Operation } from './opcodes.ts';
import type { PicklePlace } from './pickle-error.ts';
import { lengthOf, pickleOperations } from './pickle-operations.ts';
import { type Item, PickleStack } from './pickle-stack.ts';
import { decodePickledText, decodeRawUnicodeEscape, numberLineFault } from './pickle-text.ts';
import { eventTypeNamed, knownName, SEED_CLASSES } from './seed-classes.ts';

/** Longer texts name nothing. */
const NAME_BYTES = 128;
/** Of one number as text, and of one integer in bytes. */
const NUMBER_BYTES = 1_024;
/** Python appends 1,000 at a time; pickleparser passes them as so many arguments of one call. */
const MAX_BATCH = 10_000;
/** A value takes an opcode, one more to be remembered, and containers a few. */
const OPERATIONS_PER_VALUE = 3;
/** What one event and one state may have together, names of maps counted as well. */
const EVENT_VALUES = 4 * LIMITS.nodes;

const SCALAR: Item = Object.freeze({ kind: 'number', size: 1, depth: 0 });
const FLOAT: Item = Object.freeze({ kind: 'float', size: 1, depth: 0 });
const NONE: Item = Object.freeze({ kind: 'none', size: 1, depth: 0 });
const BYTES: Item = Object.freeze({ kind: 'bytes', size: 1, depth: 0 });
const LONG_TEXT: Item = Object.freeze({ kind: 'text', size: 1, depth: 0 });

export interface PickleLimits {
  /** Values, written out with nothing shared. @default enough for one event and its state */
  readonly values?: number;
}

/**
 * Runs a pickle without making anything of it, and refuses whatever a recording of the seed cannot hold: pickleparser names
 * neither opcode nor byte in its errors, knows no limits, takes missing values for undefined and calls whatever it is given.
 * What has passed here is sound: every opcode finds the kinds of values that it needs.
 *
 * @throws GametapeError naming opcode and byte: `BAD_RECORDING`, `DAMAGED` when the bytes end too early, `LIMIT_EXCEEDED` when
 *   it is nested too deep or has too many values written out
 */
export function checkPickle(bytes: Uint8Array, place: PicklePlace, limits: PickleLimits = {}): void {
  const machine = new PickleMachine(place, limits.values ?? EVENT_VALUES);
  for (const operation of pickleOperations(bytes, place)) machine.run(operation);
}

class PickleMachine {
  readonly #stack: PickleStack;
  readonly #maxOperations: number;
  #operations = 0;

  constructor(place: PicklePlace, maxValues: number) {
    this.#stack = new PickleStack(place, maxValues);
    this.#maxOperations = OPERATIONS_PER_VALUE * maxValues;
  }

  run(operation: Operation): void {
    const { name, data } = operation;
    this.#stack.now = operation;
    if (++this.#operations > this.#maxOperations) throw this.#stack.over(`more than ${this.#maxOperations} opcodes`);
    switch (name) {
      case 'PROTO':
      case 'FRAME':
        return;
      case 'STOP':
        this.#stack.pop('a value');
        if (!this.#stack.isEmpty) throw this.#stack.bad('expected one value, found more of them');
        return;
      case 'MARK':
        this.#stack.mark();
        return;
      case 'MEMOIZE':
        this.#stack.remember();
        return;
      case 'PUT':
      case 'BINPUT':
      case 'LONG_BINPUT':
        this.#stack.remember(this.#index(operation));
        return;
      case 'GET':
      case 'BINGET':
      case 'LONG_BINGET':
        this.#stack.recall(this.#index(operation));
        return;
      case 'NONE':
        this.#stack.push(NONE);
        return;
      case 'BINFLOAT':
        this.#stack.push(FLOAT);
        return;
      case 'INT':
      case 'LONG':
      case 'FLOAT':
        this.#checkNumber(operation);
        this.#stack.push(name === 'FLOAT' ? FLOAT : SCALAR);
        return;
      case 'LONG1':
      case 'LONG4':
        if (data.length > NUMBER_BYTES) throw this.#stack.over(`a whole number of ${data.length} bytes`);
        this.#stack.push(SCALAR);
        return;
      case 'UNICODE':
      case 'BINUNICODE':
      case 'SHORT_BINUNICODE':
      case 'BINUNICODE8':
        this.#stack.push(this.#text(operation));
        return;
      case 'BINBYTES':
      case 'SHORT_BINBYTES':
      case 'BINBYTES8':
      case 'BYTEARRAY8':
        this.#stack.push(BYTES);
        return;
      case 'GLOBAL':
        this.#global(data);
        return;
      case 'STACK_GLOBAL': {
        const second = this.#stack.pop('the name of a class', 'text');
        this.#name(this.#stack.pop('the name of a module', 'text').text ?? '…', second.text ?? '…');
        return;
      }
      case 'REDUCE':
        this.#reduce();
        return;
      case 'NEWOBJ':
        this.#newObject();
        return;
      case 'BUILD':
        this.#build();
        return;
      default:
        if (!this.#collect(name)) this.#stack.push(SCALAR);
    }
  }

  /** The opcodes of containers. False for any other. */
  #collect(name: string): boolean {
    switch (name) {
      case 'EMPTY_TUPLE':
        this.#gather('tuple', []);
        return true;
      case 'TUPLE1':
      case 'TUPLE2':
      case 'TUPLE3':
        this.#gather('tuple', this.#stack.popMany(Number(name.at(-1))));
        return true;
      case 'TUPLE':
        this.#gather('tuple', this.#stack.popMarked());
        return true;
      case 'FROZENSET':
        this.#gather('set', this.#stack.popMarked());
        return true;
      case 'EMPTY_LIST':
        this.#gather('list', []);
        return true;
      case 'LIST':
        this.#gather('list', this.#stack.popMarked());
        return true;
      case 'EMPTY_DICT':
        this.#gather('dict', []);
        return true;
      case 'DICT': {
        // Python writes empty ones only. pickleparser makes properties of what else there may be.
        const items = this.#stack.popMarked();
        if (items.length > 0) throw this.#stack.bad('expected no items, found some');
        this.#gather('dict', []);
        return true;
      }
      case 'EMPTY_SET':
        this.#gather('set', []);
        return true;
      case 'APPEND':
        this.#add('list', this.#stack.popMany(1));
        return true;
      case 'APPENDS':
        this.#add('list', this.#stack.popMarked());
        return true;
      case 'ADDITEMS':
        this.#add('set', this.#stack.popMarked());
        return true;
      case 'SETITEM':
        this.#setItems(this.#stack.popMany(2));
        return true;
      case 'SETITEMS':
        this.#setItems(this.#stack.popMarked());
        return true;
      default:
        return false;
    }
  }

  #gather(kind: 'tuple' | 'list' | 'set' | 'dict', items: readonly Item[]): void {
    const item: Item = {
      kind,
      size: 1,
      depth: 1,
      ...(kind === 'tuple' && items.length <= 3 && { items }),
      ...(kind === 'dict' && { keys: new Set<string>() }),
    };
    this.#stack.put(items, item);
    this.#stack.push(item);
  }

  #add(kind: 'list' | 'set', items: readonly Item[]): void {
    if (items.length > MAX_BATCH) throw this.#stack.over(`more than ${MAX_BATCH} items at once`);
    this.#stack.put(items, this.#stack.changed(kind));
  }

  #setItems(items: readonly Item[]): void {
    const dict = this.#stack.changed('dict');
    if (items.length % 2 !== 0) throw this.#stack.bad('expected names with values, found a name without one');
    for (let at = 0; at < items.length; at += 2) {
      const { text: key, kind } = items[at] as Item;
      // "1.0" to Python, and no longer known from 1 once it has been read.
      if (kind === 'float') throw this.#stack.bad('expected names that are texts or whole numbers, found a float');
      if (key === undefined) dict.keys = undefined;
      else dict.keys?.add(key);
    }
    this.#stack.put(items, dict);
  }

  #global(data: Uint8Array): void {
    const lines = decodePickledText(data)?.split('\n') ?? [];
    this.#name(lines[0] ?? '…', lines[1] ?? '…');
  }

  #name(module: string, name: string): void {
    if (knownName(module, name) === undefined) {
      const shown = `${module}.${name}`.slice(0, NAME_BYTES).toWellFormed();
      throw this.#stack.bad(`refused: ${JSON.stringify(shown)} is none of the seed's classes`);
    }
    const kind = knownName(module, name);
    this.#stack.push({ kind: 'name', size: 1, depth: 0, text: kind === 'class' ? name : `${kind}` });
  }

  /** The only calls: members of EventType, and the objects of protocols 0 and 1. */
  #reduce(): void {
    const { items = [] } = this.#stack.pop('a tuple of arguments', 'tuple');
    const { text: name = '' } = this.#stack.pop('something to call', 'name');
    const kinds = items.map((item) => (item.kind === 'name' ? nameKind(item) : item.kind)).join();
    if (name === 'EventType' && kinds === 'text') {
      this.#stack.push({ kind: 'enum', size: 1, depth: 0 });
    } else if (name === 'getattr' && kinds === 'EventType,text') {
      if (eventTypeNamed(items[1]?.text ?? '') === undefined)
        throw this.#stack.bad('refused: EventType has no such member');
      this.#stack.push({ kind: 'enum', size: 1, depth: 0 });
    } else if (name === 'reconstructor' && kinds === 'class,object,none') {
      this.#stack.push({ kind: 'object', size: 1, depth: 1, text: items[0]?.text ?? '' });
    } else throw this.#stack.bad(`refused: a call of ${name} with (${kinds})`);
  }

  #newObject(): void {
    const { items } = this.#stack.pop('a tuple of arguments', 'tuple');
    const name = this.#stack.pop('a class', 'name');
    if (nameKind(name) !== 'class')
      throw this.#stack.bad(`refused: ${name.text} is no class of the seed's that has fields`);
    if (items?.length !== 0) throw this.#stack.bad('refused: the classes of the seed are made without arguments');
    this.#stack.push({ kind: 'object', size: 1, depth: 1, text: name.text ?? '' });
  }

  #build(): void {
    const { kind, keys, size, depth } = this.#stack.pop('the fields of an object');
    const object = this.#stack.changed('object');
    const fields = SEED_CLASSES.get(object.text ?? '');
    if (object.isBuilt) throw this.#stack.bad('refused: the object has its fields already');
    if (kind !== 'dict' || keys === undefined) throw this.#stack.bad('refused: expected a dict of fields');
    for (const key of keys) {
      if (fields?.has(key)) continue;
      throw this.#stack.bad(`refused: ${object.text} has no field ${JSON.stringify(key.toWellFormed())}`);
    }
    object.isBuilt = true;
    this.#stack.put([{ kind, size, depth }], object);
  }

  #text({ name, data }: Operation): Item {
    if (data.length > NAME_BYTES) return LONG_TEXT;
    const text = name === 'UNICODE' ? decodeRawUnicodeEscape(data) : decodePickledText(data);
    if (text === undefined) throw this.#stack.bad('expected text, found other bytes');
    return { kind: 'text', size: 1, depth: 0, text };
  }

  #checkNumber({ name, data }: Operation): void {
    const fault = numberLineFault(name, data.length > NUMBER_BYTES ? '' : String.fromCharCode(...data));
    if (fault !== undefined) throw this.#stack.bad(fault);
  }

  #index({ name, data }: Operation): number {
    if (name !== 'PUT' && name !== 'GET') return lengthOf(data);
    const text = data.length > 16 ? '' : String.fromCharCode(...data);
    if (!/^\d{1,15}$/.test(text)) throw this.#stack.bad('expected a number, found something else');
    return Number(text);
  }
}

function nameKind({ text = '' }: Item): string {
  return SEED_CLASSES.has(text) ? 'class' : text;
}
