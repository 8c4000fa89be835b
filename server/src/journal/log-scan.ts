import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type ByteSource,
  type Compression,
  decodeBlockHeader,
  GametapeError,
  isBlockHeader,
  isGametapeError,
  linkOf,
  SYNC_MARKER,
} from '@gametape/shared';

const SEARCH_BYTES = 64 * 1024;
/** Beyond four times the bytes scanned, this much may be read for blocks that turn out to be none. */
const WASTE_BYTES = 4 * 1024 * 1024;

export type Scanned = ScannedBlock | ScannedDamage;

export interface ScannedBlock {
  readonly kind: 'block';
  readonly offset: number;
  readonly header: BlockHeader;
  readonly stored: Uint8Array;
}

/** Bytes that are no intact block. */
export interface ScannedDamage {
  readonly kind: 'damage';
  readonly offset: number;
  readonly length: number;
  /** Nothing intact comes after it. */
  readonly isTail: boolean;
  /** It is the start of a block that was being written when the process stopped. */
  readonly isTorn: boolean;
  readonly reason: string;
  /** What its header says, where that is intact. */
  readonly header?: BlockHeader;
}

/**
 * All that lies between `from` and `end`, in order: intact blocks, and what is between them (J6). After damage it goes
 * on at the next sync marker that starts an intact block. Where the header of the damaged block is intact, and another follows
 * where it says it ends, nothing inside of it is taken for a block but the one that names it as the block before: bytes may be
 * missing from it, and what a player made it hold cannot name it.
 *
 * @throws GametapeError `VERSION_UNKNOWN` for an intact block of a later version: that is no damage; `DAMAGED` for a file
 *   made to be scanned for ever: block headers that are intact, over and over, about bytes that are not.
 */
export function scanLog(
  source: ByteSource,
  from: number,
  end: number,
  compression: Compression,
): AsyncGenerator<Scanned> {
  return new LogScan(source, end, compression).run(from);
}

interface Fault {
  readonly reason: string;
  readonly isTorn: boolean;
  readonly header?: BlockHeader;
}

class LogScan {
  readonly #source: ByteSource;
  readonly #end: number;
  readonly #compression: Compression;
  #wasteLeft = WASTE_BYTES;

  constructor(source: ByteSource, end: number, compression: Compression) {
    this.#source = source;
    this.#end = end;
    this.#compression = compression;
  }

  async *run(from: number): AsyncGenerator<Scanned> {
    const end = this.#end;
    this.#wasteLeft += 4 * Math.max(0, end - from);
    let at = from;
    while (at < end) {
      const found = await this.#blockAt(at);
      if ('kind' in found) {
        yield found;
        at += linkOf(found.header).length;
        continue;
      }
      const next = await this.#nextAfter(at, found);
      const isTail = next === undefined;
      const { isTorn, ...fault } = found;
      yield { kind: 'damage', offset: at, length: (next ?? end) - at, isTail, isTorn: isTail && isTorn, ...fault };
      at = next ?? end;
    }
  }

  async #blockAt(offset: number): Promise<ScannedBlock | Fault> {
    const start = await this.#source.read(offset, Math.min(BLOCK_HEADER_BYTES, this.#end - offset));
    if (start.length < BLOCK_HEADER_BYTES) return { reason: 'the block header is cut off', isTorn: mayBeTorn(start) };
    let header: BlockHeader;
    try {
      header = decodeBlockHeader(start, 0, this.#compression);
    } catch (error) {
      if (!isGametapeError(error, 'DAMAGED')) throw error;
      return { reason: error.message, isTorn: isZero(start) };
    }
    if (offset + linkOf(header).length > this.#end) return { reason: 'the block is cut off', isTorn: true, header };
    const stored = await this.#source.read(offset + BLOCK_HEADER_BYTES, header.storedLength);
    if (stored.length < header.storedLength || this.#compression.crc32(stored) !== header.storedCrc) {
      this.#waste(stored.length);
      return { reason: 'the block does not have the crc that its header names', isTorn: false, header };
    }
    return { kind: 'block', offset, header, stored };
  }

  async #nextAfter(offset: number, { header }: Fault): Promise<number | undefined> {
    if (!header) return this.#nextBlock(offset + 1);
    const { length, headerCrc } = linkOf(header);
    const behind = offset + length;
    const isWhole = behind < this.#end && (await this.#blockAt(behind)).header !== undefined;
    if (!isWhole) return this.#nextBlock(offset + 1);
    const follows = ({ previous }: BlockHeader) => previous.length === length && previous.headerCrc === headerCrc;
    return (await this.#nextBlock(offset + 1, behind, follows)) ?? behind;
  }

  /** Offset of the first intact block at or after `from`. */
  async #nextBlock(
    from: number,
    end: number = this.#end,
    isWanted: (header: BlockHeader) => boolean = () => true,
  ): Promise<number | undefined> {
    let at = from;
    while (at + BLOCK_HEADER_BYTES <= end) {
      const bytes = await this.#source.read(at, Math.min(SEARCH_BYTES, end - at));
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let found = view.indexOf(SYNC_MARKER);
      // Markers are looked at where they are: a file may consist of nothing else.
      while (found >= 0 && found + BLOCK_HEADER_BYTES <= view.length) {
        if (isBlockHeader(view, found, this.#compression)) {
          const block = await this.#blockAt(at + found);
          if ('kind' in block && isWanted(block.header)) return at + found;
        }
        found = view.indexOf(SYNC_MARKER, found + 1);
      }
      if (at + view.length >= end) return undefined;
      // A marker, or its header, may lie across the end of what was read.
      at += found >= 0 ? found : Math.max(1, view.length - SYNC_MARKER.length + 1);
    }
    return undefined;
  }

  #waste(bytes: number): void {
    this.#wasteLeft -= bytes;
    if (this.#wasteLeft >= 0) return;
    const hint = 'No accident damages a file like this. Recover what is before it from a copy that is cut off there.';
    const message = `${this.#source.name}: too many block headers that are intact about blocks that are not`;
    throw new GametapeError('DAMAGED', message, { hint });
  }
}

function mayBeTorn(start: Uint8Array): boolean {
  return isZero(start) || SYNC_MARKER.every((byte, i) => i >= start.length || start[i] === byte);
}

/** A file system that lost power may have made the file longer without its bytes. */
function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
