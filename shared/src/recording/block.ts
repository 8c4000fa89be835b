import { ByteReader } from '../bytes/byte-reader.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import { GametapeError } from '../errors.ts';
import { LIMITS, refuseMore } from '../limits.ts';
import type { Compression } from './byte-io.ts';
import { RECORDING_ID_BYTES, recordingIdBytes, recordingIdText } from './recording-id.ts';

/** Begins with no character of UTF-8, and has the line ends that careless transfers change (as PNG does). */
export const SYNC_MARKER = Uint8Array.of(0x9f, 0x67, 0x74, 0x62, 0x6b, 0x0d, 0x0a, 0x1a);
export const BLOCK_HEADER_BYTES = 92;
const HEADER_VERSION = 1;
const CHECKED_BYTES = 88;
/** Payloads shorter than this are stored as they are: deflate would make them longer. */
const WORTH_DEFLATING = 64;
/** Deflate cannot do better: 258 bytes in 2 bits, and less for all else. */
const MAX_DEFLATE_RATIO = 1_032;
const SELF_CONTAINED = 1;

export const BlockKind = { Events: 1, Index: 2 } as const;
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind];

const Codec = { Stored: 0, Deflate: 1 } as const;

/** What a block says about itself before its payload is touched (FORMAT.md). Times are microseconds of room time. */
export interface BlockHeader {
  readonly kind: number;
  readonly codec: number;
  /** The block opens with every keyframe it needs. */
  readonly selfContained: boolean;
  readonly recordingId: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly firstTime: number;
  readonly lastTime: number;
  /** Entries in the block, state changes included. */
  readonly events: number;
  readonly rawLength: number;
  readonly storedLength: number;
  readonly storedCrc: number;
  /** Length and header crc of the recording's previous block; zeros if there is none. */
  readonly previous: BlockLink;
  readonly headerCrc: number;
}

/** What the next block of a recording says about this one: the chain (R4). */
export interface BlockLink {
  readonly length: number;
  readonly headerCrc: number;
}

export const NO_BLOCK: BlockLink = { length: 0, headerCrc: 0 };

export type BlockContent = Pick<
  BlockHeader,
  | 'kind'
  | 'selfContained'
  | 'recordingId'
  | 'epoch'
  | 'firstSeq'
  | 'lastSeq'
  | 'firstTime'
  | 'lastTime'
  | 'events'
  | 'previous'
> & {
  readonly payload: Uint8Array;
  /** False leaves the payload as it is: journal entries are short-lived. */
  readonly compress: boolean;
};

/** Header and payload of one block, and what the next block must say about it. */
export function encodeBlock(content: BlockContent, compression: Compression): { bytes: Uint8Array; link: BlockLink } {
  const { payload } = content;
  refuseMore('bytes', payload.length, LIMITS.blockBytes);
  const deflated = content.compress && payload.length >= WORTH_DEFLATING ? compression.deflate(payload) : payload;
  const stored = deflated.length < payload.length ? deflated : payload;
  const writer = new ByteWriter(BLOCK_HEADER_BYTES + stored.length);
  writer.raw(SYNC_MARKER);
  writer.byte(HEADER_VERSION);
  writer.byte(content.kind);
  writer.byte(stored === payload ? Codec.Stored : Codec.Deflate);
  writer.byte(content.selfContained ? SELF_CONTAINED : 0);
  writer.raw(recordingIdBytes(content.recordingId));
  writer.u32(content.epoch);
  writer.u64(content.firstSeq);
  writer.u64(content.lastSeq);
  writeTime(writer, content.firstTime);
  writeTime(writer, content.lastTime);
  writer.u32(content.events);
  writer.u32(payload.length);
  writer.u32(stored.length);
  writer.u32(compression.crc32(stored));
  writer.u32(content.previous.length);
  writer.u32(content.previous.headerCrc);
  const headerCrc = compression.crc32(writer.bytes());
  writer.u32(headerCrc);
  writer.raw(stored);
  return { bytes: writer.take(), link: { length: BLOCK_HEADER_BYTES + stored.length, headerCrc } };
}

/** True where a sync marker starts a header with the checksum it names. Throws nothing: markers may be all there is. */
export function isBlockHeader(bytes: Uint8Array, offset: number, { crc32 }: Compression): boolean {
  if (bytes.length - offset < BLOCK_HEADER_BYTES) return false;
  for (let i = 0; i < SYNC_MARKER.length; i++) if (bytes[offset + i] !== SYNC_MARKER[i]) return false;
  const stated = new ByteReader(bytes, 'DAMAGED', offset + CHECKED_BYTES, offset + BLOCK_HEADER_BYTES).u32();
  return crc32(bytes.subarray(offset, offset + CHECKED_BYTES)) === stated;
}

/**
 * The header at `offset`. Nothing of it is believed before its checksum holds.
 *
 * @throws GametapeError `DAMAGED` naming what is wrong, `VERSION_UNKNOWN` for a header of a later version.
 */
