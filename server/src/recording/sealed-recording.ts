import {
  BLOCK_HEADER_BYTES,
  type BlockRow,
  type ByteSource,
  BytesSource,
  type CheckpointRecord,
  type Compression,
  decodeBlockHeader,
  FILE_HEADER_BYTES,
  GametapeError,
  type GapRecord,
  type ProducerRecord,
  type RecordingMeta,
  RecordingReader,
  type TimelineEntry,
} from '@gametape/shared';
import { BlockChain } from '../journal/block-chain.ts';
import type { Files } from '../journal/files.ts';
import type { SealedBlocks } from '../journal/journal.ts';
import { scanLog } from '../journal/log-scan.ts';
import { timelineOrder } from './timeline-order.ts';

interface SealedBlock {
  readonly index: number;
  readonly firstTime: number;
}

/** The sealed blocks of one recording, read in the order of the timeline. Close it. */
export class SealedRecording {
  readonly #source: ByteSource;
  readonly #reader: RecordingReader;
  readonly #blocks: readonly SealedBlock[];

  private constructor(source: ByteSource, reader: RecordingReader) {
    this.#source = source;
    this.#reader = reader;
    this.#blocks = withoutRepeated(reader.blocks);
  }

  /**
   * @throws GametapeError `DAMAGED` when something in it is not intact, or not there: finishing it like this would lose what
   *   is, and not say what is not.
   */
  static async open(sealed: SealedBlocks, files: Files, compression: Compression): Promise<SealedRecording> {
    const source = await openSealedBlocks(sealed, files);
    try {
      const reader = await RecordingReader.open(source, compression);
      const last = reader.blocks.at(-1);
      await expectNoMore(source, last ? last.offset + last.length : FILE_HEADER_BYTES, compression);
      await expectChain(source, reader.blocks, compression);
      await expectEnd(reader);
      return new SealedRecording(source, reader);
    } catch (error) {
      await source.close?.();
      throw error;
    }
  }

  get meta(): RecordingMeta {
    return this.#reader.meta;
  }

  get producers(): readonly ProducerRecord[] {
    return [...this.#reader.producers.values()].sort((a, b) => a.index - b.index);
  }

  /** Gaps of each producer by pseq, each once. */
  get gaps(): readonly GapRecord[] {
    const gaps = new Map(this.#reader.gaps.map((gap) => [`${gap.producer} ${gap.firstPseq} ${gap.lastPseq}`, gap]));
    return [...gaps.values()].sort((a, b) => a.producer - b.producer || a.firstPseq - b.firstPseq);
  }

  /** Names of checkpoints by the seq of their entry. */
  get checkpoints(): ReadonlyMap<number, ReadonlySet<CheckpointRecord['name']>> {
    const checkpoints = new Map<number, Set<string>>();
    for (const { name, seq } of this.#reader.checkpoints) {
      checkpoints.set(seq, (checkpoints.get(seq) ?? new Set()).add(name));
    }
    return checkpoints;
  }

  /** The latest incarnation of the room's journal that wrote to it. */
  async epoch(): Promise<number> {
    const last = this.#blocks.at(-1);
    return last ? (await this.#reader.readBlock(last.index)).header.epoch : 1;
  }

  /** All entries in timeline order (T3), in runs. */
  entries(): AsyncGenerator<readonly TimelineEntry[]> {
    return timelineOrder(this.#blocks, async ({ index }) => (await this.#reader.readBlock(index)).content.entries);
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

export async function openSealedBlocks(sealed: SealedBlocks, files: Files): Promise<ByteSource> {
  return sealed.kind === 'file' ? await files.read(sealed.path) : new BytesSource(sealed.bytes);
}

/** A block whose seal was repeated after a crash is there twice. */
function withoutRepeated(rows: readonly BlockRow[]): SealedBlock[] {
  const blocks: SealedBlock[] = [];
  let lastFirstSeq = 0;
  for (const [index, { entries, firstSeq, firstTime }] of rows.entries()) {
    if (entries === 0 || firstSeq <= lastFirstSeq) continue;
    lastFirstSeq = firstSeq;
    blocks.push({ index, firstTime });
  }
  return blocks;
}

/** The reader stops at the first block that is not intact: only the torn start of one may be there. */
async function expectNoMore(source: ByteSource, from: number, compression: Compression): Promise<void> {
  for await (const scanned of scanLog(source, from, await source.size(), compression)) {
    if (scanned.kind === 'damage' && scanned.isTorn) return;
    const reason = scanned.kind === 'damage' ? scanned.reason : 'it cannot be read';
    throw new GametapeError('DAMAGED', `${source.name}: block at byte ${scanned.offset}: ${reason}`);
  }
}

async function expectChain(source: ByteSource, rows: readonly BlockRow[], compression: Compression): Promise<void> {
  const chain = new BlockChain();
  for (const { offset } of rows) {
    const header = decodeBlockHeader(await source.read(offset, BLOCK_HEADER_BYTES), 0, compression);
    if (chain.add(header) !== 'hole') continue;
    throw new GametapeError('DAMAGED', `${source.name}: block at byte ${offset} follows one that is not there`);
  }
}

/** A room that has ended says so in its last block. */
async function expectEnd(reader: RecordingReader): Promise<void> {
  const last = reader.blocks.length - 1;
  if (last >= 0 && (await reader.readBlock(last)).content.end) return;
  throw new GametapeError('DAMAGED', `${reader.source.name}: the last block does not say that the room has ended`);
}
