import { join } from 'node:path';
import {
  type BlockHeader,
  type ByteSource,
  type Compression,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  linkOf,
} from '@gametape/shared';
import { BufferedSource } from './buffered-source.ts';
import type { DamageKeeper } from './damage.ts';
import { type Files, type WritableFile, writeAll } from './files.ts';
import { FinishedMarks } from './finished-marks.ts';
import { type ScannedDamage, scanLog } from './log-scan.ts';
import { type Place, type Segment, SegmentSet, segmentNamed } from './segment-set.ts';
import { UnfinishedFile } from './unfinished-file.ts';

/** What the journal knows of one recording. */
export interface JournaledRecording {
  readonly file: UnfinishedFile;
  /** Appended blocks that are not sealed, in order. */
  places: Place[];
  /** Settles when all seals so far have. */
  sealing: Promise<void>;
}

export interface JournalDirectory {
  readonly segments: SegmentSet;
  readonly marks: FinishedMarks;
  readonly recordings: Map<string, JournaledRecording>;
}

interface ReadOptions {
  readonly files: Files;
  readonly compression: Compression;
  readonly damage: DamageKeeper;
}

const UNFINISHED = /^([0-9A-Z]{26})\.lmsp$/;

/**
 * Reads a journal directory as a stopped process left it: cuts torn tails, sets damage aside (J6), drops what is done
 * with.
 */
export async function readJournalDirectory(path: string, options: ReadOptions): Promise<JournalDirectory> {
  const { files } = options;
  const segments = new SegmentSet(files, path);
  const marks = new FinishedMarks(files, path);
  const found: Segment[] = [];
  const unfinished: string[] = [];
  for (const name of [...(await files.list(path))].sort()) {
    if (marks.learn(name)) continue;
    const segment = segmentNamed(path, name);
    const recordingId = UNFINISHED.exec(name)?.[1];
    if (segment) found.push(segment);
    else if (recordingId !== undefined) unfinished.push(recordingId);
  }
  const logged = await readSegments(found, segments, options);
  const recordings = new Map<string, JournaledRecording>();
  const unneeded: Place[] = [];
  for (const recordingId of new Set([...unfinished, ...logged.keys()])) {
    const filePath = join(path, `${recordingId}.lmsp`);
    const sealed = unfinished.includes(recordingId) ? await readUnfinished(filePath, options) : NOTHING_SEALED;
    const file = new UnfinishedFile(filePath, { ...options, bytes: sealed.bytes });
    const { kept, covered } = splitSealed(logged.get(recordingId) ?? [], sealed.lastSeq);
    unneeded.push(...covered);
    if (marks.has(recordingId)) {
      unneeded.push(...kept);
      await file.remove();
    } else if (file.bytes > 0 || kept.length > 0) {
      recordings.set(recordingId, { file, places: kept, sealing: Promise.resolve() });
    }
  }
  // Names that a killed process had made may not be stable yet, and what they replace is let go of now.
  if (unfinished.length > 0) await files.syncDirectory(path);
  await segments.releasePlaces(unneeded);
  for (const segment of found) await segments.release(segment);
  await marks.sweep(segments.oldest);
  return { segments, marks, recordings };
}

interface LoggedBlock {
  readonly place: Place;
  readonly header: BlockHeader;
  /** Where it belongs among the recording's blocks. */
  readonly rank: number;
}

async function readSegments(
  found: readonly Segment[],
  segments: SegmentSet,
  options: ReadOptions,
): Promise<Map<string, LoggedBlock[]>> {
  const logged = new Map<string, LoggedBlock[]>();
  const seen = new Set<string>();
  for (const segment of found) {
    segments.add(segment);
    const isLast = segment === found.at(-1);
    await scanFile(segment.path, 0, { ...options, isTornTailExpected: isLast }, (offset, header) => {
      const blocks = logged.get(header.recordingId) ?? [];
      logged.set(header.recordingId, blocks);
      const { events, firstSeq, lastSeq } = header;
      // One without entries belongs behind the one before it.
      const rank = events > 0 ? firstSeq : rankAfter(blocks.at(-1));
      // After a failed sync the same block may be in two segments (J5).
      const identity = `${header.recordingId} ${header.headerCrc} ${header.lastSeq}`;
      if (seen.has(identity)) return;
      seen.add(identity);
      const place: Place = { lastSeq, length: linkOf(header).length, offset, isReleased: false };
      segments.move(place, segment, offset);
      blocks.push({ place, header, rank });
    });
  }
  for (const [recordingId, blocks] of logged) logged.set(recordingId, inOrder(blocks));
  return logged;
}

