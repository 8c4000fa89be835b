import {
  type ByteSink,
  type ByteSource,
  type CheckpointRecord,
  type Compression,
  type EndRecord,
  GametapeError,
  type GapRecord,
  isGametapeError,
  type ProducerContext,
  profileNamed,
  type RecordingEnd,
  type RecordingSummary,
  RecordingWriter,
} from '@gametape/shared';
import { BufferedSource } from '../journal/buffered-source.ts';
import type { ScannedDamage } from '../journal/log-scan.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { checkBlock, hasHashes, type KnownRecording, loadBlock } from './block-check.ts';
import { type BlockSurvey, type FoundBlock, storedBytes, surveyBlocks } from './block-survey.ts';
import { rememberLastInflated } from './last-inflated.ts';
import { findLosses, type Losses, nameLostSeqs, type Run } from './losses.ts';
import { makeReport, type RecoverReport } from './recover-report.ts';
import { findMeta, type MetaOptions } from './recovered-meta.ts';
import { type FoundEntry, Restoration } from './restoration.ts';
import { StatedGaps } from './stated-gaps.ts';
import { timelineOrder } from './timeline-order.ts';

export interface RecoverOptions extends MetaOptions {
  readonly compression?: Compression;
  /** Which recording, where blocks of several are in the file; the one that has most bytes if left out. */
  readonly recordingId?: string;
  /** How its room ended, for a file whose last block may be among the damaged. */
  readonly end?: EndRecord;
}

/** A block that replays. */
interface KeptBlock extends FoundBlock {
  /** All that it knows, and those that it opens with a keyframe of. */
  readonly producers: readonly number[];
  readonly keyframes: readonly number[];
}

/** What the blocks that replay say, and the ones that do not. */
interface Kept {
  readonly blocks: readonly KeptBlock[];
  readonly bad: readonly ScannedDamage[];
  readonly gaps: readonly GapRecord[];
  readonly checkpoints: readonly CheckpointRecord[];
  readonly end: EndRecord | undefined;
}

/**
 * Writes every intact block of a damaged or unfinished recording as a finished one, and reports what is lost (R3). The
 * file is read three times, from front to back: for its checksums, to replay each block by itself, and in the order of
 * the timeline to write it. Memory grows with the number of blocks, checkpoints and gaps alone, as the index does (R6).
 *
 * Nothing damaged is believed: a block that has a wrong checksum, or does not replay, is left out whole. What the new
 * recording holds of the old one is the same bytes, entry by entry; it is complete only if nothing is lost.
 *
 * @throws GametapeError `DAMAGED` when nothing can be recovered, `VERSION_UNKNOWN`, `PROFILE_MISMATCH`
 */
export async function recoverRecording(
  source: ByteSource,
  sink: ByteSink,
  options: RecoverOptions = {},
): Promise<RecoverReport> {
  const { recordingId } = options;
  const compression = rememberLastInflated(options.compression ?? NODE_COMPRESSION);
  const input = new BufferedSource(source);
  const survey = await surveyBlocks(input, compression, recordingId);
  const { meta, source: metaSource } = await findMeta(input, survey, compression, options);
  const known: KnownRecording = {
    meta,
    producers: new Map(survey.index?.producers.map((producer) => [producer.index, producer])),
  };
  const checked = await checkBlocks(input, survey, known, compression);
  const kept = { ...checked, end: checked.end ?? options.end };
  const losses = findLosses(survey, { ...checked, lacksEnd: options.end !== undefined && !checked.end });
  const restored = await restore(input, sink, { survey, known, kept, losses, compression });
  return makeReport({ ...restored, survey, meta, metaSource, losses, ...kept });
}

