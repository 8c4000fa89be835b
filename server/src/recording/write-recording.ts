import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { RecordingReader, type RecordingSummary, RecordingWriter } from '@gametape/shared';
import { FileSink } from '../file-sink.ts';
import { type Files, NODE_FILES } from '../journal/files.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import type { FinalizeJob } from './finalize.ts';
import { GapQueue } from './gap-queue.ts';
import { SealedRecording } from './sealed-recording.ts';

/** Text is handed to zlib in pieces of this many code units: each one is a trip to another thread. */
const PIECE_UNITS = 64 * 1024;

/**
 * Does a finalize job. Until the end all is written to other names, so that a file with a final name is whole; done
 * again, in full or after a kill at any point, it gives the same bytes.
 */
export async function writeRecording(job: FinalizeJob, files: Files = NODE_FILES): Promise<RecordingSummary> {
  const { sealed, target, formats, end } = job;
  const partial = `${target}.partial`;
  const gzipTarget = `${target}.gz`;
  await files.makeDirectory(dirname(target));
  const summary = await writeBinary(sealed, partial, end, files);
  if (formats !== 'binary') {
    await writeGzip(partial, `${gzipTarget}.partial`, files);
    await files.rename(`${gzipTarget}.partial`, gzipTarget);
  }
  if (formats === 'gzip') await files.remove(partial);
  else await files.rename(partial, target);
  await files.syncDirectory(dirname(target));
  return summary;
}

async function writeBinary(
  sealed: FinalizeJob['sealed'],
  path: string,
  end: FinalizeJob['end'],
  files: Files,
): Promise<RecordingSummary> {
  const recording = await SealedRecording.open(sealed, files, NODE_COMPRESSION);
  try {
    const sink = await FileSink.create(path, files);
    try {
      const summary = await copy(recording, sink, end);
      await sink.finish();
      return summary;
    } catch (error) {
      await sink.close();
      throw error;
    }
  } finally {
    await recording.close();
  }
}

async function copy(recording: SealedRecording, sink: FileSink, end: FinalizeJob['end']): Promise<RecordingSummary> {
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
