import { ByteReader } from '../bytes/byte-reader.ts';
import type { ErrorCode } from '../errors.ts';
import type { Body, DeltaOp, GameEvent, NestedChange, StateChange } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { decodeValue } from '../values/decode-value.ts';
import { isForbiddenKey, type Json } from '../values/json.ts';
import { BodyForm, Op } from './body-layout.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What decoding needs of the state that a delta applies to: how many numbers `add` has, and where edits ended. */
export interface BodyContext {
  editEnd(key: string): number;
  get(key: string): Json | undefined;
}

/**
 * Reads a body up to the end of `reader` (DELTA.md). The vocabulary learns what the body defines, unless it turns out bad:
 * then it is as before, and the reader's error is thrown.
 */
export function decodeBody(reader: ByteReader, vocabulary: Vocabulary, context: BodyContext): Body {
  const mark = vocabulary.mark();
  try {
    return readBody(reader, vocabulary, context);
  } catch (error) {
    vocabulary.reset(mark);
    throw error;
  }
}

/** The same without the way back: a bad body may have taught the vocabulary something. */
export function readBody(reader: ByteReader, vocabulary: Vocabulary, context: BodyContext): Body {
  const { event, form, echo } = readEvent(reader, vocabulary);
  if (form === BodyForm.None) return { event: event as GameEvent };
  const change = readChange(reader, vocabulary, context, form, echo);
  return event ? { event, change } : { change };
}

/** True for a body that tells of an event, as far as its first byte says: nothing of it is read or checked. */
export function hasEvent(body: Uint8Array): boolean {
  // The head is the number of a template, 0 for none, times 4, and a form.
  return (body[0] ?? 0) >= 4;
}

/** The event of a body whose change is of no use to anybody any more: that there is one is all that is read of it (T8). */
export function decodeEvent(
  body: Uint8Array,
  vocabulary: Vocabulary,
  code: ErrorCode,
): { event: GameEvent | undefined; hasChange: boolean } {
  const mark = vocabulary.mark();
  try {
    const { event, form } = readEvent(new ByteReader(body, code), vocabulary);
    return { event, hasChange: form !== BodyForm.None };
  } catch (error) {
    vocabulary.reset(mark);
    throw error;
  }
}

/** The same for one that holds a keyframe. */
export function hasKeyframe(body: Uint8Array): boolean {
  return ((body[0] ?? 0) & 3) === BodyForm.Keyframe;
}

/** What a body says before its state part, and what that needs to be read: later, if the caller wants to. */
interface BodyStart {
  readonly event: GameEvent | undefined;
  readonly form: BodyForm;
  /** The text that an echo stands for. */
  readonly echo: string | undefined;
}

/** Reads a body up to its state part, and to its end if it has none. The vocabulary learns the event's template. */
export function readEvent(reader: ByteReader, vocabulary: Vocabulary): BodyStart {
  const head = reader.varint();
  const isSmall = head < 0x8000_0000;
  const form = (isSmall ? head & 3 : head % 4) as BodyForm;
  const number = isSmall ? head >>> 2 : Math.floor(head / 4);
  if (number === 0) {
    if (form === BodyForm.None) reader.fail('has neither an event nor a state');
    return { event: undefined, form, echo: undefined };
  }
  const { type, keys } = vocabulary.readTemplate(reader, number);
  const data: Record<string, Json> = {};
  let echo: string | undefined;
  for (let i = 0; i < keys.length; i++) {
    const value = decodeValue(reader);
    if (echo === undefined && typeof value === 'string') echo = value;
    data[keys[i] as string] = value;
  }
  if (form === BodyForm.None) reader.end();
  return { event: { type, data }, form, echo };
}

/** Reads the state part of a body, up to the end of `reader`. */
export function readChange(
  reader: ByteReader,
  vocabulary: Vocabulary,
  context: BodyContext,
  form: BodyForm,
  echo: string | undefined,
): StateChange {
  if (form === BodyForm.Keyframe) return readKeyframe(reader, vocabulary);
  const check = form === BodyForm.CheckedDelta ? reader.u32() : undefined;
  const ops = new OpDecoder(reader, vocabulary, context, echo).decode();
  return check === undefined ? { form: 'delta', ops } : { form: 'delta', ops, check };
}

function readKeyframe(reader: ByteReader, vocabulary: Vocabulary): StateChange {
  const count = reader.count(2);
  if (count > LIMITS.stateKeys) reader.fail(`has ${count} state keys, more than ${LIMITS.stateKeys},`);
  const entries = new Map<string, Json>();
  for (let i = 0; i < count; i++) {
    const key = vocabulary.readName(reader, reader.varint());
    if (entries.has(key)) reader.fail('has the same state key twice');
    entries.set(key, decodeValue(reader));
  }
  reader.end();
  return { form: 'keyframe', entries: [...entries] };
}

class OpDecoder {
  readonly #reader: ByteReader;
  readonly #vocabulary: Vocabulary;
  readonly #context: BodyContext;
  readonly #echo: string | undefined;
  /** Where the last edit of a key has ended, if this delta has changed that: of one key, and of any further ones. */
  #endKey: string | undefined;
  #end = 0;
  #moreEnds: Map<string, number> | undefined;
  /** How many numbers `add` has for a key, if this delta has changed that; made when it is first needed. */
  #widths: Map<string, number> | undefined;
  #inserted = 0;

