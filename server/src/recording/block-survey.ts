import {
  type BlockHeader,
  BlockKind,
  type ByteSource,
  type Compression,
  decodeFooter,
  decodeIndex,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  type Footer,
  GametapeError,
  isGametapeError,
  linkOf,
  type RecordingIndex,
  type RecordingSummary,
} from '@gametape/shared';
import { linkName } from '../journal/block-chain.ts';
import { type ScannedBlock, type ScannedDamage, scanLog } from '../journal/log-scan.ts';
import { refuseLaterVersion } from './file-version.ts';

/** An events block whose checksums hold. */
export interface FoundBlock {
  readonly offset: number;
  readonly length: number;
  readonly header: BlockHeader;
}

/** Blocks of another recording than the one that most of the file is of. */
export interface ForeignBlocks {
  readonly recordingId: string;
  readonly blocks: number;
  readonly bytes: number;
}

export type WholeIndex = RecordingIndex & { readonly summary: RecordingSummary };

/** What lies in a file, by checksums alone: nothing is inflated but the index. */
export interface BlockSurvey {
  readonly recordingId: string;
  /** Events blocks of that recording in the order of the file, each once. */
  readonly blocks: readonly FoundBlock[];
  /** Its intact blocks of other kinds, such as indexes: the name of each, and of what it follows. */
  readonly others: ReadonlyMap<string, string>;
  readonly repeated: number;
  readonly foreign: readonly ForeignBlocks[];
  readonly damage: readonly ScannedDamage[];
  /** The index of a whole recording that lists all of these blocks. */
  readonly index: WholeIndex | undefined;
  readonly footer: Footer | undefined;
  readonly bytes: number;
}

/** Index blocks that are read, from the last one back, until one is of the blocks that are there. */
const MAX_INDEXES = 4;

/**
 * Walks all of a file, on past any damage (R3).
 *
 * @param wanted a recording id; left out, the one that most bytes of intact blocks are of
 * @throws GametapeError `DAMAGED` when no block is intact, `VERSION_UNKNOWN`
 */
export async function surveyBlocks(
  source: ByteSource,
  compression: Compression,
  wanted?: string,
): Promise<BlockSurvey> {
  const bytes = await source.size();
  const start = await source.read(0, FILE_HEADER_BYTES);
  const header = encodeFileHeader(compression);
  const isSound = header.every((byte, i) => start[i] === byte);
  if (!isSound) refuseLaterVersion(start, compression, source.name);
  const footer = decodeFooter(await source.read(Math.max(0, bytes - FOOTER_BYTES), FOOTER_BYTES), compression);
  const end = footer ? bytes - FOOTER_BYTES : bytes;
  const survey = new Survey();
  for await (const scanned of scanLog(source, isSound ? FILE_HEADER_BYTES : 0, end, compression)) {
    if (scanned.kind === 'block') survey.addBlock(scanned);
    else survey.damage.push(isSound || scanned.offset > 0 ? scanned : { ...scanned, reason: HEADER_FAULT });
  }
  const recordingId = wanted ?? survey.mostBytes();
  if (recordingId === undefined) throw new GametapeError('DAMAGED', `${source.name}: no block in it is intact`, HINT);
  const blocks = survey.blocks.filter((block) => block.header.recordingId === recordingId);
  if (blocks.length === 0) {
    throw new GametapeError('DAMAGED', `${source.name}: no block of recording ${recordingId} is intact`, HINT);
  }
  const others = survey.others.filter(({ header }) => header.recordingId === recordingId);
  return {
    recordingId,
    blocks,
    others: new Map(others.map((other) => [nameOf(other), linkName(other.header.previous)])),
    repeated: survey.repeated,
    foreign: survey.foreign(recordingId),
    damage: survey.damage,
    index: await findIndex(source, others, blocks, compression),
    footer,
    bytes,
  };
}

const HEADER_FAULT = 'the file does not start with the header of a version 2 recording';
const HINT = { hint: 'Nothing can be recovered from it. Look for another copy, or the data directory of its relay.' };

/** The payload of a block as it lies in the file. */
export async function storedBytes(source: ByteSource, { offset, length, header }: FoundBlock): Promise<Uint8Array> {
  return (await source.read(offset, length)).subarray(length - header.storedLength);
}

function nameOf({ header }: FoundBlock): string {
  return linkName(linkOf(header));
}

class Survey {
  readonly blocks: FoundBlock[] = [];
  /** Index blocks, and whatever later versions add. */
  readonly others: FoundBlock[] = [];
  readonly damage: ScannedDamage[] = [];
  repeated = 0;
  readonly #known = new Set<string>();

  addBlock({ offset, header }: ScannedBlock): void {
    const block = { offset, length: linkOf(header).length, header };
    const name = `${header.recordingId}:${nameOf(block)}`;
    if (this.#known.has(name)) {
      this.repeated++;
      return;
    }
    this.#known.add(name);
    (header.kind === BlockKind.Events ? this.blocks : this.others).push(block);
  }

  mostBytes(): string | undefined {
    const [most] = this.#byRecording().sort((a, b) => b.bytes - a.bytes);
    return most?.recordingId;
  }

  foreign(recordingId: string): ForeignBlocks[] {
    return this.#byRecording().filter((other) => other.recordingId !== recordingId);
  }

  #byRecording(): ForeignBlocks[] {
    const found = new Map<string, ForeignBlocks>();
    for (const { header, length } of this.blocks) {
      const { recordingId } = header;
      const { blocks, bytes } = found.get(recordingId) ?? { blocks: 0, bytes: 0 };
      found.set(recordingId, { recordingId, blocks: blocks + 1, bytes: bytes + length });
    }
    return [...found.values()];
  }
}

/** The last index that lists every block that is there: one that does not is of an earlier state of the file. */
async function findIndex(
  source: ByteSource,
  others: readonly FoundBlock[],
  blocks: readonly FoundBlock[],
  compression: Compression,
): Promise<BlockSurvey['index']> {
  const indexes = others.filter(({ header }) => header.kind === BlockKind.Index);
  for (const block of indexes.slice(-MAX_INDEXES).reverse()) {
    const index = await readWholeIndex(source, block, compression);
    const listed = new Set(index?.blocks.map(linkName));
    if (index && blocks.every((listable) => listed.has(nameOf(listable)))) return index;
  }
  return undefined;
}

/** Undefined for one that is not of a whole recording, or not what a writer of the format writes. */
async function readWholeIndex(
  source: ByteSource,
  { offset, length }: FoundBlock,
  compression: Compression,
): Promise<WholeIndex | undefined> {
  try {
    // Bytes that are lost before the index moved it towards the front: its rows are about where it was.
    const index = decodeIndex(await source.read(offset, length), Number.MAX_SAFE_INTEGER, compression);
    const { summary } = index;
    return summary && { ...index, summary };
  } catch (error) {
    if (isGametapeError(error)) return undefined;
    throw error;
  }
}
