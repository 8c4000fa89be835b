import type { ByteReader } from '../bytes/byte-reader.ts';
import type { Body, DeltaOp, GameEvent, NestedChange, StateChange } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { decodeValue } from '../values/decode-value.ts';
import type { Json } from '../values/json.ts';
import { BodyForm, Op } from './body-layout.ts';
import { firstText } from './encode-body.ts';
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
    const head = reader.varint();
    const form = (head % 4) as BodyForm;
    const event = readEvent(reader, vocabulary, Math.floor(head / 4));
    const change = readChange(reader, vocabulary, form, context, event);
    reader.end();
    if (!event && !change) reader.fail('has neither an event nor a state');
    return { ...(event && { event }), ...(change && { change }) };
  } catch (error) {
    vocabulary.reset(mark);
    throw error;
  }
}

/** The event alone: what listing needs. The vocabulary learns templates, but not the names the state part may define. */
function readEvent(reader: ByteReader, vocabulary: Vocabulary, number: number): GameEvent | undefined {
  if (number === 0) return undefined;
  const template = vocabulary.readTemplate(reader, number);
  const data: Record<string, Json> = {};
  for (const key of template.keys) data[key] = decodeValue(reader);
  return { type: template.type, data };
}

function readChange(
  reader: ByteReader,
  vocabulary: Vocabulary,
  form: BodyForm,
  context: BodyContext,
  event: GameEvent | undefined,
): StateChange | undefined {
  if (form === BodyForm.None) return undefined;
  if (form === BodyForm.Keyframe) return readKeyframe(reader, vocabulary);
  const check = form === BodyForm.CheckedDelta ? { check: reader.u32() } : undefined;
  const ops = new OpDecoder(reader, vocabulary, context, firstText(event)).decode();
  return { form: 'delta', ops, ...check };
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
  return { form: 'keyframe', entries: [...entries] };
}

class OpDecoder {
  readonly #reader: ByteReader;
  readonly #vocabulary: Vocabulary;
  readonly #context: BodyContext;
  readonly #echo: string | undefined;
  readonly #ends = new Map<string, number>();
  /** Keys that this delta has set: `add` has to know how many numbers they now hold. */
  readonly #set = new Map<string, Json>();

  constructor(reader: ByteReader, vocabulary: Vocabulary, context: BodyContext, echo: string | undefined) {
    this.#reader = reader;
    this.#vocabulary = vocabulary;
    this.#context = context;
    this.#echo = echo;
  }

  decode(): DeltaOp[] {
    const ops: DeltaOp[] = [];
    while (this.#reader.left > 0) {
      if (ops.length >= LIMITS.deltaOps) this.#reader.fail(`has more than ${LIMITS.deltaOps} ops`);
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
        this.#ends.set(key, 0);
        this.#set.set(key, value);
        return { op: 'set', key, value };
      }
      case Op.Delete:
        this.#ends.set(key, 0);
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
        const value = this.#set.get(key) ?? this.#context.get(key);
        const numbers = Array.isArray(value) ? value.length : 1;
        if (numbers > reader.left) reader.fail('ends before its numbers');
        return { op: 'add', key, by: Array.from({ length: numbers }, () => reader.zigzag()) };
      }
      case Op.Nest:
        this.#ends.set(key, 0);
        return { op: 'nest', key, ...this.#nest() };
    }
  }

  #splice(key: string, move: number, remove: number, insert: string): DeltaOp {
    const at = (this.#ends.get(key) ?? this.#context.editEnd(key)) + move;
    this.#ends.set(key, at + insert.length);
    return { op: 'splice', key, at, remove, insert };
  }

  #echoed(): string {
    return this.#echo ?? this.#reader.fail('echoes a text that its event does not have');
  }

  #nest(): { path: (string | number)[]; change: NestedChange } {
    const reader = this.#reader;
    const depth = reader.count(1);
    if (depth > LIMITS.depth) reader.fail(`has a path deeper than ${LIMITS.depth}`);
    const path: (string | number)[] = [];
    for (let i = 0; i < depth; i++) {
      const step = decodeValue(reader);
      const isIndex = typeof step === 'number' && Number.isInteger(step) && step >= 0;
      if (typeof step !== 'string' && !isIndex) reader.fail('has a path step that is neither a name nor an index');
      path.push(step as string | number);
    }
    return { path, change: this.#nestedChange() };
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
}
