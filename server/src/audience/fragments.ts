import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  type ClosedBlock,
  type FragmentRow,
  GametapeError,
  isGametapeError,
} from '@gametape/shared';
import type { Journal, SealedBlock } from '../journal/journal.ts';
import { Kept } from './kept.ts';
import { type BlockPart, type FlushMark, type OpenBlocks, tailAt } from './open-blocks.ts';

/** A tail may be asked for until so long after it was named, in milliseconds. */
const NAMED_MS = 10_000;
/** Each holds on to a block. `sync` names no more than four a second. */
const MAX_NAMED = 16;
/** They are of so many blocks at most: where blocks are closed that fast, what an older one held is in fragments. */
const MAX_NAMED_BLOCKS = 3;
/** Bytes of the tails and fragments that were read last: many ask for the same ones at one time. */
const KEPT_READS = 8;
const READ_MS = 2_000;

type Known = Omit<FragmentRow, 'startTime'>;

/** What goes on from the last fragment; with no entry in it, `lastSeq` is the seq before `firstSeq`. */
export type Tail = Pick<FragmentRow, 'name' | 'firstSeq' | 'lastSeq' | 'startTime'>;

export interface FragmentsOptions {
  readonly journal: Journal;
  readonly recordingId: string;
  readonly blocks: OpenBlocks;
}

/**
 * The past of a live room as blocks that never change: those that are closed and shown whole, and of the one after them as
 * much as is shown. They are named by what they hold and by their checksum.
 */
export class Fragments {
  readonly #options: FragmentsOptions;
  /** Bytes of closed blocks that the journal may not have yet. */
  readonly #closed = new Map<string, { readonly bytes: Uint8Array | undefined }>();
  readonly #named = new Kept<BlockPart>(MAX_NAMED, NAMED_MS);
  /** The last blocks that tails were named of, the newest last. */
  #namedBlocks: BlockPart['builder'][] = [];
  readonly #reads = new Kept<Promise<Uint8Array>>(KEPT_READS, READ_MS);
  readonly #tails = new WeakMap<BlockPart, Omit<Tail, 'startTime'>>();
  readonly #places = new Map<string, SealedBlock>();
  #lastPlace: SealedBlock | undefined;
  #own: Known[] = [];
  #older: Promise<readonly Known[]> | undefined;
  #locating: Promise<void> = Promise.resolve();
  /** Everything up to there is shown; undefined while nothing is. */
  #shownSeq: number | undefined;

  constructor(options: FragmentsOptions) {
    this.#options = options;
  }

  /** Everything up to that mark is shown. */
  showUpTo(mark: FlushMark): void {
    this.#shownSeq = mark.seq;
    for (const closed of this.#options.blocks.take(mark)) {
      if (closed.events === 0) continue;
      const { firstSeq, lastSeq, firstTime, lastTime, length, link } = closed;
      const name = nameOf(firstSeq, lastSeq, link.headerCrc);
      this.#own.push({ name, firstSeq, lastSeq, firstTime, lastTime, bytes: length });
      if (closed.bytes) this.#closed.set(name, closed);
    }
    for (const [name, { bytes }] of this.#closed) if (!bytes) this.#closed.delete(name);
  }

  /**
   * The fragments, none with entries after the mark; and the tail up to the mark. Where nothing is shown
   * yet there is neither.
   */
  async list(mark: FlushMark | undefined): Promise<{ fragments: readonly FragmentRow[]; tail?: Tail }> {
    if (!mark) return { fragments: [] };
    // Blocks are closed meanwhile: the tail has to go on from those that are listed.
    const tail = this.#tail(mark);
    const older = await this.#olderOnes();
    const fragments: FragmentRow[] = [];
    let startTime = 0;
    for (const known of [...older, ...this.#own]) {
      if (known.lastSeq >= tail.firstSeq) break;
      fragments.push({ ...known, startTime });
      startTime = Math.max(startTime, known.lastTime);
    }
    return { fragments, tail: { ...tail, startTime } };
  }

  /** The bytes of a fragment or a tail, if that is shown. @throws GametapeError `NOT_FOUND`, `DAMAGED` */
  async read(name: string): Promise<Uint8Array> {
    const closed = this.#closed.get(name)?.bytes;
    if (closed) return closed;
    const known = this.#reads.get(name);
    if (known) return await known;
    const reading = this.#read(name);
    this.#reads.set(name, reading);
    try {
      return await reading;
    } catch (error) {
      this.#reads.delete(name);
      throw error;
    }
  }

  async #read(name: string): Promise<Uint8Array> {
    const tail = this.#named.get(name);
    if (tail) return bytesOf(tail).bytes;
    // An earlier process had sealed them: of a room with a delay they were not all due (V2).
    if (this.#shownSeq === undefined) throw this.#unknown(name);
    const known = [...(await this.#olderOnes()), ...this.#own];
    if (!known.some((fragment) => fragment.name === name)) throw this.#unknown(name);
    return await this.#readSealed(name);
  }

  /** Those that an earlier process of the relay has sealed: looked for when somebody asks first. */
  #olderOnes(): Promise<readonly Known[]> {
    const { firstAfter } = this.#options.blocks;
    if (firstAfter === 0) return Promise.resolve([]);
    this.#older ??= this.#locate().then(() => {
      const placed = [...this.#places.values()].filter(({ header }) => header.lastSeq <= firstAfter);
      return placed.map(({ header }) => knownOf(header));
    });
    this.#older.catch(() => {
      this.#older = undefined;
    });
    return this.#older;
  }

