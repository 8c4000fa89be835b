import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import {
  type EndRecord,
  isGametapeError,
  RecordingReader,
  type RecordingSummary,
  RecordingWriter,
} from '@gametape/shared';
import { FileSink } from '../file-sink.ts';
import { DamageKeeper, type JournalDamage } from '../journal/damage.ts';
import { type Files, NODE_FILES } from '../journal/files.ts';
import type { SealedBlocks } from '../journal/journal.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import type { Finalized, FinalizeJob } from './finalize.ts';
import { GapQueue } from './gap-queue.ts';
import { recoverRecording } from './recover-recording.ts';
import type { RecoverReport } from './recover-report.ts';
import { openSealedBlocks, SealedRecording } from './sealed-recording.ts';

/** Text is handed to zlib in pieces of this many code units: each one is a trip to another thread. */
const PIECE_UNITS = 64 * 1024;

/**
 * Does a finalize job. Until the end all is written to other names, so that a file with a final name is whole; done
 * again, in full or after a kill at any point, it gives the same bytes.
 */
export async function writeRecording(job: FinalizeJob, files: Files = NODE_FILES): Promise<Finalized> {
  const { target } = job;
  const partials = { binary: `${target}.partial`, gzip: `${target}.gz.partial` };
  await files.makeDirectory(dirname(target));
  try {
    return await write(job, partials, files);
  } catch (error) {
    // On a disk that is full, live rooms need the space (J5).
    for (const path of Object.values(partials)) await files.remove(path).catch(() => undefined);
    throw error;
  }
}

async function write(
  { sealed, target, formats, end }: FinalizeJob,
  partials: { readonly binary: string; readonly gzip: string },
  files: Files,
): Promise<Finalized> {
  const finalized = await writeBinary(sealed, partials.binary, end, files);
  if (formats !== 'binary') {
    await writeGzip(partials.binary, partials.gzip, files);
    await files.rename(partials.gzip, `${target}.gz`);
  }
  if (formats === 'gzip') await files.remove(partials.binary);
  else await files.rename(partials.binary, target);
  await files.syncDirectory(dirname(target));
  return finalized;
}

async function writeBinary(sealed: SealedBlocks, path: string, end: EndRecord, files: Files): Promise<Finalized> {
  let recording: SealedRecording;
  try {
    recording = await SealedRecording.open(sealed, files, NODE_COMPRESSION);
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    return await writeIntact(sealed, path, end, files);
  }
  try {
    const summary = await intoFile(path, files, (sink) => copy(recording, sink, end));
    return { summary, damage: [], lost: [] };
  } finally {
    await recording.close();
  }
}

/** Writes what is there and intact, sets aside what is not, and lets the recording say what it lacks (J6). */
async function writeIntact(sealed: SealedBlocks, path: string, end: EndRecord, files: Files): Promise<Finalized> {
  const source = await openSealedBlocks(sealed, files);
  const damage: JournalDamage[] = [];
  let report: RecoverReport;
  try {
    report = await intoFile(path, files, (sink) => recoverRecording(source, sink, { end }));
    if (sealed.kind === 'file') {
      const keeper = new DamageKeeper(files, dirname(sealed.path), (damaged) => damage.push(damaged));
      for (const { fromByte, toByte, reason } of report.setAside) {
        await keeper.setAside(source, { offset: fromByte, length: toByte - fromByte, reason });
      }
    }
  } finally {
    await source.close?.();
  }
  const written = await files.read(path);
  try {
    const { summary } = await RecordingReader.open(written, NODE_COMPRESSION);
    return { summary: summary as RecordingSummary, damage, lost: report.lost };
  } finally {
    await written.close();
  }
}

async function intoFile<Result>(
  path: string,
  files: Files,
  write: (sink: FileSink) => Promise<Result>,
): Promise<Result> {
  const sink = await FileSink.create(path, files);
  try {
    const result = await write(sink);
    await sink.finish();
    return result;
  } catch (error) {
    await sink.close();
    throw error;
  }
}

async function copy(recording: SealedRecording, sink: FileSink, end: EndRecord): Promise<RecordingSummary> {
  const options = { compression: NODE_COMPRESSION, epoch: await recording.epoch() };
  const writer = new RecordingWriter(sink, recording.meta, options);
  for (const producer of recording.producers) writer.addProducer(producer);
  const { checkpoints } = recording;
  const gaps = new GapQueue(recording.gaps);
  for await (const run of recording.entries()) {
    for (const entry of run) {
      await writer.add(entry);
      for (const gap of gaps.passedBy(entry)) writer.addGap(gap);
      for (const name of checkpoints.get(entry.seq) ?? []) writer.addCheckpoint(name, entry);
    }
  }
  for (const gap of gaps.rest()) writer.addGap(gap);
  return await writer.finish({ ...end, expected: new Map(end.expected) });
}

async function writeGzip(recordingPath: string, path: string, files: Files): Promise<void> {
  // Loaded only here: it brings the LMSP schema with it, which finishing as binary does without.
  const { lmspJson } = await import('@gametape/shared/lmsp');
  const source = await files.read(recordingPath);
  try {
    const reader = await RecordingReader.open(source, NODE_COMPRESSION);
    await pipeline(inPieces(lmspJson(reader)), createGzip(), createWriteStream(path, { flush: true }));
  } finally {
    await source.close();
  }
}

async function* inPieces(text: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = '';
  for await (const part of text) {
    piece += part;
    if (piece.length < PIECE_UNITS) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}
