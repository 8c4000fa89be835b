import { ProducerContext } from '../body/producer-context.ts';
import type { Vocabulary } from '../body/vocabulary.ts';
import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import { LIMITS } from '../limits.ts';
import type { Profile } from '../profile/profile.ts';
import type { LiveState, StateEntry } from '../state/live-state.ts';
import { decodeValue } from '../values/decode-value.ts';
import { encodeValue } from '../values/encode-value.ts';
import { isForbiddenKey } from '../values/json.ts';
import type { ProducerRecord } from './records.ts';

export type ContextNumbers = Pick<ProducerContext, 'pseq' | 'time' | 'hlc' | 'stamp'>;

/** The part of a producer's context that a keyframe holds: those who make bodies have no more of it. */
export interface KeyframeContext extends ContextNumbers {
  readonly index: number;
  readonly vocabulary: LearnedVocabulary;
  readonly state: Pick<LiveState, 'size' | 'entries'>;
}

/** The whole context of a producer, so that decoding can start here. */
export function writeKeyframe(writer: ByteWriter, context: KeyframeContext): void {
  writer.varint(context.index);
  writeNumbers(writer, context);
  writeVocabulary(writer, context.vocabulary);
  writer.byte(context.state.size > 0 ? 1 : 0);
  if (context.state.size > 0) writeStateEntries(writer, [...context.state.entries()]);
}

/** The context that a keyframe record holds. `identify` gives the producer of an index, declared earlier. */
export function readKeyframe(
  reader: ByteReader,
  profile: Profile,
  identify: (index: number) => ProducerRecord | undefined,
): ProducerContext {
  const index = reader.varint();
  const identity = identify(index) ?? reader.fail(`has a keyframe of undeclared producer ${index}`);
  const context = new ProducerContext(profile, identity);
  readNumbers(reader, context);
  readVocabulary(reader, context.vocabulary);
  if (readFlag(reader)) context.state.restore(readStateEntries(reader), context.stamp);
  return context;
}

/** The numbers that a producer's next entry is relative to. */
export function writeNumbers(writer: ByteWriter, context: ContextNumbers): void {
  writer.varint(context.pseq);
  writer.zigzag(context.time);
  writer.varint(context.hlc);
  writer.zigzag(context.stamp);
}

export function readNumbers(reader: ByteReader, context: ProducerContext): void {
  context.pseq = reader.varint();
  context.time = reader.zigzag();
  context.hlc = reader.varint();
  context.stamp = reader.zigzag();
}

export type LearnedVocabulary = Pick<Vocabulary, 'learnedTemplates' | 'learnedNames'>;

export function writeVocabulary(writer: ByteWriter, { learnedTemplates, learnedNames }: LearnedVocabulary): void {
  writer.varint(learnedTemplates.length);
  for (const { type, keys } of learnedTemplates) {
    writer.text(type);
    writer.varint(keys.length);
    for (const key of keys) writer.text(key);
  }
  writer.varint(learnedNames.length);
  for (const name of learnedNames) writer.text(name);
}

/** Learns what is written there, after what the vocabulary knows already. */
export function readVocabulary(reader: ByteReader, vocabulary: Vocabulary): void {
  for (let count = reader.count(2); count > 0; count--) vocabulary.readNextTemplate(reader);
  for (let count = reader.count(1); count > 0; count--) vocabulary.readNextName(reader);
}

export function writeStateEntries(writer: ByteWriter, entries: readonly StateEntry[]): void {
  writer.varint(entries.length);
  for (const { key, value, editEnd, followsClock } of entries) {
    writer.text(key);
    encodeValue(writer, value);
    writer.varint(editEnd);
    writer.byte(followsClock ? 1 : 0);
  }
}

export function readStateEntries(reader: ByteReader): StateEntry[] {
  const count = reader.count(4);
  if (count > LIMITS.stateKeys) {
    reader.fail(`has a keyframe of ${count} state keys, more than ${LIMITS.stateKeys},`);
  }
  const entries = new Map<string, StateEntry>();
  for (let i = 0; i < count; i++) {
    const key = reader.text();
    if (isForbiddenKey(key)) reader.fail(`has the state key ${key}, which is not allowed,`);
    if (entries.has(key)) reader.fail('has the same state key twice');
    const value = decodeValue(reader);
    entries.set(key, { key, value, editEnd: reader.varint(), followsClock: readFlag(reader) });
  }
  return [...entries.values()];
}

export function readFlag(reader: ByteReader): boolean {
  const flag = reader.byte();
  return flag < 2 ? flag === 1 : reader.fail(`has a flag of ${flag}`);
}