async function checkBlocks(
  source: ByteSource,
  survey: BlockSurvey,
  known: KnownRecording,
  compression: Compression,
): Promise<Kept> {
  const blocks: KeptBlock[] = [];
  const bad: ScannedDamage[] = [];
  const gaps: GapRecord[] = [...(survey.index?.gaps ?? [])];
  const checkpoints: CheckpointRecord[] = [...(survey.index?.checkpoints ?? [])];
  let end: EndRecord | undefined;
  for (const block of survey.blocks) {
    const { header, offset, length } = block;
    try {
      const { content, contexts } = checkBlock(header, await storedBytes(source, block), known, compression);
      const keyframes = content.keyframes().map(({ index }) => index);
      blocks.push({ ...block, producers: [...contexts.keys()], keyframes });
      // The index has them all.
      if (!survey.index) {
        for (const gap of content.gaps) gaps.push(gap);
        for (const checkpoint of content.checkpoints) checkpoints.push(checkpoint);
      }
      end ??= content.end;
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      bad.push({ kind: 'damage', offset, length, isTail: false, isTorn: false, reason: error.message, header });
    }
  }
  if (blocks.length === 0) {
    const [first] = bad;
    const hint = 'Its checksums are right, and what they are of is not: it was not written by gametape.';
    throw new GametapeError('DAMAGED', `${source.name}: no block in it can be replayed: ${first?.reason}`, { hint });
  }
  return { blocks, bad, gaps, checkpoints, end };
}

interface Restoring {
  readonly survey: BlockSurvey;
  readonly known: KnownRecording;
  readonly kept: Kept;
  readonly losses: Losses<KeptBlock>;
  readonly compression: Compression;
}

export interface Restored {
  readonly restoration: Restoration;
  readonly summary: RecordingSummary;
  readonly statesDiffer: boolean;
}

interface PlacedBlock {
  readonly block: KeptBlock;
  readonly run: Run<KeptBlock>;
  /** Producers that no block before it in its run knows. */
  readonly starts: ReadonlySet<number>;
  /** When it has to be read, in microseconds of room time. */
  readonly firstTime: number;
}

/** The keyframes that a run starts from have to be known before any of its entries, and entries that came late lie behind them. */
function placeBlocks(run: Run<KeptBlock>): PlacedBlock[] {
  const earliest = Array.from(run.blocks, ({ header }) => header.firstTime);
  for (let i = earliest.length - 2; i >= 0; i--) earliest[i] = Math.min(Number(earliest[i]), Number(earliest[i + 1]));
  const seen = new Set<number>();
  return run.blocks.map((block, i) => {
    const starts = new Set(block.producers.filter((producer) => !seen.has(producer)));
    for (const producer of starts) seen.add(producer);
    const isStart = block.keyframes.some((producer) => starts.has(producer));
    return { block, run, starts, firstTime: isStart ? Number(earliest[i]) : block.header.firstTime };
  });
}

async function restore(source: ByteSource, sink: ByteSink, restoring: Restoring): Promise<Restored> {
  const { survey, known, kept, losses, compression } = restoring;
  const epoch = kept.blocks.reduce((highest, { header }) => Math.max(highest, header.epoch), 1);
  const writer = new RecordingWriter(sink, known.meta, { compression, epoch });
  const isMade = known.meta.source !== undefined;
  const restoration = await Restoration.start({
    writer,
    profile: profileNamed(known.meta.profile),
    compression,
    producers: [...known.producers.values()].sort((a, b) => a.index - b.index),
    gaps: new StatedGaps(kept.gaps),
    checkpoints: kept.checkpoints,
    isFinished: survey.index !== undefined,
    isMade,
  });
  const blocks = losses.runs.flatMap(placeBlocks);
  const read = async ({ block, run, starts }: PlacedBlock): Promise<readonly FoundEntry[]> => {
    const stored = await storedBytes(source, block);
    const content = loadBlock(block.header, stored, known, compression);
    restoration.expect(run, content, starts);
    for (const record of content.unknown) writer.addUnknown(record);
    const isBreak = isMade || (run.loss !== undefined && run.blocks[0] === block);
    const clock = isBreak && content.clock ? { ...content.clock, time: block.header.firstTime } : undefined;
    return content.entries.map((entry, i) => ({ ...entry, run, ...(i === 0 && clock && { clock }) }));
  };
  for await (const run of timelineOrder(blocks, read)) for (const entry of run) await restoration.add(entry);
  await restoration.finish();
  for (const record of survey.index?.unknown ?? []) writer.addUnknown(record, 'index');
  nameLostSeqs(losses, restoration.seqs, survey.index);
  const end = endOf(restoring, restoration);
  if (losses.tail) loseTail(restoration, losses.tail, end, known);
  stateLoss(restoring, restoration, end);
  const isWhole = losses.runs.every(({ loss }) => !loss) && !losses.tail;
  const statesDiffer =
    isWhole && !hasHashes({ hashes: survey.index?.summary.hashes ?? [] }, restoration.contexts, compression);
  return { restoration, summary: await writer.finish(end), statesDiffer };
}

