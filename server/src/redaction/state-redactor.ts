import {
  type Body,
  ByteWriter,
  type Crc32,
  type DeltaOp,
  diffKey,
  encodeBody,
  type Json,
  ProducerContext,
  type ProducerRecord,
  type StateChange,
  type TimelineEntry,
} from '@gametape/shared';
import { copyContext } from '../recording/copy-context.ts';
import { editedName, type Redaction } from './redaction.ts';
import type { Piece, StateTrail } from './text-trail.ts';

/** Makes the redacted bodies of one producer, and keeps its redacted state. */
export class StateRedactor {
  /** As whoever reads the redacted recording sees the producer. */
  context: ProducerContext;
  readonly #redaction: Redaction;
  readonly #trail: StateTrail;
  readonly #isOwn: boolean;
  readonly #crc32: Crc32;
  readonly #writer = new ByteWriter(1_024);

  constructor(
    redaction: Redaction,
    options: { producer: ProducerRecord; player: string; trail: StateTrail; crc32: Crc32 },
  ) {
    this.#redaction = redaction;
    this.#trail = options.trail;
    this.#isOwn = options.player === redaction.owner;
    this.#crc32 = options.crc32;
    this.context = new ProducerContext(redaction.profile, options.producer);
  }

  /** Goes on from another context, which the trail has loaded. Returns a copy of it, redacted. */
  leap(original: ProducerContext): ProducerContext {
    const { words, profile } = this.#redaction;
    const { index, player, instance } = this.context;
    const next = copyContext(original, profile, { index, player, instance });
    next.restart();
    const entries = [...original.state.entries()].map((entry) => {
      return { ...entry, key: words.key(entry.key), value: this.#valueOf(index, entry.key, entry.value) };
    });
    next.state.restore(entries, original.stamp);
    this.context = next;
    return copyContext(next, profile, next);
  }

  /** The body of an entry; `original` is the producer after it, and `inserted` what it has put into the texts of the state. */
  encode(entry: TimelineEntry, body: Body, original: ProducerContext, inserted: readonly Piece[]): Uint8Array {
    const { context } = this;
    const isRestored = entry.stamp === null && body.change?.form === 'keyframe';
    if (entry.pseq > context.pseq + 1 || isRestored) context.restart();
    const stamp = entry.stamp ?? context.stamp;
    const change = body.change && this.#change(body.change, original, inserted);
    const ends = new Map<string, number>();
    if (change?.form === 'delta') for (const { key } of change.ops) ends.set(key, context.state.editEnd(key));
    if (change) context.state.apply(change, stamp);
    else context.state.stamp = stamp;
    const hasCheck = body.change?.form === 'delta' && body.change.check !== undefined;
    const check = hasCheck ? { check: context.state.hash(this.#crc32) } : undefined;
    this.#writer.truncate(0);
    encodeBody(
      this.#writer,
      context.vocabulary,
      { ...(body.event && { event: body.event }), ...(change && { change: { ...change, ...check } as StateChange }) },
      { editEnd: (key) => ends.get(key) ?? 0, learn: entry.stamp !== null },
    );
    context.follow(entry);
    return this.#writer.take();
  }

  #change(change: StateChange, original: ProducerContext, inserted: readonly Piece[]): StateChange {
    const { words } = this.#redaction;
    const { index } = this.context;
    if (change.form === 'keyframe') {
      const entries = change.entries.map(([key, value]) => [words.key(key), this.#valueOf(index, key, value)] as const);
      return { form: 'keyframe', entries };
    }
    const combined = keysToCombine(change.ops);
    const pieces = inserted[Symbol.iterator]();
    const ops = change.ops.flatMap((op) => {
      const hasPiece = op.op === 'splice' || (op.op === 'set' && typeof op.value === 'string');
      const piece = hasPiece ? (pieces.next().value as Piece) : undefined;
      if (combined.has(op.key)) return [];
      return [this.#op(op, piece)];
    });
    const last = [...combined].flatMap((key) => this.#lastOp(key, original.state.get(key)) ?? []);
    return { form: 'delta', ops: [...ops, ...last] };
  }

  #op(op: DeltaOp, piece: Piece | undefined): DeltaOp {
    const { words, marks } = this.#redaction;
    const key = words.key(op.key);
    if (op.op === 'splice' && piece) {
      const isHidden = this.#hides(op.key);
      const insert = words.blot(op.insert, (at) => isHidden || marks.marked.has(piece.firstId + at));
      return { ...op, key, insert };
    }
    if (op.op === 'set') return { op: 'set', key, value: this.#valueOf(this.context.index, op.key, op.value) };
    return { ...op, key };
  }

  /** The one op that leads to what all ops of a key lead to. */
  #lastOp(key: string, value: Json | undefined): DeltaOp | undefined {
    const redactedKey = this.#redaction.words.key(key);
    const before = this.context.state.get(redactedKey);
    if (value === undefined) return before === undefined ? undefined : { op: 'delete', key: redactedKey };
    return diffKey(redactedKey, before, this.#valueOf(this.context.index, key, value));
  }

  #valueOf(producer: number, key: string, value: Json): Json {
    const { words, values, marks, edited } = this.#redaction;
    if (typeof value !== 'string') {
      return values.value(value, { isOwn: this.#hides(key), place: key });
    }
    if (words.isName(value) && !edited.has(editedName(producer, key))) return words.string(value);
    if (this.#hides(key)) {
      const isId = value === this.#redaction.owner && !edited.has(editedName(producer, key));
      return isId ? value : words.blotAll(value);
    }
    const text = this.#trail.text(key);
    return words.blot(value, (at) => text === undefined || marks.marked.has(text.idAt(at)));
  }

  #hides(key: string): boolean {
    const { values, owner } = this.#redaction;
    return (this.#isOwn && !values.isOfGame(key) && key !== 'other_players') || (owner !== undefined && key === owner);
  }
}

/** Keys of which only what they are in the end can be redacted: changes inside of values, and texts set on the way. */
function keysToCombine(ops: readonly DeltaOp[]): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const { key } of ops) counts.set(key, (counts.get(key) ?? 0) + 1);
  const isOnTheWay = ({ op, key }: DeltaOp) => op === 'nest' || (op === 'set' && Number(counts.get(key)) > 1);
  return new Set(ops.filter(isOnTheWay).map(({ key }) => key));
}
