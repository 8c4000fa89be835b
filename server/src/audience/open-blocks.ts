import {
  type BlockBuilder,
  type BlockExtent,
  type BlockLink,
  type ClosedBlock,
  type Compression,
  decodeBlockHeader,
  linkOf,
} from '@gametape/shared';
import type { Sealed } from '../journal/journal.ts';

/** A point that a room's entries were written up to. What spectators are shown goes from one to a later one. */
export interface FlushMark {
  /** Counts marks: what was written later has a higher one. */
  readonly number: number;
  /** Last seq that was written. */
  readonly seq: number;
  /** Room time of the writing, in microseconds: what it wrote had come by then. */
  readonly at: number;
  readonly block: OpenBlock;
  readonly extent: BlockExtent;
}

/** A self-contained block of which not all is shown to spectators yet: it grows, or it is closed and has to wait. */
export interface OpenBlock {
  /** Undefined once nobody needs a part of the block any more. */
  builder: BlockBuilder | undefined;
  /** What it opens with. */
  readonly opening: BlockExtent;
  readonly previous: BlockLink;
  /** Last seq before it. */
  readonly after: number;
  lastMark: FlushMark | undefined;
  closed: ClosedFragment | undefined;
  next: OpenBlock | undefined;
}

/** A closed block. Its bytes are kept until the journal has them for good. */
export interface ClosedFragment extends Omit<ClosedBlock, 'bytes'> {
  readonly length: number;
  bytes: Uint8Array | undefined;
}

/** The end of a room's chain of self-contained blocks, from the first that spectators have not been shown whole. */
export class OpenBlocks {
  /** Last seq of the blocks that are not here: the journal had sealed them before this began. */
  readonly firstAfter: number;
  /** The point that the room stood at when this began. */
  readonly firstMark: FlushMark;
  /** Called when a block has been closed. */
  onClosed: () => void = () => {};
  #oldest: OpenBlock;
  #newest: OpenBlock;
  #newestMark: FlushMark;

  /**
   * Begins with blocks that are closed, and a builder that may hold entries already, up to `headSeq`. `at` is room time, in
   * microseconds.
   */
  constructor(
    closed: readonly ClosedFragment[],
    builder: BlockBuilder,
    previous: BlockLink,
    { headSeq, at }: { headSeq: number; at: number },
  ) {
    const after = builder.firstSeq === undefined ? headSeq : builder.firstSeq - 1;
    this.#newest = openBlock(builder, previous, after);
    this.#oldest = this.#newest;
    for (const fragment of closed.toReversed()) {
      const before = openBlock(undefined, previous, fragment.firstSeq - 1);
      this.#oldest = { ...before, closed: fragment, next: this.#oldest };
    }
    const first = closed.find(({ events }) => events > 0);
    this.firstAfter = first ? first.firstSeq - 1 : after;
    this.firstMark = this.#makeMark(0, headSeq, at);
    this.#newestMark = this.firstMark;
  }

  get newestMark(): FlushMark {
    return this.#newestMark;
  }

  /** What the newest block holds has been written. */
  mark(seq: number, at: number): FlushMark {
    this.#newestMark = this.#makeMark(this.#newestMark.number + 1, seq, at);
    return this.#newestMark;
  }

  /** The newest block is closed as `closed`, on its way to the journal, and `next` goes on after `lastSeq`. */
  close(closed: ClosedBlock, sealing: Promise<Sealed>, next: BlockBuilder, lastSeq: number): void {
    this.#newest.closed = keptUntil(sealing, closed);
    this.#newest.next = openBlock(next, closed.link, lastSeq);
    this.#newest = this.#newest.next;
    this.onClosed();
  }

  #makeMark(number: number, seq: number, at: number): FlushMark {
    const block = this.#newest;
    const { builder, opening } = block;
    const mark = { number, seq, at, block, extent: builder?.extent ?? opening };
    block.lastMark = mark;
    return mark;
  }

  /** Takes off the blocks that are closed and all of which is shown at that mark. */
  *take(mark: FlushMark): Generator<ClosedFragment> {
    while (this.#oldest.closed && this.#oldest.next && isShown(this.#oldest, mark)) {
      const { closed, next } = this.#oldest;
      this.#oldest = next;
      yield closed;
    }
  }

  /** Parts of what comes before that mark will not be asked for, but for what is shown now. */
  forgetParts(before: FlushMark, shown: FlushMark | undefined): void {
    for (let block: OpenBlock | undefined = this.#oldest; block && block !== before.block; block = block.next) {
      if (block !== shown?.block && block.closed) block.builder = undefined;
    }
  }
}

/** The block that the tail at a mark is a part of, and how much of it. */
export function tailAt(mark: FlushMark): { block: OpenBlock; extent: BlockExtent } {
  const { block, extent } = mark;
  const isWhole = block.closed !== undefined && block.lastMark === mark;
  return isWhole && block.next ? { block: block.next, extent: block.next.opening } : { block, extent };
}

/** A block that an earlier life of the room had closed and not sealed: it is about to be. */
export function closedFragment(bytes: Uint8Array, compression: Compression, sealing: Promise<Sealed>): ClosedFragment {
  const header = decodeBlockHeader(bytes, 0, compression);
  return keptUntil(sealing, { ...header, bytes, link: linkOf(header) });
}

function keptUntil(sealing: Promise<Sealed>, block: ClosedBlock): ClosedFragment {
  const { bytes, link, firstSeq, lastSeq, firstTime, lastTime, events } = block;
  const fragment: ClosedFragment = {
    link,
    firstSeq,
    lastSeq,
    firstTime,
    lastTime,
    events,
    bytes,
    length: bytes.length,
  };
  const release = () => {
    fragment.bytes = undefined;
  };
  // Without a journal that has them, they stay: the room has failed, and is about to go.
  sealing.then(({ stable }) => stable).then(release, () => undefined);
  return fragment;
}

function isShown({ lastMark }: OpenBlock, mark: FlushMark): boolean {
  return lastMark === undefined || lastMark.number <= mark.number;
}

function openBlock(builder: BlockBuilder | undefined, previous: BlockLink, after: number): OpenBlock {
  const opening = builder?.extent ?? { entries: 0, clockMaps: 0, records: 0, recordBytes: 0 };
  const block = { builder, opening, previous, after };
  return { ...block, lastMark: undefined, closed: undefined, next: undefined };
}
