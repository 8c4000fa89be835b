import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { GametapeError, located } from '@gametape/shared';
import type { Recording } from '@gametape/shared/lmsp';

const MAX_JSON_BYTES = 1024 ** 3;

/** Writes the seed's `.lmsp.gz` (L2). For recordings that fit into memory; `gametape convert` streams. */
export async function saveCompressed(recording: Recording, path: string): Promise<void> {
  await writeFile(path, await promisify(gzip)(JSON.stringify(recording)));
}

/** Loads a `.lmsp.gz`, the seed's or ours. @throws GametapeError `BAD_RECORDING` naming event and field (L4) */
export async function loadCompressed(path: string): Promise<Recording> {
  let text: Buffer;
  try {
    text = await promisify(gunzip)(await readFile(path), { maxOutputLength: MAX_JSON_BYTES });
  } catch (cause) {
    throw new GametapeError('BAD_RECORDING', `${path}: not a gzip file that is whole (${(cause as Error).message})`, {
      cause,
    });
  }
  return await parse(path, text.toString('utf8'));
}

/** Writes the seed's `.json`, indented as it does. */
export async function exportJson(recording: Recording, path: string): Promise<void> {
  await writeFile(path, JSON.stringify(recording, undefined, 2));
}

/** Loads a `.json`. @throws GametapeError `BAD_RECORDING` naming event and field (L4) */
export async function importJson(path: string): Promise<Recording> {
  return await parse(path, await readFile(path, 'utf8'));
}

async function parse(path: string, text: string): Promise<Recording> {
  // Loaded by those who use it: what checks takes long to load.
  const { parseRecording } = await import('@gametape/shared/lmsp');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GametapeError('BAD_RECORDING', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  try {
    return parseRecording(value);
  } catch (error) {
    throw located(path, error);
  }
}
