import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { Body, DeltaOp, GameEvent, NestedChange, StateChange } from '../event.ts';
import { encodeValue } from '../values/encode-value.ts';
import { BodyForm, Op } from './body-layout.ts';
import type { Vocabulary } from './vocabulary.ts';

export interface EncodeBodyOptions {
  /** Where the last edit of a text ended, in the state that the change applies to. */
  readonly editEnd: (key: string) => number;
  /** False for entries the relay makes: they neither grow the producer's vocabulary nor rely on what it has learned. */
  readonly learn: boolean;
}

/**
 * Appends a body (DELTA.md), or leaves `writer` and `vocabulary` as they were. Bodies made without a state to change need
 * no options.
 *
 * @throws GametapeError `BAD_VALUE`, `LIMIT_EXCEEDED` for a state key that is none.
 */
export function encodeBody(
  writer: ByteWriter,
  vocabulary: Vocabulary,
  body: Body,
  options: EncodeBodyOptions = { editEnd: () => 0, learn: true },
): void {
  const mark = vocabulary.mark();
  const start = writer.length;
  try {
    writeBody(writer, vocabulary, body, options);
  } catch (error) {
    vocabulary.reset(mark);
    writer.truncate(start);
    throw error;
  }
}

function writeBody(
  writer: ByteWriter,
  vocabulary: Vocabulary,
  { event, change }: Body,
  { editEnd, learn }: EncodeBodyOptions,
): void {
  vocabulary.writeTemplate(writer, event, formOf(change), learn);
  if (event) for (const key of Object.keys(event.data)) encodeValue(writer, event.data[key] ?? null);
  if (change?.form === 'keyframe') {
    writer.varint(change.entries.length);
    for (const [key, value] of change.entries) {
      const { number, isSpelled } = vocabulary.numberOfName(key, learn);
      writer.varint(number);
      if (isSpelled) writer.text(key);
      encodeValue(writer, value);
    }
  } else if (change?.form === 'delta') {
    if (change.check !== undefined) writer.u32(change.check);
    new OpEncoder(writer, vocabulary, { editEnd, learn }, firstText(event)).encode(change.ops);
  }
}

/** The text that `echo` inserts: the first string among an event's values, in the order in which they are written. */
function firstText(event: GameEvent | undefined): string | undefined {
  if (!event) return undefined;
  for (const key of Object.keys(event.data)) {
    const value = event.data[key];
    if (typeof value === 'string') return value;
  }
  return undefined;
}

function formOf(change: StateChange | undefined): BodyForm {
  if (change === undefined) return BodyForm.None;
  if (change.form === 'keyframe') return BodyForm.Keyframe;
  return change.check === undefined ? BodyForm.Delta : BodyForm.CheckedDelta;
}

class OpEncoder {
  readonly #writer: ByteWriter;
  readonly #vocabulary: Vocabulary;
  readonly #options: EncodeBodyOptions;
  readonly #echo: string | undefined;
  readonly #ends = new Map<string, number>();

  constructor(writer: ByteWriter, vocabulary: Vocabulary, options: EncodeBodyOptions, echo: string | undefined) {
    this.#writer = writer;
    this.#vocabulary = vocabulary;
    this.#options = options;
    this.#echo = echo;
  }

  encode(ops: readonly DeltaOp[]): void {
    for (const op of ops) {
      switch (op.op) {
        case 'set':
          this.#head(Op.Set, op.key);
          encodeValue(this.#writer, op.value);
          this.#ends.set(op.key, 0);
          break;
        case 'delete':
          this.#head(Op.Delete, op.key);
          this.#ends.set(op.key, 0);
          break;
        case 'splice':
          this.#splice(op);
          break;
        case 'add':
          this.#head(Op.Add, op.key);
          for (const by of op.by) this.#writer.zigzag(by);
          break;
        case 'nest':
          this.#nest(op.key, op.path, op.change);
          break;
      }
    }
  }

  #splice({ key, at, remove, insert }: Extract<DeltaOp, { op: 'splice' }>): void {
    const move = at - (this.#ends.get(key) ?? this.#options.editEnd(key));
    this.#ends.set(key, at + insert.length);
    if (insert === '') {
      this.#head(Op.Cut, key);
      this.#writer.zigzag(move);
      this.#writer.varint(remove);
    } else if (insert === this.#echo) {
      this.#head(move === 0 && remove === 0 ? Op.Echo : Op.EchoAt, key);
      if (move === 0 && remove === 0) return;
      this.#writer.zigzag(move);
      this.#writer.varint(remove);
    } else {
      this.#head(Op.Splice, key);
      this.#writer.zigzag(move);
      this.#writer.varint(remove);
      this.#writer.text(insert);
    }
  }

  #nest(key: string, path: readonly (string | number)[], change: NestedChange): void {
    this.#head(Op.Nest, key);
    this.#ends.set(key, 0);
    this.#writer.varint(path.length);
    for (const step of path) encodeValue(this.#writer, step);
    if (change.op === 'set') {
      this.#writer.byte(0);
      encodeValue(this.#writer, change.value);
    } else if (change.op === 'delete') {
      this.#writer.byte(1);
    } else {
      this.#writer.byte(2);
      this.#writer.varint(change.at);
      this.#writer.varint(change.remove);
      this.#writer.varint(change.insert.length);
      for (const item of change.insert) encodeValue(this.#writer, item);
    }
  }

  #head(op: Op, key: string): void {
    const { number, isSpelled } = this.#vocabulary.numberOfName(key, this.#options.learn);
    if (number < 31) this.#writer.byte((op << 5) | number);
    else {
      this.#writer.byte((op << 5) | 31);
      this.#writer.varint(number);
    }
    if (isSpelled) this.#writer.text(key);
  }
}