  #tail(mark: FlushMark): Omit<Tail, 'startTime'> {
    const part = tailAt(mark);
    const known = this.#tails.get(part) ?? describe(part);
    this.#tails.set(part, known);
    this.#named.set(known.name, part);
    this.#forgetOlderBlocks(part);
    return known;
  }

  #forgetOlderBlocks({ builder }: BlockPart): void {
    if (this.#namedBlocks.at(-1) === builder) return;
    this.#namedBlocks = [...this.#namedBlocks, builder].slice(-MAX_NAMED_BLOCKS);
    this.#named.drop((part) => !this.#namedBlocks.includes(part.builder));
  }

  async #readSealed(name: string): Promise<Uint8Array> {
    const { journal } = this.#options;
    const place = this.#places.get(name);
    if (place) {
      try {
        return await journal.readSealed(place);
      } catch (error) {
        // A journal that had to write its blocks again has them elsewhere.
        if (!isGametapeError(error, 'NOT_FOUND')) throw error;
        this.#places.clear();
        this.#lastPlace = undefined;
      }
    }
    await this.#locate();
    const found = this.#places.get(name);
    if (!found) throw this.#unknown(name);
    return await journal.readSealed(found);
  }

  /** Looks where the journal has the blocks that came after those that are known. */
  #locate(): Promise<void> {
    const { journal, recordingId } = this.#options;
    this.#locating = this.#locating
      .catch(() => undefined)
      .then(async () => {
        for await (const block of journal.sealedBlocks(recordingId, this.#lastPlace)) {
          this.#places.set(knownOf(block.header).name, block);
          this.#lastPlace = block;
        }
      });
    return this.#locating;
  }

  #unknown(name: string): GametapeError {
    const { recordingId } = this.#options;
    return new GametapeError('NOT_FOUND', `recording ${recordingId}: there is no fragment ${name.slice(0, 80)}`);
  }
}

function knownOf({ firstSeq, lastSeq, firstTime, lastTime, storedLength, headerCrc }: BlockHeader): Known {
  const bytes = BLOCK_HEADER_BYTES + storedLength;
  return { name: nameOf(firstSeq, lastSeq, headerCrc), firstSeq, lastSeq, firstTime, lastTime, bytes };
}

function describe(part: BlockPart): Omit<Tail, 'startTime'> {
  const { link, events, ...range } = bytesOf(part);
  const firstSeq = events > 0 ? range.firstSeq : part.after + 1;
  const lastSeq = events > 0 ? range.lastSeq : part.after;
  return { name: nameOf(firstSeq, lastSeq, link.headerCrc), firstSeq, lastSeq };
}

function bytesOf({ builder, extent, previous }: BlockPart): ClosedBlock {
  return builder.closeUpTo(extent, previous, { compress: false });
}

/** Two blocks of one name are the same bytes: the header's checksum covers that of the payload. */
function nameOf(firstSeq: number, lastSeq: number, headerCrc: number): string {
  return `${firstSeq}-${lastSeq}-${headerCrc.toString(16).padStart(8, '0')}`;
}