function rankAfter(block: LoggedBlock | undefined): number {
  if (!block) return 0.5;
  return block.header.events > 0 ? block.header.lastSeq + 0.5 : block.rank;
}

/**
 * In the order in which they were appended. What was written anew after an error is in a later segment, and a power loss may
 * bring back parts of the tail that it replaced: then blocks that belong between those are only in the later one (J5).
 */
function inOrder(blocks: readonly LoggedBlock[]): LoggedBlock[] {
  const sorted = [...blocks].sort((a, b) => a.rank - b.rank);
  let lastSeq = 0;
  return sorted.map((block) => {
    lastSeq = Math.max(lastSeq, block.place.lastSeq);
    block.place.lastSeq = lastSeq;
    return block;
  });
}

/**
 * Blocks that hold nothing but records do not say where in the recording they were appended: one that comes after the
 * last sealed entry may be sealed or not, and is kept.
 */
function splitSealed(blocks: readonly LoggedBlock[], sealedSeq: number): { kept: Place[]; covered: Place[] } {
  const places = blocks.map(({ place }) => place);
  const end = blocks.findLastIndex(({ header }) => header.events > 0 && header.lastSeq <= sealedSeq) + 1;
  return { covered: places.slice(0, end), kept: places.slice(end) };
}

const NOTHING_SEALED = { bytes: 0, lastSeq: 0 };

async function readUnfinished(path: string, options: ReadOptions): Promise<{ bytes: number; lastSeq: number }> {
  let lastSeq = 0;
  let lastBlock = 0;
  const bytes = await scanFile(path, FILE_HEADER_BYTES, { ...options, isTornTailExpected: true }, (offset, header) => {
    lastSeq = Math.max(lastSeq, header.lastSeq);
    lastBlock = offset;
  });
  if (bytes <= FILE_HEADER_BYTES) {
    // Not even its first block was stable: it starts anew.
    await options.files.remove(path);
    return NOTHING_SEALED;
  }
  await repairHeader(path, options);
  await writeAgain(path, lastBlock === FILE_HEADER_BYTES ? 0 : lastBlock, bytes, options.files);
  return { bytes, lastSeq };
}

/**
 * The last block that was sealed may only be in the page cache: the process was killed before its sync was over, or the sync
 * failed, and then a later one would claim to have written what it never writes (J5). So it is written once more.
 */
async function writeAgain(path: string, from: number, to: number, files: Files): Promise<void> {
  const source = await files.read(path);
  let last: Uint8Array;
  try {
    last = await source.read(from, to - from);
  } finally {
    await source.close();
  }
  await change(files, path, (file) => writeAll(file, [last], from));
}

/** The header says the same in every file: the one thing that can be put right. */
async function repairHeader(path: string, { compression, damage, files }: ReadOptions): Promise<void> {
  const header = encodeFileHeader(compression);
  const source = await files.read(path);
  try {
    const found = await source.read(0, header.length);
    if (header.every((byte, i) => found[i] === byte)) return;
    const where = { offset: 0, length: header.length, isTail: false, isTorn: false };
    await damage.setAside(source, { kind: 'damage', ...where, reason: 'the file header is not what it must be' });
  } finally {
    await source.close();
  }
  await change(files, path, (file) => writeAll(file, [header], 0));
}

/** Calls `onBlock` for every intact block, makes the file end after the last one, and returns how long it then is. */
async function scanFile(
  path: string,
  from: number,
  options: ReadOptions & { readonly isTornTailExpected: boolean },
  onBlock: (offset: number, header: BlockHeader) => void,
): Promise<number> {
  const { compression, damage, files, isTornTailExpected } = options;
  const source: ByteSource = new BufferedSource(await files.read(path));
  let tail: ScannedDamage | undefined;
  let size: number;
  try {
    size = await source.size();
    for await (const scanned of scanLog(source, from, size, compression)) {
      if (scanned.kind === 'block') onBlock(scanned.offset, scanned.header);
      else {
        if (!scanned.isTorn || !isTornTailExpected) await damage.setAside(source, scanned);
        if (scanned.isTail) tail = scanned;
      }
    }
  } finally {
    await source.close?.();
  }
  if (!tail) return size;
  const { offset } = tail;
  await change(files, path, (file) => file.truncate(offset));
  return offset;
}

async function change(files: Files, path: string, make: (file: WritableFile) => Promise<unknown>): Promise<void> {
  const file = await files.open(path);
  try {
    await make(file);
    await file.datasync();
  } finally {
    await file.close();
  }
}
