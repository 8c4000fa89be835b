import {
  BLOCK_HEADER_BYTES,
  type BlockExtent,
  type BlockHeader,
  type FragmentRow,
  GametapeError,
  isGametapeError,
} from '@gametape/shared';
import type { Journal, SealedBlock } from '../journal/journal.ts';
import { type FlushMark, type OpenBlock, type OpenBlocks, tailAt } from './open-blocks.ts';

/** A tail may be asked for until so long after it was named; its bytes are kept of the last few. */
const TAIL_MS = 10_000;
const KEPT_TAILS = 4;
/** Fragments that were read last: many ask for the same ones. */
const KEPT_READS = 4;

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
  readonly #tails = new Map<string, Uint8Array>();
  readonly #named = new Map<string, { readonly block: OpenBlock; readonly extent: BlockExtent; readonly at: number }>();
  readonly #reads = new Map<string, Promise<Uint8Array>>();
  readonly #places = new Map<string, SealedBlock>();
  #lastPlace: SealedBlock | undefined;
  #own: Known[] = [];
  #older: Promise<readonly Known[]> | undefined;
  #locating: Promise<void> = Promise.resolve();
  #lastTail: { mark: FlushMark; block: object; known: Omit<Tail, 'startTime'> } | undefined;

  constructor(options: FragmentsOptions) {
    this.#options = options;
  }

  /** Everything up to that mark is shown. */
  showUpTo(mark: FlushMark): void {
    for (const closed of this.#options.blocks.take(mark)) {
      if (closed.events === 0) continue;
      const { firstSeq, lastSeq, firstTime, lastTime, length, link } = closed;
      const name = nameOf(firstSeq, lastSeq, link.headerCrc);
      this.#own.push({ name, firstSeq, lastSeq, firstTime, lastTime, bytes: length });
      if (closed.bytes) this.#closed.set(name, closed);
    }
    for (const [name, { bytes }] of this.#closed) if (!bytes) this.#closed.delete(name);
  }

  /** The fragments with entries after `after`, none of them after the mark; and the tail up to the mark. */
  async list(mark: FlushMark, after: number): Promise<{ fragments: readonly FragmentRow[]; tail: Tail }> {
    const all = [...(await this.#olderOnes()), ...this.#own].filter(({ lastSeq }) => lastSeq <= mark.seq);
    const fragments: FragmentRow[] = [];
    let startTime = 0;
    for (const known of all) {
      if (known.lastSeq > after) fragments.push({ ...known, startTime });
      startTime = Math.max(startTime, known.lastTime);
    }
    return { fragments, tail: { ...this.#tail(mark), startTime } };
  }

  /** The bytes of a fragment or a tail. @throws GametapeError `NOT_FOUND`, `DAMAGED` */
  async read(name: string): Promise<Uint8Array> {
    const tail = this.#tails.get(name) ?? this.#tailAgain(name);
    const here = tail ?? this.#closed.get(name)?.bytes ?? this.#reads.get(name);
    if (here) return await here;
    const known = [...(await this.#olderOnes()), ...this.#own];
    if (!known.some((fragment) => fragment.name === name)) throw this.#unknown(name);
    const reading = this.#reads.get(name) ?? this.#readSealed(name);
    this.#keep(this.#reads, name, reading, KEPT_READS);
    try {
      return await reading;
    } catch (error) {
      this.#reads.delete(name);
      throw error;
    }
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
    const { block, extent } = tailAt(mark);
    if (this.#lastTail?.mark === mark && this.#lastTail.block === block) return this.#lastTail.known;
    if (!block.builder) throw new GametapeError('NOT_FOUND', 'the tail is not kept any more');
    const { bytes, link, events, ...range } = block.builder.closeUpTo(extent, block.previous, { compress: false });
    const firstSeq = events > 0 ? range.firstSeq : block.after + 1;
    const lastSeq = events > 0 ? range.lastSeq : block.after;
    const known = { name: nameOf(firstSeq, lastSeq, link.headerCrc), firstSeq, lastSeq };
    this.#lastTail = { mark, block, known };
    this.#keep(this.#tails, known.name, bytes, KEPT_TAILS);
    const at = performance.now();
    for (const [name, named] of this.#named) if (at - named.at > TAIL_MS) this.#named.delete(name);
    this.#named.delete(known.name);
    this.#named.set(known.name, { block, extent, at });
    return known;
  }

  /** The bytes of a tail that was named before, made again. */
  #tailAgain(name: string): Uint8Array | undefined {
    const { block, extent } = this.#named.get(name) ?? {};
    if (!block?.builder || !extent) return undefined;
    const { bytes } = block.builder.closeUpTo(extent, block.previous, { compress: false });
    this.#keep(this.#tails, name, bytes, KEPT_TAILS);
    return bytes;
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

  #keep<Value>(kept: Map<string, Value>, name: string, value: Value, count: number): void {
    kept.delete(name);
    kept.set(name, value);
    if (kept.size > count) kept.delete(kept.keys().next().value as string);
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

/** Two blocks of one name are the same bytes: the header's checksum covers that of the payload. */
function nameOf(firstSeq: number, lastSeq: number, headerCrc: number): string {
  return `${firstSeq}-${lastSeq}-${headerCrc.toString(16).padStart(8, '0')}`;
}
