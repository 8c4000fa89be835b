import type { ProducerContext } from '../body/producer-context.ts';
import type { ByteReader } from '../bytes/byte-reader.ts';
import type { ByteWriter } from '../bytes/byte-writer.ts';
import type { Template } from '../profile/profile.ts';
import type { StateEntry } from '../state/live-state.ts';
import { applyTextPatch, patchText, type TextPatchStep } from '../state/text-patch.ts';
import { decodeValue } from '../values/decode-value.ts';
import { encodeValue } from '../values/encode-value.ts';
import { type Json, jsonEqual } from '../values/json.ts';
import {
  readFlag,
  readNumbers,
  readStateEntries,
  readVocabulary,
  writeNumbers,
  writeStateEntries,
  writeVocabulary,
} from './keyframe-record.ts';

/** How a later keyframe says what the state is. */
const StateForm = { None: 0, Whole: 1, Changes: 2 } as const;
/** How it says what one key is. */
const ValueForm = { Whole: 0, Patch: 1 } as const;

/** What a later keyframe is written against: the keyframe of the same producer before it, in the same block. */
export interface KeyframeReference {
  readonly templates: readonly Template[];
  readonly names: readonly string[];
  readonly entries: readonly StateEntry[];
}

export function referenceTo(context: ProducerContext): KeyframeReference {
  const { learnedTemplates, learnedNames } = context.vocabulary;
  return { templates: [...learnedTemplates], names: [...learnedNames], entries: [...context.state.entries()] };
}

/**
 * The context of a producer before entry `entry` of its block, as far as it is not what `before` says. Long texts are
 * patches of themselves, so that a seek can start in the middle of a block at the price of what was typed since. One of more
 * than `maxBytes` is only known to be longer: it may be longer than it needs to be.
 */
export function writeLaterKeyframe(
  writer: ByteWriter,
  entry: number,
  context: ProducerContext,
  { before, maxBytes }: { before: KeyframeReference; maxBytes: number },
): void {
  writer.varint(entry);
  writer.varint(context.index);
  writeNumbers(writer, context);
  const { learnedTemplates, learnedNames } = context.vocabulary;
  const keptTemplates = countKept(before.templates, learnedTemplates);
  const keptNames = countKept(before.names, learnedNames);
  writer.varint(keptTemplates);
  writer.varint(keptNames);
  writeVocabulary(writer, {
    learnedTemplates: learnedTemplates.slice(keptTemplates),
    learnedNames: learnedNames.slice(keptNames),
  });
  writeState(writer, [...context.state.entries()], before.entries, maxBytes);
}

/** Where in its block a later keyframe stands, before its context is read. */
export function readLaterKeyframePlace(reader: ByteReader): { entry: number; producer: number } {
  return { entry: reader.varint(), producer: reader.varint() };
}

/**
 * Moves a producer on, from the keyframe before to this one: the numbers and the vocabulary of `context`, and `entries`, its
 * state. The reader stands behind the place. Fails through it.
 */
export function readLaterKeyframe(
  reader: ByteReader,
  context: ProducerContext,
  entries: readonly StateEntry[],
): readonly StateEntry[] {
  readNumbers(reader, context);
  const kept = { templates: reader.varint(), names: reader.varint() };
  const { learnedTemplates, learnedNames } = context.vocabulary;
  if (kept.templates > learnedTemplates.length || kept.names > learnedNames.length) {
    reader.fail('has a later keyframe that keeps more names than there are');
  }
  context.vocabulary.reset(kept);
  readVocabulary(reader, context.vocabulary);
  const now = readState(reader, entries);
  reader.end();
  return now;
}

/** Templates are compared as objects: a vocabulary that started over has made new ones. */
function countKept<Item>(before: readonly Item[], now: readonly Item[]): number {
  let kept = 0;
  while (kept < now.length && before[kept] === now[kept]) kept++;
  return kept;
}

function writeState(
  writer: ByteWriter,
  now: readonly StateEntry[],
  before: readonly StateEntry[],
  maxBytes: number,
): void {
  if (now.length === 0) {
    writer.byte(StateForm.None);
    return;
  }
  const isSameKeys = now.length === before.length && now.every(({ key }, index) => key === before[index]?.key);
  if (!isSameKeys) {
    writer.byte(StateForm.Whole);
    writeStateEntries(writer, now);
    return;
  }
  const changed = now.map((entry, index) => ({ entry, index, old: before[index] as StateEntry })).filter(isChanged);
  writer.byte(StateForm.Changes);
  writer.varint(changed.length);
  for (const { entry, index, old } of changed) {
    writer.varint(index);
    const patch = patchOf(old.value, entry.value, maxBytes);
    if (patch) writePatch(writer, patch);
    else {
      writer.byte(ValueForm.Whole);
      encodeValue(writer, entry.value);
    }
    writer.varint(entry.editEnd);
    writer.byte(entry.followsClock ? 1 : 0);
  }
}

function isChanged({ entry, old }: { entry: StateEntry; old: StateEntry }): boolean {
  const isSame = entry.editEnd === old.editEnd && entry.followsClock === old.followsClock;
  return !isSame || !jsonEqual(entry.value, old.value);
}

/** Undefined where there is none, or it would insert so much that the keyframe is not written anyhow. */
function patchOf(before: Json, after: Json, maxBytes: number): readonly TextPatchStep[] | undefined {
  const areTexts = typeof before === 'string' && typeof after === 'string';
  return areTexts ? patchText(before, after, maxBytes) : undefined;
}

function writePatch(writer: ByteWriter, steps: readonly TextPatchStep[]): void {
  writer.byte(ValueForm.Patch);
  writer.varint(steps.length);
  for (const { keep, remove, insert } of steps) {
    writer.varint(keep);
    writer.varint(remove);
    writer.text(insert);
  }
}

function readState(reader: ByteReader, before: readonly StateEntry[]): readonly StateEntry[] {
  const form = reader.byte();
  if (form === StateForm.None) return [];
  if (form === StateForm.Whole) return readStateEntries(reader);
  if (form !== StateForm.Changes) return reader.fail(`has a later keyframe of form ${form}`);
  const entries = [...before];
  for (let count = reader.count(4); count > 0; count--) {
    const index = reader.varint();
    const old = entries[index] ?? reader.fail('has a later keyframe of a key that is not there');
    const value = readFlag(reader) ? readPatched(reader, old.value) : decodeValue(reader);
    entries[index] = { key: old.key, value, editEnd: reader.varint(), followsClock: readFlag(reader) };
  }
  return entries;
}

function readPatched(reader: ByteReader, before: StateEntry['value']): string {
  const steps: TextPatchStep[] = [];
  for (let count = reader.count(3); count > 0; count--) {
    steps.push({ keep: reader.varint(), remove: reader.varint(), insert: reader.text() });
  }
  const patched = typeof before === 'string' ? applyTextPatch(before, steps) : undefined;
  return patched ?? reader.fail('has a later keyframe with a patch that does not fit its text');
}
