import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { GametapeError, isGametapeError, startsWithMagic } from '@gametape/shared';

/** Formats that a recording can be in. `lmsp` is the binary one, the others are text. */
export type FileFormat = 'lmsp' | 'lmsp.gz' | 'json' | 'ndjson';
export const FILE_FORMATS = ['lmsp', 'lmsp.gz', 'json', 'ndjson'] as const satisfies readonly FileFormat[];

/** What a file is, told by its first bytes. */
export interface RecognisedFile {
  readonly format: FileFormat;
  readonly isGzip: boolean;
  /** The first part of a text, unzipped; empty for the binary format. */
  readonly start: string;
}

const HEAD_BYTES = 16;
const TEXT_START_BYTES = 64 * 1024;
const PICKLE_PROTOCOL = 0x80;

/** By content first, by name second. @throws GametapeError `NOT_FOUND`, `VERSION_UNKNOWN`, `FORMAT_UNKNOWN`, `BAD_RECORDING` */
export async function recogniseFile(path: string, name = path): Promise<RecognisedFile> {
  const head = await readHead(path, name);
  if (head.length === 0) throw new GametapeError('BAD_RECORDING', `${name}: the file is empty`);
  if (startsWithMagic(head)) {
    refusePickle(head, name);
    return { format: 'lmsp', isGzip: false, start: '' };
  }
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  const start = await readStart(path, isGzip, name);
  const format = textFormat(start, isGzip) ?? formatOfName(name);
  if (format !== undefined && !(isGzip && format === 'lmsp')) return { format, isGzip, start };
  const inside = isGzip ? 'in this gzip file ' : '';
  const found = start.startsWith('LMSP') ? 'a gzipped .lmsp file: unzip it' : JSON.stringify(start.slice(0, 16));
  throw new GametapeError('FORMAT_UNKNOWN', `${name}: expected a recording ${inside}, found ${found}`);
}

/** The format that a name asks for, or undefined. */
export function formatOfName(name: string): FileFormat | undefined {
  const lower = name.toLowerCase();
  return FILE_FORMATS.find((format) => lower.endsWith(`.${format}`));
}

/** The bytes of a text file, unzipped if need be. @throws GametapeError `DAMAGED` for a gzip file that is not whole. */
export async function* readPlain(path: string, isGzip: boolean, name = path): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
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

/** Version 1 of the magic is the seed's pickle: reading one would run whatever it says. */
function refusePickle(head: Uint8Array, name: string): void {
  if (head.length < 13 || head[4] !== 1 || head[12] !== PICKLE_PROTOCOL) return;
  throw new GametapeError(
    'VERSION_UNKNOWN',
    `${name}: expected version 2 of the format, found version 1 (Python pickle)`,
    {
      hint: 'Load it with the Python that wrote it, and save it with save_compressed: gametape reads .lmsp.gz.',
    },
  );
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
