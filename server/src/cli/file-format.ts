import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { GametapeError, isGametapeError, startsWithMagic } from '@gametape/shared';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { PICKLE_VERSION } from '../pickle/pickle-version.ts';
import { refuseLaterVersion } from '../recording/file-version.ts';
import { metered } from './progress.ts';

/** Formats that hold a whole recording, and can be written. `lmsp` is the binary one, the others are text. */
export type RecordingFormat = 'lmsp' | 'lmsp.gz' | 'json' | 'ndjson';
/** Formats that a recording is read from. `pickle` is version 1 of the seed's BinaryFormat, which Python wrote. */
export type FileFormat = RecordingFormat | 'pickle';
/** Tables of the events: for other programs, never read again. */
export type TableFormat = 'csv' | 'parquet';
export type OutputFormat = RecordingFormat | TableFormat;
const RECORDING_FORMATS = ['lmsp', 'lmsp.gz', 'json', 'ndjson'] as const satisfies readonly RecordingFormat[];
const TABLE_FORMATS = ['csv', 'parquet'] as const satisfies readonly TableFormat[];
export const OUTPUT_FORMATS = [...RECORDING_FORMATS, ...TABLE_FORMATS] as const;

/** What a file is, told by its first bytes. */
export interface RecognisedFile {
  readonly format: FileFormat;
  readonly isGzip: boolean;
  /** The first part of a text, unzipped; empty for what is no text. */
  readonly start: string;
}

const HEAD_BYTES = 16;
const TEXT_START_BYTES = 64 * 1024;
/** What the tables that are made here begin with: it tells them from recordings. */
const CSV_START = 'index,seq,timestamp,player,type,data';
const PARQUET_MAGIC = 'PAR1';

/** By content first, by name second. @throws GametapeError `NOT_FOUND`, `FORMAT_UNKNOWN`, `BAD_RECORDING`, `VERSION_UNKNOWN` */
export async function recogniseFile(path: string, name = path): Promise<RecognisedFile> {
  const head = await readHead(path, name);
  if (head.length === 0) throw new GametapeError('BAD_RECORDING', `${name}: the file is empty`);
  if (startsWithMagic(head)) {
    // Damage of one bit makes no 1 of the 2 that stands there.
    const isPickle =
      head.length >= 8 && new DataView(head.buffer, head.byteOffset).getUint32(4, true) === PICKLE_VERSION;
    if (!isPickle) refuseLaterVersion(head, NODE_COMPRESSION, name);
    return { format: isPickle ? 'pickle' : 'lmsp', isGzip: false, start: '' };
  }
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  const start = await readStart(path, isGzip, name);
  const asked = formatOfName(name);
  const content = textFormat(start, isGzip);
  if (content === undefined && (isTable(asked) || start.startsWith(PARQUET_MAGIC) || start.startsWith(CSV_START))) {
    throw new GametapeError('FORMAT_UNKNOWN', `${name}: expected a recording, found a table of its events`, {
      hint: 'Tables (.csv, .parquet) leave out what a recording needs: convert from the recording that it was made of.',
    });
  }
  const format = content ?? (isTable(asked) ? undefined : asked);
  if (format !== undefined && !(isGzip && format === 'lmsp')) return { format, isGzip, start };
  const inside = isGzip ? ' in this gzip file' : '';
  const found = start.startsWith('LMSP') ? 'a gzipped .lmsp file: unzip it' : JSON.stringify(start.slice(0, 16));
  throw new GametapeError('FORMAT_UNKNOWN', `${name}: expected a recording${inside}, found ${found}`);
}

/** The format that a name asks for, or undefined. */
export function formatOfName(name: string): OutputFormat | undefined {
  const lower = name.toLowerCase();
  return OUTPUT_FORMATS.find((format) => lower.endsWith(`.${format}`));
}

export function isTable(format: OutputFormat | undefined): format is TableFormat {
  return TABLE_FORMATS.some((table) => table === format);
}

/** The bytes of a text file, unzipped if need be. @throws GametapeError `DAMAGED` for a gzip file that is not whole. */
export async function* readPlain(
  path: string,
  isGzip: boolean,
  name = path,
  onRead: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const file = metered(createReadStream(path, { highWaterMark: 256 * 1024 }), onRead);
  if (!isGzip) {
    yield* file;
    return;
  }
  const gunzip = createGunzip();
  // Its errors destroy the last stream, which throws them here.
  pipeline(file, gunzip, () => {});
  try {
    yield* gunzip;
  } catch (cause) {
    if (!(cause as NodeJS.ErrnoException).code?.startsWith('Z_')) throw cause;
    throw new GametapeError('DAMAGED', `${name}: not a whole gzip file (${(cause as Error).message})`, {
      cause,
      hint: 'Get the file again, or unzip what is intact of it with `gzip -dc`.',
    });
  }
}

async function readHead(path: string, name: string): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new GametapeError('NOT_FOUND', `${name}: there is no such file`, { cause });
  }
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EISDIR') throw cause;
    throw new GametapeError('NOT_FOUND', `${name}: expected a file, found a directory`, { cause });
  } finally {
    await file.close();
  }
}

async function readStart(path: string, isGzip: boolean, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of readPlain(path, isGzip, name)) {
      parts.push(part);
      bytes += part.length;
      if (bytes >= TEXT_START_BYTES) break;
    }
  } catch (error) {
    // What comes before the damage may be enough to tell the format; reading all of it will say what is wrong.
    if (!isGametapeError(error, 'DAMAGED') || bytes === 0) throw error;
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}

function textFormat(start: string, isGzip: boolean): FileFormat | undefined {
  const text = start.trimStart();
  if (!text.startsWith('{')) return undefined;
  if (/^\{\s*"gametape"\s*:/.test(text)) return 'ndjson';
  return isGzip ? 'lmsp.gz' : 'json';
}
