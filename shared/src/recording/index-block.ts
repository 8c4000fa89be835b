import type { ByteReader } from '../bytes/byte-reader.ts';
import { ByteReader as Reader } from '../bytes/byte-reader.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { BLOCK_HEADER_BYTES } from './block.ts';
import type { Compression } from './byte-io.ts';

const FILE_MAGIC = 'LMSP';
const FORMAT_VERSION = 2;
export const FILE_HEADER_BYTES = 16;
export const FOOTER_BYTES = 32;
const COMPLETE = 1;

/** Where a block is, and what of it must be known to seek (R2). */
export interface BlockRow {
  readonly offset: number;
  readonly length: number;
  /** Entries, and those of them that are events and not mere state changes. */
  readonly entries: number;
  readonly events: number;
  readonly firstSeq: number;
  readonly firstTime: number;
  readonly lastTime: number;
  readonly headerCrc: number;
}

export interface Footer {
  readonly indexOffset: number;
  readonly indexLength: number;
  readonly complete: boolean;
  readonly events: number;
}

export function encodeFileHeader({ crc32 }: Compression): Uint8Array {
  const writer = new ByteWriter();
  for (const letter of FILE_MAGIC) writer.byte(letter.charCodeAt(0));
  writer.u32(FORMAT_VERSION);
  writer.u32(0);
  writer.u32(crc32(writer.bytes()));
  return writer.take();
}

/** @throws GametapeError `BAD_RECORDING` when it is none, `VERSION_UNKNOWN`, `DAMAGED`. */
export function checkFileHeader(bytes: Uint8Array, { crc32 }: Compression): void {
  if (!startsWithMagic(bytes))
    throw new GametapeError('BAD_RECORDING', `expected a recording that starts with ${FILE_MAGIC}`);
  const reader = new Reader(bytes, 'DAMAGED', FILE_MAGIC.length, Math.min(bytes.length, FILE_HEADER_BYTES));
  const version = reader.u32();
  if (version !== FORMAT_VERSION) {
    throw new GametapeError('VERSION_UNKNOWN', `expected version ${FORMAT_VERSION} of the format, found ${version}`);
  }
  reader.u32();
  if (reader.u32() !== crc32(bytes.subarray(0, 12)))
    throw new GametapeError('DAMAGED', 'the file header has a wrong crc');
}

export function startsWithMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && [...FILE_MAGIC].every((letter, i) => bytes[i] === letter.charCodeAt(0));
}

export function encodeFooter(footer: Footer, { crc32 }: Compression): Uint8Array {
  const writer = new ByteWriter();
  writer.u64(footer.indexOffset);
  writer.u32(footer.indexLength);
  writer.u32(footer.complete ? COMPLETE : 0);
  writer.u64(footer.events);
  writer.u32(crc32(writer.bytes()));
  for (const letter of FILE_MAGIC) writer.byte(letter.charCodeAt(0));
  return writer.take();
}

/** The footer in the last bytes of a file, or undefined if there is none that is intact and can be one. */
export function decodeFooter(tail: Uint8Array, { crc32 }: Compression): Footer | undefined {
  if (tail.length < FOOTER_BYTES) return undefined;
  const bytes = tail.subarray(tail.length - FOOTER_BYTES);
  if (!startsWithMagic(bytes.subarray(28))) return undefined;
  const reader = new Reader(bytes, 'DAMAGED');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(24, true) !== crc32(bytes.subarray(0, 24))) return undefined;
  if ([0, 16].some((at) => view.getBigUint64(at, true) > Number.MAX_SAFE_INTEGER)) return undefined;
  const indexOffset = reader.u64();
  const indexLength = reader.u32();
  const flags = reader.u32();
  return { indexOffset, indexLength, complete: (flags & COMPLETE) !== 0, events: reader.u64() };
}

export function writeBlockRows(writer: ByteWriter, rows: readonly BlockRow[]): void {
  writer.varint(rows.length);
  let end = FILE_HEADER_BYTES;
  let time = 0;
  for (const row of rows) {
    writer.varint(row.offset - end);
    writer.varint(row.length);
    writer.varint(row.entries);
    writer.varint(row.events);
    writer.varint(row.firstSeq);
    writer.zigzag(row.firstTime - time);
    writer.varint(row.lastTime - row.firstTime);
    writer.u32(row.headerCrc);
    end = row.offset + row.length;
    time = row.lastTime;
  }
}

/** The rows of blocks that lie before `fileEnd`. Fails through the reader. */
export function readBlockRows(reader: ByteReader, fileEnd: number): BlockRow[] {
  const rows: BlockRow[] = [];
  let end = FILE_HEADER_BYTES;
  let time = 0;
  const total = reader.count(11);
  if (total > LIMITS.blocks) reader.fail(`lists ${total} blocks, more than ${LIMITS.blocks},`);
  for (let count = total; count > 0; count--) {
    const offset = end + reader.varint();
    const length = reader.varint();
    if (length < BLOCK_HEADER_BYTES) reader.fail(`lists a block of ${length} bytes`);
    const [entries, events, firstSeq] = [reader.varint(), reader.varint(), reader.varint()];
    const firstTime = time + reader.zigzag();
    const lastTime = firstTime + reader.varint();
    rows.push({ offset, length, entries, events, firstSeq, firstTime, lastTime, headerCrc: reader.u32() });
    end = offset + length;
    if (end > fileEnd) reader.fail(`lists a block up to byte ${end}, where the index starts at ${fileEnd},`);
    if (!Number.isSafeInteger(firstTime) || !Number.isSafeInteger(lastTime)) reader.fail('lists a time over 2^53');
    time = lastTime;
  }
  return rows;
}
