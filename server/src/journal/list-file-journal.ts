import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Compression, FILE_HEADER_BYTES, GametapeError, isGametapeError } from '@gametape/shared';
import { FileSource } from '../file-source.ts';
import { BufferedSource } from './buffered-source.ts';
import { scanLog } from './log-scan.ts';
import { type UnfinishedRecording, UnfinishedSummary } from './unfinished-summary.ts';

const UNFINISHED = /^([0-9A-Z]{26})\.lmsp$/;
const FINISHED = /^([0-9A-Z]{26})\.[0-9a-f]{16}\.finished$/;
const SEGMENT = /^[0-9a-f]{16}\.log$/;

/**
 * What the journal of a data directory has, which a relay may be writing to: nothing is changed or put in order.
 *
 * @throws GametapeError `NOT_FOUND` when there is no journal
 */
export async function listFileJournal(dataDirectory: string, compression: Compression): Promise<UnfinishedRecording[]> {
  const directory = join(dataDirectory, 'journal');
  const names = (await readdir(directory).catch(unlessMissing))?.sort();
  if (!names) {
    const hint = 'Pass the directory that `gametape serve --data` was given.';
    throw new GametapeError('NOT_FOUND', `${directory}: there is no journal`, { hint });
  }
  const finished = new Set(names.map((name) => FINISHED.exec(name)?.[1]));
  const summaries = new Map<string, UnfinishedSummary>();
  for (const name of names.filter((name) => UNFINISHED.test(name))) {
    await addBlocks(join(directory, name), FILE_HEADER_BYTES, compression, summaries);
  }
  for (const name of names.filter((name) => SEGMENT.test(name))) {
    await addBlocks(join(directory, name), 0, compression, summaries);
  }
  return [...summaries]
    .filter(([recordingId]) => !finished.has(recordingId))
    .map(([recordingId, summary]) => summary.result(recordingId, undefined, undefined));
}

async function addBlocks(
  path: string,
  from: number,
  compression: Compression,
  summaries: Map<string, UnfinishedSummary>,
): Promise<void> {
  const source = await FileSource.open(path).catch(unlessMissing);
  // Sealed and gone since the directory was read.
  if (!source) return;
  const buffered = new BufferedSource(source);
  try {
    for await (const scanned of scanLog(buffered, from, await source.size(), compression)) {
      if (scanned.kind !== 'block') continue;
      const { header, stored } = scanned;
      const summary = summaries.get(header.recordingId) ?? new UnfinishedSummary(compression);
      summaries.set(header.recordingId, summary);
      summary.add(header, stored);
    }
  } finally {
    await buffered.close();
  }
}

function unlessMissing(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ENOTDIR' && !isGametapeError(error, 'NOT_FOUND')) throw error;
  return undefined;
}
