import { type BlockHeader, type BlockLink, linkOf, NO_BLOCK } from '@gametape/shared';

/** What tells a block apart: nothing else of a recording has the same length and header checksum. */
export function linkName({ length, headerCrc }: BlockLink): string {
  return `${headerCrc}:${length}`;
}

/** It is the first of its recording, or one of a log, where blocks do not name the one before. */
export function isFirst(header: BlockHeader): boolean {
  return linkName(header.previous) === linkName(NO_BLOCK);
}

/** Sees whether a block is missing from those of one recording: each names the one that it follows. */
export class BlockChain {
  readonly #names = new Set<string>();

  /** Takes the next block. `hole`: the one that it follows has not come before it. */
  add(header: BlockHeader): 'follows' | 'again' | 'hole' {
    const name = linkName(linkOf(header));
    if (this.#names.has(name)) return 'again';
    const follows = isFirst(header) || this.#names.has(linkName(header.previous));
    this.#names.add(name);
    return follows ? 'follows' : 'hole';
  }
}
