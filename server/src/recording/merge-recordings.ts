import {
  type ByteSink,
  type Compression,
  GametapeError,
  isId,
  type JsonObject,
  jsonEqual,
  type RecordingMeta,
  type RecordingReader,
  type RecordingSummary,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { lmspOfPart, sourceOf } from './derived-meta.ts';
import { MergeInput } from './merge-input.ts';
import { type MergeAlign, type MergePlan, planMerge } from './merge-plan.ts';
import { MergedCopy } from './merged-copy.ts';

export interface MergeOptions {
  /** Id of the recording that is written. */
  readonly recordingId: string;
  /** Name of the room; where it is left out, all have to be of one room. */
  readonly room?: string | undefined;
  /** @default 'created' */
  readonly align?: MergeAlign;
  readonly compression?: Compression;
}

export interface MergeResult {
  readonly summary: RecordingSummary;
  /** Where each of them begins, in seconds of room time, in the order that was given. */
  readonly offsetsS: readonly number[];
  /** Entries that more than one had. */
  readonly repeated: number;
  /** What is in none of them, in readable lines. */
  readonly losses: readonly string[];
}

/**
 * Writes recordings of one room as one, in the order of one timeline (T3). Parts of one recording go back to where they were,
 * and what several of them have is there once; other recordings come where they were made. The result does not depend on the
 * order of `readers`. Memory does not grow with the recordings (R6).
 *
 * @throws GametapeError `PROFILE_MISMATCH`; `BAD_RECORDING` for different rooms without a name for the merged one; `BAD_ID`;
 *   `DAMAGED` where two of them say different things of the same event
 */
export async function mergeRecordings(
  readers: readonly RecordingReader[],
  sink: ByteSink,
  options: MergeOptions,
): Promise<MergeResult> {
  const inputs = await Promise.all(readers.map((reader) => MergeInput.open(reader)));
  const room = roomOf(readers, options.room);
  const plan = planMerge(inputs, options.align ?? 'created');
  const compression = options.compression ?? NODE_COMPRESSION;
  const meta = metaOf(plan, { room, recordingId: options.recordingId });
  const copy = new MergedCopy(plan, sink, { meta, compression });
  const { summary, repeated, losses } = await copy.write();
  const offsetsS = inputs.map((input) => (plan.places[plan.inputs.indexOf(input)]?.offset ?? 0) / 1_000_000);
  return { summary, repeated, losses, offsetsS };
}

function roomOf(readers: readonly RecordingReader[], room: string | undefined): string {
  const [first, ...others] = readers;
  if (!first) throw new TypeError('merge: expected at least one recording');
  for (const { meta, source } of others) {
    if (meta.profile !== first.meta.profile) {
      throw new GametapeError(
        'PROFILE_MISMATCH',
        `${source.name}: it has the profile ${meta.profile}, ${first.source.name} has ${first.meta.profile}`,
        { hint: 'Only recordings of one profile can be merged.' },
      );
    }
    if (room === undefined && meta.room !== first.meta.room) {
      throw new GametapeError(
        'BAD_RECORDING',
        `${source.name}: it is of room ${meta.room}, ${first.source.name} of room ${first.meta.room}`,
        { hint: 'If they belong together all the same, say with --room NAME what the room is to be called.' },
      );
    }
  }
  const found = JSON.stringify(room?.slice(0, 80));
  if (room !== undefined && !isId(room)) {
    throw new GametapeError('BAD_ID', `room: expected 1 to 64 letters, digits, "_" or "-", found ${found}`);
  }
  return room ?? first.meta.room;
}

function metaOf(
  { inputs, createdAt }: MergePlan,
  { room, recordingId }: { room: string; recordingId: string },
): RecordingMeta {
  const [first] = inputs;
  const { lmsp: _, source: __, redacted: ___, ...others } = (first as MergeInput).reader.meta;
  const redacted = inputs.flatMap(({ reader }) => reader.meta.redacted ?? []);
  const marks = [...new Map(redacted.map((mark) => [JSON.stringify(mark), mark])).values()];
  const source = inputs.map(({ reader, timeline }) => {
    return sourceOf('merge', reader.meta, { from: 0, to: timeline.endedAt, playFrom: 0 });
  });
  return {
    ...others,
    recordingId,
    room,
    createdAt,
    ...commonTopLevel(inputs),
    source,
    ...(marks.length > 0 && { redacted: marks }),
  };
}

/** What all imports among them say alike at their top. */
function commonTopLevel(inputs: readonly MergeInput[]): { lmsp?: JsonObject } {
  const all = inputs.flatMap(({ reader }): JsonObject[] => {
    const { lmsp } = lmspOfPart(reader.meta.lmsp, { isWhole: false });
    return lmsp ? [lmsp] : [];
  });
  const [first, ...others] = all;
  if (!first) return {};
  const isCommon = (name: string) => others.every((other) => jsonEqual(other[name], first[name]));
  return { lmsp: Object.fromEntries(Object.entries(first).filter(([name]) => isCommon(name))) };
}
