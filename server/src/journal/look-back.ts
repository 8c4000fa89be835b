import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type ByteSource,
  type Compression,
  decodeBlockHeader,
  FILE_HEADER_BYTES,
  isBlockHeader,
  isGametapeError,
  linkOf,
  SYNC_MARKER,
} from '@gametape/shared';
import type { ScannedBlock } from './log-scan.ts';

const FIRST_WINDOW_BYTES = 1024 * 1024;
/** The longest block and some more: whatever is not found within this is looked for from the start of the file. */
const LOOK_BACK_BYTES = 32 * 1024 * 1024;
/** Headers that turn out to be none of this file's blocks, before the same. */
const MAX_TRIES = 64;

/**
 * The intact sealed blocks of an unfinished recording that end at or before `end`, the last one first (J3). Each names the
 * length and the checksum of the one before it; where that leads to nothing, sync markers are looked for, further and
 * further back. It stops when it finds none: what is before is not all damaged, but takes a scan from the start.
 *
 * What looks like a block may lie inside of another, in an event that somebody recorded to that purpose: a block counts
 * only if it leads on to the one before it, whose checksum nobody outside of the relay knows.
 */
export async function* lookBack(
  source: ByteSource,
  end: number,
  compression: Compression,
): AsyncGenerator<ScannedBlock> {
  const file = new ChainedFile(source, compression);
  let before = end;
  let found: ScannedBlock | undefined;
  while (before > FILE_HEADER_BYTES) {
    found = (found && (await file.blockBefore(found))) ?? (await file.lastBlock(before));
    if (!found) return;
    yield found;
    before = found.offset;
  }
}

class ChainedFile {
  readonly #source: ByteSource;
  readonly #compression: Compression;

  constructor(source: ByteSource, compression: Compression) {
    this.#source = source;
    this.#compression = compression;
  }

  /** The block that another one names as the one before it, if it is there and intact. */
  async blockBefore({ offset, header }: ScannedBlock): Promise<ScannedBlock | undefined> {
    const at = offset - header.previous.length;
    if (header.previous.length === 0 || at < FILE_HEADER_BYTES) return undefined;
    const block = await this.#blockAt(at, offset);
    return block?.header.headerCrc === header.previous.headerCrc ? block : undefined;
  }

  /** The last block that ends at or before `end` and leads on. */
  async lastBlock(end: number): Promise<ScannedBlock | undefined> {
    let tries = 0;
    let searchedFrom = end;
    for (let window = FIRST_WINDOW_BYTES; ; window *= 4) {
      const length = Math.min(window, LOOK_BACK_BYTES, end - FILE_HEADER_BYTES);
      const start = end - length;
      // A header may lie across the point from which on all has been looked at.
      const bytes = await this.#source.read(start, Math.min(length, searchedFrom - start + BLOCK_HEADER_BYTES));
      for (const at of headersBackwards(bytes, this.#compression)) {
        if (start + at >= searchedFrom) continue;
        if (tries++ === MAX_TRIES) return undefined;
        const block = await this.#blockAt(start + at, end);
        if (block && (await this.#leadsOn(block))) return block;
      }
      if (length === end - FILE_HEADER_BYTES || length === LOOK_BACK_BYTES) return undefined;
      searchedFrom = start;
    }
  }

  async #blockAt(offset: number, end: number): Promise<ScannedBlock | undefined> {
    const header = await this.#headerAt(offset);
    if (!header || offset + linkOf(header).length > end) return undefined;
    const stored = await this.#source.read(offset + BLOCK_HEADER_BYTES, header.storedLength);
    if (stored.length < header.storedLength || this.#compression.crc32(stored) !== header.storedCrc) return undefined;
    return { kind: 'block', offset, header, stored };
  }

  /** A block that was sealed a second time after a crash follows its own copy. */
  async #leadsOn({ offset, header }: ScannedBlock): Promise<boolean> {
    if (header.previous.length === 0) return offset === FILE_HEADER_BYTES;
    const before = await this.#headerAt(offset - header.previous.length);
    if (before?.headerCrc === header.previous.headerCrc) return true;
    const copy = await this.#headerAt(offset - linkOf(header).length);
    return copy?.headerCrc === header.headerCrc;
  }

  async #headerAt(offset: number): Promise<BlockHeader | undefined> {
    if (offset < FILE_HEADER_BYTES) return undefined;
    const bytes = await this.#source.read(offset, BLOCK_HEADER_BYTES);
    if (!isBlockHeader(bytes, 0, this.#compression)) return undefined;
    try {
      return decodeBlockHeader(bytes, 0, this.#compression);
    } catch (error) {
      // Of a later version, or with numbers that none has: a scan from the start says so.
      if (isGametapeError(error)) return undefined;
      throw error;
    }
  }
}

function* headersBackwards(bytes: Uint8Array, compression: Compression): Generator<number> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = view.lastIndexOf(SYNC_MARKER); at >= 0; at = at > 0 ? view.lastIndexOf(SYNC_MARKER, at - 1) : -1) {
    if (isBlockHeader(view, at, compression)) yield at;
  }
}
