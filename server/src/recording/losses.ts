import { BlockKind, type BlockRow, linkOf } from '@gametape/shared';
import { isFirst, linkName } from '../journal/block-chain.ts';
import type { ScannedDamage } from '../journal/log-scan.ts';
import type { BlockSurvey, FoundBlock } from './block-survey.ts';
import type { SeqSet } from './seq-set.ts';

/** Numbers of one player that are lost; `pseqTo` is null where nothing says how far they went. */
export interface LostNumbers {
  readonly id: string;
  readonly pseqFrom: number;
  readonly pseqTo: number | null;
}

/**
 * Something that was recorded and is not in the file any more. Bytes are those of the damaged file, `toByte` excluded;
 * seqs and times (seconds of room time) are the range that what is lost lies in, null at an end that nothing says.
 */
export interface Loss {
  readonly fromByte: number;
  readonly toByte: number;
  readonly reason: string;
  seqFrom: number | null;
  seqTo: number | null;
  timeFromS: number | null;
  timeToS: number | null;
  /** How many events are lost; null where nothing says it. */
  events: number | null;
  readonly players: LostNumbers[];
}

/** Blocks that follow one another without a loss between them. */
export interface Run<Block extends FoundBlock = FoundBlock> {
  readonly blocks: readonly Block[];
  /** What is lost right before it. */
  readonly loss: Loss | undefined;
}

export interface Losses<Block extends FoundBlock = FoundBlock> {
  readonly runs: readonly Run<Block>[];
  /** What is lost behind the last block. */
  readonly tail: Loss | undefined;
}

/** Blocks of a file, judged. */
export interface FoundBlocks<Block extends FoundBlock = FoundBlock> {
  readonly blocks: readonly Block[];
  /** What has the right checksums and cannot be replayed. */
  readonly bad: readonly ScannedDamage[];
  /** The room has ended, and no block says so: the last ones are not there. */
  readonly lacksEnd: boolean;
}

const MICROSECONDS = 1_000_000;

/**
 * What is lost between the blocks that are kept, and after them. A block that follows one that is not there has lost
 * something before it, whatever lies between in the file: what was put in by mistake, or lies elsewhere now, is no loss.
 */
export function findLosses<Block extends FoundBlock>(
  survey: BlockSurvey,
  { blocks: kept, bad, lacksEnd }: FoundBlocks<Block>,
): Losses<Block> {
  const damage = [...survey.damage, ...bad].sort((a, b) => a.offset - b.offset);
  const runs: Run<Block>[] = [];
  let previous: Block | undefined;
  for (const blocks of runsOf(kept, survey)) {
    const [first] = blocks as [Block, ...Block[]];
    const loss = isFirst(first.header) ? undefined : lossBetween(survey, damage, previous, first);
    runs.push({ blocks, loss });
    previous = blocks.at(-1);
  }
  return { runs, tail: tailLoss(survey, damage, previous, lacksEnd) };
}

/** Blocks that follow one another, run by run, in the order of their starts. */
function runsOf<Block extends FoundBlock>(kept: readonly Block[], { others }: BlockSurvey): Block[][] {
  const names = new Set(kept.map(({ header }) => linkName(linkOf(header))));
  const followers = new Map<string, Block[]>();
  const starts: Block[] = [];
  for (const block of [...kept].sort((a, b) => a.header.firstTime - b.header.firstTime || a.offset - b.offset)) {
    let name = linkName(block.header.previous);
    // A part of the index lies between blocks: what follows it follows what is before it.
    for (let steps = others.size; steps > 0 && others.has(name); steps--) name = others.get(name) ?? name;
    if (!names.has(name)) starts.push(block);
    else followers.set(name, [...(followers.get(name) ?? []), block]);
  }
  const runs: Block[][] = [];
  const reached = new Set<Block>();
  // Blocks that follow one another in a circle are forged, and never reached: each stands for itself.
  for (const start of [...starts, ...kept]) {
    const run: Block[] = [];
    const next = [start];
    for (let block = next.pop(); block; block = next.pop()) {
      if (reached.has(block)) continue;
      reached.add(block);
      run.push(block);
      next.push(...(followers.get(linkName(linkOf(block.header))) ?? []).reverse());
    }
    if (run.length > 0) runs.push(run);
  }
  return runs;
}

function lossBetween(
  survey: BlockSurvey,
  damage: readonly ScannedDamage[],
  before: FoundBlock | undefined,
  after: FoundBlock,
): Loss | undefined {
  const fromByte = before && before.offset < after.offset ? before.offset + before.length : 0;
  const region = damage.filter(({ offset }) => offset >= fromByte && offset < after.offset);
  const reason = region[0]?.reason ?? 'the block that the next one follows is not in the file';
  const rows = rowsBetween(survey, before, after);
  if (survey.index && rows.length === 0) return undefined;
  const range = rangeOf(rows, region) ?? {
    // Events that came late may lie among those of a block after: which seqs are missing tells more.
    seqFrom: before ? before.header.firstSeq : 0,
    seqTo: after.header.firstSeq > 0 ? after.header.firstSeq - 1 : null,
    timeFromS: before ? before.header.lastTime / MICROSECONDS : null,
    timeToS: after.header.events > 0 ? after.header.firstTime / MICROSECONDS : null,
    events: null,
  };
  return { fromByte, toByte: after.offset, reason, ...range, players: [] };
}

