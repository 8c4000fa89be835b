import { BlockKind, type PlayerSummary, type RecordingMeta, type RecordingSummary } from '@gametape/shared';
import type { ScannedDamage } from '../journal/log-scan.ts';
import type { BlockSurvey, ForeignBlocks, FoundBlock } from './block-survey.ts';
import type { Loss, Losses } from './losses.ts';
import type { MetaSource } from './recovered-meta.ts';
import type { DroppedCheckpoint, Restoration } from './restoration.ts';

/** What was recovered of a file, and what is lost. */
export interface RecoverReport {
  readonly recordingId: string;
  readonly room: string;
  readonly profile: string;
  readonly metaFrom: MetaSource;
  /** The damaged file had its index. */
  readonly finished: boolean;
  /** Every event that any player recorded is in the new file. */
  readonly complete: boolean;
  readonly blocks: {
    readonly kept: number;
    readonly damaged: number;
    /** Blocks that are there more than once. */
    readonly repeated: number;
  };
  readonly entries: number;
  readonly events: number;
  readonly bytes: number;
  /** Bytes that are no intact block of this recording. */
  readonly bytesSetAside: number;
  readonly setAside: readonly { readonly fromByte: number; readonly toByte: number; readonly reason: string }[];
  readonly lost: readonly Loss[];
  readonly players: readonly PlayerSummary[];
  readonly checkpointsDropped: readonly DroppedCheckpoint[];
  /** Blocks of other recordings in the same file. */
  readonly foreign: readonly ForeignBlocks[];
  /** What else is wrong, in readable lines. */
  readonly warnings: readonly string[];
}

/** True if something is known to be lost: that the end is missing of what was never finished is none. */
export function hasLosses({ lost, checkpointsDropped, warnings }: RecoverReport): boolean {
  return lost.length > 0 || checkpointsDropped.length > 0 || warnings.length > 0;
}

export interface Findings {
  readonly survey: BlockSurvey;
  readonly meta: RecordingMeta;
  readonly metaSource: MetaSource;
  readonly blocks: readonly FoundBlock[];
  readonly bad: readonly ScannedDamage[];
  readonly end: unknown;
  readonly losses: Losses;
  readonly restoration: Restoration;
  readonly summary: RecordingSummary;
  readonly statesDiffer: boolean;
}

export function makeReport(findings: Findings): RecoverReport {
  const { survey, meta, metaSource, blocks, bad, losses, restoration, summary } = findings;
  const { index, foreign, bytes } = survey;
  const damage = [...survey.damage, ...bad].sort((a, b) => a.offset - b.offset);
  const lost = losses.runs.flatMap(({ loss }) => loss ?? []);
  if (losses.tail) lost.push(losses.tail);
  const end = lostEnd(findings);
  if (end) lost.push(end);
  return {
    recordingId: survey.recordingId,
    room: meta.room,
    profile: meta.profile,
    metaFrom: metaSource,
    finished: index !== undefined,
    complete: summary.complete,
    blocks: {
      kept: blocks.length,
      damaged: index ? index.blocks.length - blocks.length : damage.length,
      repeated: survey.repeated,
    },
    entries: restoration.entries,
    events: restoration.events,
    bytes,
    bytesSetAside: sum(damage.map(({ length }) => length)) + sum(foreign.map((other) => other.bytes)),
    setAside: damage.map(({ offset, length, reason }) => ({ fromByte: offset, toByte: offset + length, reason })),
    lost,
    players: summary.players,
    checkpointsDropped: restoration.dropped,
    foreign,
    warnings: warningsOf(findings),
  };
}

const OTHER_INDEX = 'it is not of the blocks that are there';

/** All blocks are there, but not the index that said how the recording ended. */
function lostEnd({ survey, end, losses }: Findings): Loss | undefined {
  if (survey.index || end || losses.tail) return undefined;
  const { footer, bytes } = survey;
  const region = survey.damage.find(({ header }) => header?.kind === BlockKind.Index) ?? survey.damage.at(-1);
  if (!footer && region?.header?.kind !== BlockKind.Index) return undefined;
  const { offset, length, reason } = region ?? { offset: footer?.indexOffset ?? 0, length: 0, reason: OTHER_INDEX };
  const open = { seqFrom: null, seqTo: null, timeFromS: null, timeToS: null };
  const what = `the index, which said when and how it ended: ${reason}`;
  return { fromByte: offset, toByte: region ? offset + length : bytes, reason: what, ...open, events: 0, players: [] };
}

function warningsOf({ restoration, statesDiffer, survey }: Findings): string[] {
  const warnings: string[] = [];
  const { refused } = restoration;
  if (refused > 0) warnings.push(`${refused} entries contradict those of other blocks and are left out`);
  if (statesDiffer) warnings.push('the states at the end do not have the hashes that the index has of them');
  const { index } = survey;
  if (index && restoration.events > index.summary.events) {
    warnings.push(`the index counts ${index.summary.events} events, its blocks hold ${restoration.events}`);
  }
  return warnings;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
