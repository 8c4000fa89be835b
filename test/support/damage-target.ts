import {
  BytesSink,
  BytesSource,
  type Compression,
  compareEntries,
  makeRecordingId,
  type Profile,
  RecordingReader,
  RecordingWriter,
  type TimelineEntry,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';
import { recordSession } from './recorded-session.ts';

/** An intact recording that is to be damaged, and all that may ever come out of it. */
export interface DamageTarget {
  readonly recordingId: string;
  readonly bytes: Uint8Array;
  /** By `nameOf`. */
  readonly entries: ReadonlyMap<string, TargetEntry>;
  readonly blocks: readonly TargetBlock[];
}

export interface TargetEntry {
  readonly entry: TimelineEntry;
  /** State of its producer after it, as JSON. */
  readonly state: string;
}

export interface TargetBlock {
  readonly offset: number;
  readonly end: number;
  readonly names: readonly string[];
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface TargetOptions {
  readonly profile: Profile;
  readonly seed: number;
  readonly entries: number;
  readonly perBlock: number;
  readonly players?: number;
  /** Bytes of text that deflate cannot shorten, in every so many entries. */
  readonly ballast?: { readonly bytes: number; readonly every: number };
  readonly id?: number;
  readonly compression?: Compression;
}

/** What tells entries apart, in a recording and in what is recovered of it. */
export function nameOf({ producer, pseq, seq }: TimelineEntry): string {
  return pseq > 0 ? `${producer}:${pseq}` : `relay:${seq}`;
}

export async function makeTarget(options: TargetOptions): Promise<DamageTarget> {
  const { profile, seed, entries, perBlock, players = 3, ballast, id = 1 } = options;
  const compression = options.compression ?? NODE_COMPRESSION;
  const session = recordSession({ profile, seed, entries, players, ...(ballast && { ballast }) });
  const recordingId = makeRecordingId(1_700_000_000_000 + id, new Uint8Array(10).fill(id));
  const meta = { recordingId, room: 'room', profile: profile.name, createdAt: 1_700_000_000 };
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, meta, {
    compression,
    blockLimits: { entries: perBlock, bytes: 2 ** 30 },
  });
  for (const producer of session.producers) writer.addProducer(producer);
  const steps = [...session.steps].sort((a, b) => compareEntries(a.entry, b.entry));
  for (const { entry, gap, checkpoint } of steps) {
    await writer.add(entry);
    if (gap) writer.addGap(gap);
    if (checkpoint) writer.addCheckpoint(checkpoint, entry);
  }
  await writer.finish({ outcome: { success: true } });
  return readTarget(sink.bytes());
}

/** All that a finished recording holds, by `nameOf`. */
export async function readEntries(bytes: Uint8Array): Promise<Map<string, TargetEntry>> {
  const reader = await RecordingReader.open(new BytesSource(bytes), NODE_COMPRESSION);
  const entries = new Map<string, TargetEntry>();
  for await (const { entry, context } of reader.steps()) {
    entries.set(nameOf(entry), { entry, state: JSON.stringify(context.state.toJson()) });
  }
  return entries;
}

async function readTarget(bytes: Uint8Array): Promise<DamageTarget> {
  const reader = await RecordingReader.open(new BytesSource(bytes), NODE_COMPRESSION);
  const entries = await readEntries(bytes);
  const blocks: TargetBlock[] = [];
  for (const [index, { offset, length }] of reader.blocks.entries()) {
    const { header, content } = await reader.readBlock(index);
    const { firstSeq, lastSeq } = header;
    blocks.push({ offset, end: offset + length, names: content.entries.map(nameOf), firstSeq, lastSeq });
  }
  return { recordingId: reader.meta.recordingId, bytes, entries, blocks };
}

/** Does each piece of work once: what is not damaged is the same in thousands of damaged files. */
export function rememberingCompression(): Compression {
  const inflated = new Map<string, Uint8Array>();
  const deflated = new Map<string, Uint8Array>();
  const { crc32, inflate, deflate } = NODE_COMPRESSION;
  const once = (memory: Map<string, Uint8Array>, bytes: Uint8Array, work: () => Uint8Array) => {
    const name = `${bytes.length}:${crc32(bytes)}`;
    let result = memory.get(name);
    if (!result) {
      if (memory.size > 4_096) memory.clear();
      result = work();
      memory.set(name, result);
    }
    return result;
  };
  return {
    crc32,
    inflate: (bytes, rawLength) => once(inflated, bytes, () => inflate(bytes, rawLength)),
    // The payload is a view of a buffer that is used again.
    deflate: (bytes) => once(deflated, bytes, () => deflate(bytes)),
  };
}
