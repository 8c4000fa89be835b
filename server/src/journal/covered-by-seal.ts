/**
 * Which of a recording's appended blocks, in order, a block sealed up to `lastSeq` covers. A block that says the same
 * last seq as the one before it holds records but no entries: whether the sealed block has them is not known, so they
 * stay.
 */
export function coveredBySeal<Block extends { readonly lastSeq: number }>(
  blocks: readonly Block[],
  lastSeq: number,
): readonly Block[] {
  const end = blocks.findIndex(
    (block, i) => block.lastSeq > lastSeq || (block.lastSeq === lastSeq && blocks[i - 1]?.lastSeq === lastSeq),
  );
  // A copy either way: more is appended while the seal is on its way.
  return blocks.slice(0, end < 0 ? blocks.length : end);
}
