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

/** The first part of a block: what it held at some point. Whoever has one can make its bytes. */
export interface BlockPart {
  readonly builder: BlockBuilder;
  readonly extent: BlockExtent;
  readonly previous: BlockLink;
  /** Last seq before the block. */
  readonly after: number;
}

/**
 * A point that a room's entries were written up to. What spectators are shown goes from one to a later one. Nothing but a mark
 * holds on to the content of blocks that are closed: it must lead to no others, or a room would keep all that it recorded.
 */
export interface FlushMark {
  /** Counts marks: what was written later has a higher one. */
  readonly number: number;
  /** Last seq that was written. */
  readonly seq: number;
  /** Room time of the writing, in microseconds: what it wrote had come by then. */
  readonly at: number;
  readonly part: BlockPart;
  /** Where nothing came after it into its block: how the next one opens. */
  following: BlockPart | undefined;
}

/** A closed block. Its bytes are kept until the journal has them for good. */
export interface ClosedFragment extends Omit<ClosedBlock, 'bytes'> {
  readonly length: number;
  bytes: Uint8Array | undefined;
}

/** It may be shown whole once its last mark is; one without a mark with the one before it. */
interface WaitingBlock {
  readonly lastMark: number;
  readonly closed: ClosedFragment;
}

/** The end of a room's chain of self-contained blocks, from the first that spectators have not been shown whole. */
export class OpenBlocks {
  /** Last seq of the blocks that are not here: the journal had sealed them before this began. */
  readonly firstAfter: number;
  /** Called when a block has been closed. */
  onClosed: () => void = () => {};
  #waiting: WaitingBlock[];
  /** The block that grows, as it opens. */
  #opening: BlockPart;
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
    this.#opening = { builder, extent: builder.extent, previous, after };
    this.#waiting = closed.map((fragment) => ({ lastMark: 0, closed: fragment }));
    const first = closed.find(({ events }) => events > 0);
    this.firstAfter = first ? first.firstSeq - 1 : after;
    this.#newestMark = { number: 0, seq: headSeq, at, part: this.#opening, following: undefined };
  }

  /** The last point that everything was written up to; to begin with, where the room stood then. */
  get newestMark(): FlushMark {
    return this.#newestMark;
  }

  /** What the newest block holds has been written. */
  mark(seq: number, at: number): FlushMark {
    const { builder, previous, after } = this.#opening;
    const part = { builder, extent: builder.extent, previous, after };
    this.#newestMark = { number: this.#newestMark.number + 1, seq, at, part, following: undefined };
    return this.#newestMark;
  }

  /** The newest block is closed as `closed`, on its way to the journal, and `next` goes on after `lastSeq`. */
  close(closed: ClosedBlock, sealing: Promise<Sealed>, next: BlockBuilder, lastSeq: number): void {
    this.#waiting.push({ lastMark: this.#newestMark.number, closed: keptUntil(sealing, closed) });
    this.#opening = { builder: next, extent: next.extent, previous: closed.link, after: lastSeq };
    this.#newestMark.following = this.#opening;
    this.onClosed();
  }

  /** Takes off the blocks that are closed and all of which is shown at that mark. */
  take(mark: FlushMark): ClosedFragment[] {
    const first = this.#waiting.findIndex(({ lastMark }) => lastMark > mark.number);
    const taken = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
    return taken.map(({ closed }) => closed);
  }
}

/** What has been written up to a mark and is in no block that is closed. */
export function tailAt({ part, following }: FlushMark): BlockPart {
  return following ?? part;
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