/** How the recording ended, from its index, else from its last block; what nobody says is not known. */
function endOf({ survey, kept, losses, known }: Restoring, { contexts, events }: Restoration): RecordingEnd {
  const { index, footer } = survey;
  const lastTime = kept.blocks.reduce((latest, { header }) => Math.max(latest, header.lastTime), 0);
  const endedAt = index?.summary.endedAt ?? kept.end?.endedAt ?? lastTime;
  const outcome = index?.summary.outcome ?? kept.end?.outcome;
  const ended = {
    endedAt: Number.isSafeInteger(endedAt) && endedAt > lastTime ? endedAt : lastTime,
    ...(outcome && { outcome }),
  };
  const stated = index ? index.summary.players.map(({ id, expected }) => [id, expected] as const) : kept.end?.expected;
  // The footer counts the events of all players: with none missing, what is here is all there was.
  const isWhole = losses.runs.every(({ loss }) => !loss) && !losses.tail;
  if (!stated && isWhole && footer?.complete && footer.events === events) return ended;
  const expected = new Map<string, number | null>(
    [...known.producers.values(), ...contexts.values()].map(({ player }) => [player, null]),
  );
  for (const [player, count] of stated ?? []) {
    if (expected.has(player)) expected.set(player, isCount(count) ? count : null);
  }
  return { ...ended, expected };
}

/** What players had after the last block that is kept: as far as it is known how far they went. */
function loseTail(
  restoration: Restoration,
  tail: NonNullable<Losses['tail']>,
  { expected }: RecordingEnd,
  known: KnownRecording,
): void {
  const producers = new Map<string, ProducerContext[]>();
  for (const { index, player } of known.producers.values()) {
    const context = restoration.contexts.get(index);
    if (context) producers.set(player, [...(producers.get(player) ?? []), context]);
  }
  for (const [player, own] of producers) {
    const [only] = own;
    const count = expected?.get(player) ?? null;
    // Of several producers of one player nothing says how far each went.
    if (count === null || own.length > 1) {
      const last = own.at(-1);
      if (last) tail.players.push({ id: player, pseqFrom: last.pseq + 1, pseqTo: null });
    } else if (only && count > only.pseq) restoration.loseUpTo(only, count, tail);
  }
}

/** A recording that has lost something is not complete, also where it was nothing that a player had numbered. */
function stateLoss({ losses }: Restoring, restoration: Restoration, { expected }: RecordingEnd): void {
  const isWhole = losses.runs.every(({ loss }) => !loss) && !losses.tail && restoration.refused === 0;
  const isStated = restoration.hasGaps || [...(expected?.values() ?? [])].includes(null);
  if (isWhole || isStated) return;
  for (const context of restoration.contexts.values()) restoration.loseOwn(context);
}

function isCount(count: number | null): boolean {
  return count !== null && Number.isSafeInteger(count) && count >= 0;
}
