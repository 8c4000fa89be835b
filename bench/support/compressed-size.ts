import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const PIECE_UNITS = 256 * 1024;

/** A text and what it compresses to, in bytes. */
export interface CompressedSize {
  readonly raw: number;
  readonly compressed: number;
}

/** Streams: the text may be longer than the memory. */
export async function gzipSize(text: AsyncIterable<string>, level: number): Promise<CompressedSize> {
  const size = { raw: 0, compressed: 0 };
  await pipeline(inPieces(text, size), createGzip({ level }), async (chunks: AsyncIterable<Uint8Array>) => {
    for await (const { length } of chunks) size.compressed += length;
  });
  return size;
}

/** By the `xz` binary; undefined where there is none. */
export async function xzSize(text: AsyncIterable<string>): Promise<CompressedSize | undefined> {
  const size = { raw: 0, compressed: 0 };
  const xz = spawn('xz', ['-9', '--stdout'], { stdio: ['pipe', 'pipe', 'inherit'] });
  xz.stdout.on('data', ({ length }: Uint8Array) => {
    size.compressed += length;
  });
  try {
    await once(xz, 'spawn');
  } catch {
    return undefined;
  }
  const closed = once(xz, 'close');
  await pipeline(inPieces(text, size), xz.stdin);
  const [code] = await closed;
  if (code !== 0) throw new Error(`xz: exit code ${code}`);
  return size;
}

/** Small pieces of text as few pieces of bytes, counted. */
async function* inPieces(texts: AsyncIterable<string>, size: { raw: number }): AsyncGenerator<Buffer> {
  let piece = '';
  const take = () => {
    const bytes = Buffer.from(piece);
    size.raw += bytes.length;
    piece = '';
    return bytes;
  };
  for await (const text of texts) {
    piece += text;
    if (piece.length >= PIECE_UNITS) yield take();
  }
  if (piece !== '') yield take();
}
