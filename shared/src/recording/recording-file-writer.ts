import { GametapeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { type BlockLink, NO_BLOCK } from './block.ts';
import type { ClosedBlock } from './block-builder.ts';
import { BlockDigest } from './block-digest.ts';
import type { ByteSink, Compression } from './byte-io.ts';
import { type BlockRow, encodeFileHeader, encodeFooter, FILE_HEADER_BYTES } from './index-block.ts';
import type { MarkerRecord } from './markers.ts';
import type { PlayClock } from './play-clock.ts';
import { encodeIndex, type RecordingIndex } from './recording-index.ts';
import type {
  CheckpointRecord,
  GapRecord,
  ProducerRecord,
  RecordingMeta,
  RecordingSummary,
  UnknownRecord,
} from './records.ts';

/** An index goes into the file on the way at least this often: one is found by reading back twice as far from its end. */
export const INDEX_EVERY_BYTES = 4 * 1024 * 1024;
const INDEX_EVERY_BLOCKS = 32;

export interface RecordingFileOptions {
  readonly sink: ByteSink;
  readonly meta: RecordingMeta;
  readonly epoch: number;
  readonly compression: Compression;
  /** Tells the pauses. */
  readonly clock: PlayClock;
}

/** The file around the blocks: its header, their chain, an index every so often, the last index and the footer (R1, R4). */
export class RecordingFileWriter {
  /** What the last index lists, in the order it came up. */
  readonly producers: ProducerRecord[] = [];
  readonly checkpoints: CheckpointRecord[] = [];
  readonly gaps: GapRecord[] = [];
  readonly markers: MarkerRecord[] = [];
  readonly unknown: UnknownRecord[] = [];
  readonly #blocks: BlockRow[] = [];
  readonly #sink: ByteSink;
  readonly #meta: RecordingMeta;
  readonly #epoch: number;
  readonly #compression: Compression;
  readonly #clock: PlayClock;
  readonly #digest: BlockDigest;
  #previous: BlockLink = NO_BLOCK;
  #offset = 0;
  #lastIndex: WrittenIndex | undefined;

  constructor({ sink, meta, epoch, compression, clock }: RecordingFileOptions) {
    this.#sink = sink;
    this.#meta = meta;
    this.#epoch = epoch;
    this.#compression = compression;
    this.#clock = clock;
    this.#digest = new BlockDigest(compression);
  }

  get hasBlocks(): boolean {
    return this.#blocks.length > 0;
  }

  /** What the next block says of the one before. */
  get previous(): BlockLink {
    return this.#previous;
  }

  /**
   * @param events those of its entries that are events and not mere state changes
   * @throws GametapeError `LIMIT_EXCEEDED`
   */
  async addBlock(closed: ClosedBlock, events: number): Promise<void> {
    if (this.#offset === 0) {
      await this.#sink.write(encodeFileHeader(this.#compression));
      this.#offset = FILE_HEADER_BYTES;
    }
    if (this.#blocks.length >= LIMITS.blocks) {
      throw new GametapeError('LIMIT_EXCEEDED', `recording: more than ${LIMITS.blocks} blocks`);
    }
    const { bytes, link, events: entries, firstSeq, firstTime, lastTime } = closed;
    const [offset, length, { headerCrc }] = [this.#offset, bytes.length, link];
    await this.#write(bytes, link);
    this.#blocks.push({ offset, length, entries, events, firstSeq, firstTime, lastTime, headerCrc });
    if (this.#isIndexDue()) await this.#writeIndex(this.#listedSince(this.#lastIndex?.listed ?? NOTHING));
  }

  /** The index of the whole recording, and the footer. Resolves with the summary as it is written. */
  async finish(counted: RecordingSummary): Promise<RecordingSummary> {
    const digest = this.#digest.hex;
    const summary = digest === undefined ? counted : { ...counted, digest };
    const indexOffset = this.#offset;
    const indexLength = await this.#writeIndex({ ...this.#listedSince(NOTHING), summary });
    const footer = { indexOffset, indexLength, complete: summary.complete, events: summary.events };
    await this.#sink.write(encodeFooter(footer, this.#compression));
    return summary;
  }

  #isIndexDue(): boolean {
    const blocks = this.#blocks.length - (this.#lastIndex?.listed.blocks ?? 0);
    return blocks >= INDEX_EVERY_BLOCKS || this.#offset - (this.#lastIndex?.end ?? 0) >= INDEX_EVERY_BYTES;
  }

  async #writeIndex(index: RecordingIndex): Promise<number> {
    const offset = this.#offset;
    const place = { offset, epoch: this.#epoch, previous: this.#previous };
    const { bytes, link } = encodeIndex(index, place, this.#compression);
    await this.#write(bytes, link);
    this.#lastIndex = { offset, end: this.#offset, listed: this.#counts() };
    return bytes.length;
  }

  async #write(bytes: Uint8Array, link: BlockLink): Promise<void> {
    await this.#digest.add(bytes);
    this.#offset += bytes.length;
    this.#previous = link;
    await this.#sink.write(bytes);
  }

  /** What came up since the index before; all of it from the start on for the last one. */
  #listedSince({ producers, checkpoints, gaps, markers, pauses, blocks, unknown }: Counts): RecordingIndex {
    return {
      meta: this.#meta,
      producers: this.producers.slice(producers),
      checkpoints: this.checkpoints.slice(checkpoints),
      gaps: this.gaps.slice(gaps),
      markers: this.markers.slice(markers),
      pauses: this.#clock.past.slice(pauses),
      blocks: this.#blocks.slice(blocks),
      summary: undefined,
      previousOffset: this.#lastIndex?.offset,
      unknown: this.unknown.slice(unknown),
    };
  }

  #counts(): Counts {
    return {
      producers: this.producers.length,
      checkpoints: this.checkpoints.length,
      gaps: this.gaps.length,
      markers: this.markers.length,
      pauses: this.#clock.past.length,
      blocks: this.#blocks.length,
      unknown: this.unknown.length,
    };
  }
}

type Counts = Record<'producers' | 'checkpoints' | 'gaps' | 'markers' | 'pauses' | 'blocks' | 'unknown', number>;

const NOTHING: Counts = { producers: 0, checkpoints: 0, gaps: 0, markers: 0, pauses: 0, blocks: 0, unknown: 0 };

/** An index in the file, and how much had come up by then. */
interface WrittenIndex {
  readonly offset: number;
  readonly end: number;
  readonly listed: Counts;
}