function tailLoss(
  survey: BlockSurvey,
  damage: readonly ScannedDamage[],
  last: FoundBlock | undefined,
  lacksEnd: boolean,
): Loss | undefined {
  const { index, bytes } = survey;
  const fromByte = last ? last.offset + last.length : 0;
  const region = damage.filter(({ offset }) => offset >= fromByte);
  const [first] = region;
  const rows = rowsBetween(survey, last, undefined);
  const isWhole = index && rows.length === 0;
  // A damaged index says what it follows, as every block does: then only the index is lost.
  const isIndex =
    first?.header?.kind === BlockKind.Index &&
    last &&
    linkName(first.header.previous) === linkName(linkOf(last.header));
  if (isWhole || isIndex || (!index && !first && !lacksEnd)) return undefined;
  const range = rangeOf(rows, region) ?? {
    seqFrom: last ? last.header.firstSeq : 0,
    seqTo: null,
    timeFromS: last ? last.header.lastTime / MICROSECONDS : null,
    timeToS: null,
    events: null,
  };
  const reason = first?.reason ?? 'the last blocks are not in the file';
  return { fromByte, toByte: bytes, reason, ...range, players: [] };
}

/**
 * Says which seqs each loss has taken: those that are missing. They are counted without holes when a room is recorded.
 * Where several things are lost, a seq belongs to the last that it can belong to.
 */
export function nameLostSeqs({ runs, tail }: Losses, seqs: SeqSet, index: BlockSurvey['index']): void {
  const losses = runs.flatMap(({ loss }) => loss ?? []);
  const all = tail ? [...losses, tail] : losses;
  const [lowest, highest] = seqs.range ?? [0, 0];
  const listed = index?.blocks.filter(({ entries }) => entries > 0) ?? [];
  const start = listed.length > 0 ? listed.reduce((low, { firstSeq }) => Math.min(low, firstSeq), lowest) : undefined;
  const first = start ?? (runs[0]?.loss ? 1 : lowest);
  const count = listed.reduce((sum, { entries }) => sum + entries, 0);
  const taken = new Map<Loss, (readonly [from: number, to: number])[]>();
  for (const interval of seqs.missing(first, Math.max(highest, first + count - 1))) {
    const loss = all.findLast(({ seqFrom }) => (seqFrom ?? 0) <= interval[0]) ?? all[0];
    if (loss) taken.set(loss, [...(taken.get(loss) ?? []), interval]);
  }
  for (const loss of all) {
    const own = taken.get(loss) ?? [];
    const isOpen = loss === tail && !index;
    loss.seqFrom = own[0]?.[0] ?? (isOpen ? highest + 1 : null);
    loss.seqTo = isOpen ? null : (own.at(-1)?.[1] ?? null);
  }
}

type LostRange = Pick<Loss, 'seqFrom' | 'seqTo' | 'timeFromS' | 'timeToS' | 'events'>;

/** From the index, else from the headers of damaged blocks where all of them are intact. */
function rangeOf(rows: readonly BlockRow[], region: readonly ScannedDamage[]): LostRange | undefined {
  const withEntries = rows.filter(({ entries }) => entries > 0);
  const [first] = withEntries;
  if (first) {
    const seqFrom = Math.min(...withEntries.map(({ firstSeq }) => firstSeq));
    return {
      seqFrom,
      seqTo: Math.max(...withEntries.map(({ firstSeq, entries }) => firstSeq + entries - 1)),
      timeFromS: Math.min(...withEntries.map(({ firstTime }) => firstTime)) / MICROSECONDS,
      timeToS: Math.max(...withEntries.map(({ lastTime }) => lastTime)) / MICROSECONDS,
      events: withEntries.reduce((sum, { events }) => sum + events, 0),
    };
  }
  const headers = region.map(({ header }) => header);
  const sound = headers.filter((header) => header !== undefined && header.events > 0);
  if (sound.length === 0 || headers.includes(undefined)) return undefined;
  return {
    seqFrom: Math.min(...sound.map((header) => header?.firstSeq ?? 0)),
    seqTo: Math.max(...sound.map((header) => header?.lastSeq ?? 0)),
    timeFromS: Math.min(...sound.map((header) => header?.firstTime ?? 0)) / MICROSECONDS,
    timeToS: Math.max(...sound.map((header) => header?.lastTime ?? 0)) / MICROSECONDS,
    events: null,
  };
}

/** What the index lists between two blocks that are there. */
function rowsBetween(
  { index }: BlockSurvey,
  before: FoundBlock | undefined,
  after: FoundBlock | undefined,
): readonly BlockRow[] {
  if (!index) return [];
  const names = index.blocks.map(linkName);
  const from = before ? names.indexOf(linkName(linkOf(before.header))) + 1 : 0;
  const to = after ? names.indexOf(linkName(linkOf(after.header))) : names.length;
  return index.blocks.slice(from, to);
}