  constructor(reader: ByteReader, vocabulary: Vocabulary, context: BodyContext, echo: string | undefined) {
    this.#reader = reader;
    this.#vocabulary = vocabulary;
    this.#context = context;
    this.#echo = echo;
  }

  decode(): DeltaOp[] {
    const reader = this.#reader;
    if (reader.left === 0) return [];
    const first = this.#op();
    if (reader.left === 0) return [first];
    // An array that grows takes room for 17: most deltas have one op or two, a text and a cursor.
    const ops = [first, this.#op()];
    while (reader.left > 0) {
      if (ops.length >= LIMITS.deltaOps) reader.fail(`has more than ${LIMITS.deltaOps} ops`);
      ops.push(this.#op());
    }
    return ops;
  }

  #op(): DeltaOp {
    const reader = this.#reader;
    const head = reader.byte();
    const short = head & 31;
    const key = this.#vocabulary.readName(reader, short === 31 ? reader.varint() : short);
    switch ((head >> 5) as Op) {
      case Op.Set: {
        const value = decodeValue(reader);
        this.#setEnd(key, 0);
        this.#setWidth(key, widthOf(value));
        return { op: 'set', key, value };
      }
      case Op.Delete:
        this.#setEnd(key, 0);
        return { op: 'delete', key };
      case Op.Echo:
        return this.#splice(key, 0, 0, this.#echoed());
      case Op.EchoAt:
        return this.#splice(key, reader.zigzag(), reader.varint(), this.#echoed());
      case Op.Splice:
        return this.#splice(key, reader.zigzag(), reader.varint(), reader.text());
      case Op.Cut:
        return this.#splice(key, reader.zigzag(), reader.varint(), '');
      case Op.Add: {
        const width = this.#width(key);
        if (width > reader.left) reader.fail(`ends before the ${width} numbers it adds`);
        if (width === 2) return { op: 'add', key, by: [reader.zigzag(), reader.zigzag()] };
        const by: number[] = [];
        for (let i = 0; i < width; i++) by.push(reader.zigzag());
        return { op: 'add', key, by };
      }
      case Op.Nest:
        this.#setEnd(key, 0);
        return this.#nest(key);
    }
  }

  #splice(key: string, move: number, remove: number, insert: string): DeltaOp {
    const at = this.#editEnd(key) + move;
    this.#setEnd(key, at + insert.length);
    this.#inserted += insert.length;
    // An echo is one byte on the wire: without this bound a short message could insert for seconds.
    if (this.#inserted > LIMITS.stateBytes) this.#reader.fail(`inserts more than ${LIMITS.stateBytes} code units`);
    return { op: 'splice', key, at, remove, insert };
  }

  #echoed(): string {
    return this.#echo ?? this.#reader.fail('echoes a text that its event does not have');
  }

  #nest(key: string): DeltaOp {
    const path = this.#path();
    const change = this.#nestedChange();
    const isInArray = path.length === 1 && typeof path[0] === 'number';
    if (path.length === 0 && change.op === 'set') this.#setWidth(key, widthOf(change.value));
    else if (path.length === 0 && change.op === 'splice') {
      this.#setWidth(key, this.#width(key) + change.insert.length - change.remove);
    } else if (isInArray && change.op === 'delete') this.#setWidth(key, this.#width(key) - 1);
    return { op: 'nest', key, path, change };
  }

  #path(): (string | number)[] {
    const reader = this.#reader;
    const depth = reader.count(1);
    if (depth > LIMITS.depth) reader.fail(`has a path deeper than ${LIMITS.depth}`);
    const path: (string | number)[] = [];
    for (let i = 0; i < depth; i++) {
      const step = decodeValue(reader);
      const isName = typeof step === 'string' && !isForbiddenKey(step);
      const isIndex = typeof step === 'number' && Number.isInteger(step) && step >= 0;
      if (!isName && !isIndex) return reader.fail('has a path step that is neither a name nor an index');
      path.push(step);
    }
    return path;
  }

  #nestedChange(): NestedChange {
    const reader = this.#reader;
    switch (reader.byte()) {
      case 0:
        return { op: 'set', value: decodeValue(reader) };
      case 1:
        return { op: 'delete' };
      case 2: {
        const at = reader.varint();
        const remove = reader.varint();
        const insert: Json[] = [];
        for (let count = reader.count(1); count > 0; count--) insert.push(decodeValue(reader));
        return { op: 'splice', at, remove, insert };
      }
      default:
        return reader.fail('has an unknown nested change');
    }
  }

  #editEnd(key: string): number {
    if (key === this.#endKey) return this.#end;
    return this.#moreEnds?.get(key) ?? this.#context.editEnd(key);
  }

  #setEnd(key: string, end: number): void {
    this.#endKey ??= key;
    if (key === this.#endKey) this.#end = end;
    else {
      this.#moreEnds ??= new Map();
      this.#moreEnds.set(key, end);
    }
  }

  #width(key: string): number {
    return this.#widths?.get(key) ?? widthOf(this.#context.get(key));
  }

  #setWidth(key: string, width: number): void {
    this.#widths ??= new Map();
    this.#widths.set(key, width);
  }
}

function widthOf(value: Json | undefined): number {
  return Array.isArray(value) ? value.length : 1;
}
