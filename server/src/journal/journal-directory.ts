import { join } from 'node:path';
import {
  type BlockHeader,
  type ByteSource,
  type Compression,
  encodeFileHeader,
  FILE_HEADER_BYTES,
} from '@gametape/shared';
import { BufferedSource } from './buffered-source.ts';
import type { DamageKeeper } from './damage.ts';
import { isProbe } from './disk-probe.ts';
import { type Files, type WritableFile, writeAll } from './files.ts';
import { FinishedMarks } from './finished-marks.ts';
import { KeptBlocks } from './kept-blocks.ts';
import { type ScannedDamage, scanLog } from './log-scan.ts';
import { lookBack } from './look-back.ts';
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
    if (isProbe(name)) await files.remove(join(path, name));
    if (isProbe(name) || marks.learn(name)) continue;
    const segment = segmentNamed(path, name);
    const recordingId = UNFINISHED.exec(name)?.[1];
    if (segment) found.push(segment);
    else if (recordingId !== undefined) unfinished.push(recordingId);
  }
  // Where numbers started over, marks of segments that are gone would stay.
  segments.skipTo(marks.newestSegment);
  const sealed = new Map<string, SealedPart>();
  for (const recordingId of unfinished) {
    sealed.set(recordingId, await readUnfinished(fileOf(path, recordingId), options));
  }
  const kept = new KeptBlocks(segments, (recordingId) => {
    return marks.has(recordingId) ? Number.POSITIVE_INFINITY : (sealed.get(recordingId)?.lastSeq ?? 0);
  });
  for (const segment of found) {
    segments.add(segment);
    // The one before the last may not have been synced yet, or may be what a full disk left of it.
    const isTornTailExpected = found.slice(-2).includes(segment);
    await scanFile(segment.path, 0, { ...options, isTornTailExpected }, (offset, header) => {
      kept.take(segment, offset, header);
    });
  }
  const recordings = new Map<string, JournaledRecording>();
  for (const recordingId of new Set([...unfinished, ...kept.recordings])) {
    const { bytes } = sealed.get(recordingId) ?? NOTHING_SEALED;
    const file = new UnfinishedFile(fileOf(path, recordingId), { ...options, bytes });
    const places = kept.placesOf(recordingId);
    if (marks.has(recordingId)) await file.remove();
    else if (bytes > 0 || places.length > 0) {
      recordings.set(recordingId, { file, places, sealing: Promise.resolve() });
    }
  }
  // Names that a killed process had made may not be stable yet, and what they replace is let go of now.
  if (unfinished.length > 0) await files.syncDirectory(path);
  await segments.releasePlaces(kept.unneeded());
  for (const segment of found) await segments.release(segment);
  await marks.sweep(segments.oldest);
  return { segments, marks, recordings };
}

function fileOf(path: string, recordingId: string): string {
  return join(path, `${recordingId}.lmsp`);
}

/** What the unfinished file of a recording has. */
interface SealedPart {
  readonly bytes: number;
  readonly lastSeq: number;
}

const NOTHING_SEALED: SealedPart = { bytes: 0, lastSeq: 0 };

/** From the last block on that holds entries, which the blocks of the log are compared with: not from the start (J3). */
async function readUnfinished(path: string, options: ReadOptions): Promise<SealedPart> {
  const last = await lastEntries(path, options);
  let { lastSeq, offset: lastBlock } = last;
  const bytes = await scanFile(path, last.offset, { ...options, isTornTailExpected: true }, (offset, header) => {
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

/** Where the last intact block with entries starts, or the first block if there is none. */
async function lastEntries(
  path: string,
  { compression, files }: ReadOptions,
): Promise<{ offset: number; lastSeq: number }> {
  const source = await files.read(path);
  try {
    for await (const { offset, header } of lookBack(source, await source.size(), compression)) {
      if (header.events > 0) return { offset, lastSeq: header.lastSeq };
    }
    return { offset: FILE_HEADER_BYTES, lastSeq: 0 };
  } finally {
    await source.close();
  }
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
    const reason = 'the file header is not what it must be';
    await damage.setAside(source, { offset: 0, length: header.length, reason });
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