export function decodeBlockHeader(bytes: Uint8Array, offset: number, compression: Compression): BlockHeader {
  if (bytes.length - offset < BLOCK_HEADER_BYTES) throw damaged('the block header is cut off');
  for (const [i, byte] of SYNC_MARKER.entries()) {
    if (bytes[offset + i] !== byte) throw damaged('expected a block, found something else');
  }
  const reader = new ByteReader(bytes, 'DAMAGED', offset + SYNC_MARKER.length, offset + BLOCK_HEADER_BYTES);
  const crc = compression.crc32(bytes.subarray(offset, offset + CHECKED_BYTES));
  const version = reader.byte();
  const kind = reader.byte();
  const codec = reader.byte();
  const flags = reader.byte();
  const recordingId = recordingIdText(reader.raw(RECORDING_ID_BYTES));
  const epoch = reader.u32();
  const [firstSeq, lastSeq] = [unsigned(reader), unsigned(reader)];
  const [firstTime, lastTime] = [readTime(reader), readTime(reader)];
  const events = reader.u32();
  const [rawLength, storedLength, storedCrc] = [reader.u32(), reader.u32(), reader.u32()];
  const previous = { length: reader.u32(), headerCrc: reader.u32() };
  const headerCrc = reader.u32();
  if (headerCrc !== crc) throw damaged(`the block header has crc ${hex(crc)}, expected ${hex(headerCrc)}`);
  if (version !== HEADER_VERSION) {
    throw new GametapeError('VERSION_UNKNOWN', `block header: expected version ${HEADER_VERSION}, found ${version}`);
  }
  if (rawLength > LIMITS.blockBytes || storedLength > LIMITS.blockBytes) {
    throw damaged('the block is longer than allowed');
  }
  if (![firstSeq, lastSeq, firstTime, lastTime].every(Number.isSafeInteger)) {
    throw damaged('the block header has a number over 2^53');
  }
  return {
    kind,
    codec,
    selfContained: (flags & SELF_CONTAINED) !== 0,
    recordingId,
    epoch,
    firstSeq,
    lastSeq,
    firstTime,
    lastTime,
    events,
    rawLength,
    storedLength,
    storedCrc,
    previous,
    headerCrc,
  };
}

/** The payload that `header` describes, from its stored bytes. @throws GametapeError `DAMAGED`. */
export function decodeBlockPayload(header: BlockHeader, stored: Uint8Array, compression: Compression): Uint8Array {
  if (stored.length !== header.storedLength) {
    throw damaged(`the block is cut off: ${stored.length} of ${header.storedLength} bytes`);
  }
  const crc = compression.crc32(stored);
  if (crc !== header.storedCrc) throw damaged(`the block has crc ${hex(crc)}, expected ${hex(header.storedCrc)}`);
  if (header.codec !== Codec.Stored && header.codec !== Codec.Deflate) {
    throw new GametapeError('VERSION_UNKNOWN', `block: expected codec 0 or 1, found ${header.codec}`);
  }
  const longest = header.codec === Codec.Stored ? stored.length : stored.length * MAX_DEFLATE_RATIO;
  // Before anything of that length is allocated (W11).
  if (header.rawLength > longest) throw damaged(`the block says it holds ${header.rawLength} bytes, which it cannot`);
  if (header.codec === Codec.Stored) {
    if (header.rawLength < longest) throw damaged(`the block holds ${longest} bytes, not ${header.rawLength}`);
    return stored;
  }
  let payload: Uint8Array;
  try {
    payload = compression.inflate(stored, header.rawLength);
  } catch (cause) {
    throw damaged('the block does not inflate', cause);
  }
  if (payload.length !== header.rawLength) {
    throw damaged(`the block does not inflate to ${header.rawLength} bytes`);
  }
  return payload;
}

export function linkOf(header: BlockHeader): BlockLink {
  return { length: BLOCK_HEADER_BYTES + header.storedLength, headerCrc: header.headerCrc };
}

/** Two's complement in 8 bytes, for whole numbers of at most 53 bits. */
function writeTime(writer: ByteWriter, time: number): void {
  const high = Math.floor(time / 2 ** 32);
  writer.u32(time - high * 2 ** 32);
  writer.u32(high >>> 0);
}

function readTime(reader: ByteReader): number {
  const low = reader.u32();
  return (reader.u32() | 0) * 2 ** 32 + low;
}

/** Not `u64`: a header is parsed before its checksum is known to hold. */
function unsigned(reader: ByteReader): number {
  const low = reader.u32();
  return reader.u32() * 2 ** 32 + low;
}

function damaged(what: string, cause?: unknown): GametapeError {
  return new GametapeError('DAMAGED', what, { cause });
}

function hex(crc: number): string {
  return `0x${crc.toString(16).padStart(8, '0')}`;
}
