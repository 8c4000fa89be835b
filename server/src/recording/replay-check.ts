import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  BlockKind,
  type BlockLink,
  type BlockReplay,
  type BlockRow,
  type CheckpointRecord,
  type Compression,
  chainFault,
  compareEntries,
  decodeBlockHeader,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  type GapRecord,
  isGametapeError,
  NO_BLOCK,
  type ProducerContext,
  type RecordingReader,
  type TimelineEntry,
  type TimelineStep,
} from '@gametape/shared';
import { checkDigest } from './digest-check.ts';
import { lostWith } from './lost-block.ts';
import { type ChainEnd, passIndexes } from './passed-indexes.ts';
import type { Problems } from './problems.ts';
import { SeenSeqs } from './seen-seqs.ts';
import { SummaryCheck } from './summary-check.ts';

/**
 * Replays a recording from its first block to its last and compares all that it says twice. A damaged block is reported
 * and left out: the ones after it stand on their own keyframes.
 */
export class ReplayCheck {
  entries = 0;
  events = 0;
  statesChecked = 0;
  readonly #reader: RecordingReader;
  readonly #problems: Problems;
  readonly #compression: Compression;
  readonly #summary: SummaryCheck;
  readonly #checkpoints = new Map<number, CheckpointRecord[]>();
  /** Every producer as the blocks so far left it; undefined after a damaged block. */
  #carried: Map<number, ProducerContext> | undefined = new Map();
  /** Last pseq of each producer, while it is known. */
  readonly #pseqs = new Map<number, number>();
  readonly #seqs = new SeenSeqs();
  #previous: TimelineEntry | undefined;
  #isWhole = true;

  constructor(reader: RecordingReader, problems: Problems, compression: Compression) {
    this.#reader = reader;
    this.#problems = problems;
    this.#compression = compression;
    this.#summary = new SummaryCheck(reader, problems);
    for (const checkpoint of reader.checkpoints) {
      const others = this.#checkpoints.get(checkpoint.seq) ?? [];
      this.#checkpoints.set(checkpoint.seq, [...others, checkpoint]);
    }
  }

  async run(): Promise<void> {
    const { blocks } = this.#reader;
    let replay = this.#reader.replayBlocks(0);
    let link: BlockLink = NO_BLOCK;
    let end = FILE_HEADER_BYTES;
    for (const [index, row] of blocks.entries()) {
      const where = `block ${index} at byte ${row.offset}`;
      if (row.offset > end) ({ offset: end, link } = await this.#passIndexes({ offset: end, link }, row.offset));
      if (row.offset !== end) this.#problems.add(where, `expected it at byte ${end}, where the one before ends`);
      end = row.offset + row.length;
      try {
        const { value: block } = await replay.next();
        if (block) this.#checkBlock(block, { row, where, link });
      } catch (error) {
        if (!isGametapeError(error)) throw error;
        this.#problems.add(
          where,
          `${this.#withoutPlace(error.message)}; ${await lostWith(row, this.#reader.source, this.#compression)}`,
          error.code,
        );
        replay = this.#reader.replayBlocks(index + 1);
        this.#skip(row);
      }
      link = { length: row.length, headerCrc: row.headerCrc };
    }
    if (!this.#reader.summary) return;
    ({ offset: end, link } = await this.#passIndexes({ offset: end, link }, this.#reader.bytes - FOOTER_BYTES - 1));
    await this.#checkIndexBlock(end, link);
    await checkDigest(this.#reader, this.#problems, this.#compression);
    if (this.#isWhole && this.#carried) this.#finish(this.#carried);
  }

  #checkBlock(block: BlockReplay, { row, where, link }: { row: BlockRow; where: string; link: BlockLink }): void {
    const { header, content, contexts } = block;
    const fault = chainFault(header, link);
    if (fault) this.#problems.add(where, fault);
    this.#compareHeader(header, row, where);
    const isLeap = this.#compareKeyframes(block, where);
    // What is missing before it may have been pauses.
    if (isLeap && content.clock) this.#summary.agree(header.firstTime, content.clock);
    for (const checkpoint of content.checkpoints) this.#compareCheckpoint(checkpoint, where);
    const eventsBefore = this.events;
    for (const step of block.steps()) this.#checkStep(step, contexts);
    const events = this.events - eventsBefore;
    if (this.#reader.summary && events !== row.events) {
      this.#problems.add(where, `it holds ${events} events, the index says ${row.events}`);
    }
    this.#compareRange(header, content.entries, where);
    const repeated = this.#seqs.add(content.entries.map(({ seq }) => seq));
    if (repeated !== undefined)
      this.#problems.add(where, `its event ${repeated} is there already: a seq is given once`);
    this.#carried = new Map(contexts);
  }

  #checkStep({ entry, body, context }: TimelineStep, contexts: ReadonlyMap<number, ProducerContext>): void {
    const where = `event ${entry.seq} of player ${context.player}`;
    if (this.#previous) this.#checkOrder(this.#previous, entry, where);
    this.#previous = entry;
    this.entries++;
    if (entry.stamp !== null) this.#checkPseq(entry, where);
    if (body.event) this.events++;
    this.#summary.observe(entry, body.event, context.player);
    for (const checkpoint of this.#checkpoints.get(entry.seq) ?? []) {
      this.#checkpoints.delete(entry.seq);
      const { name, time, eventIndex, hashes } = checkpoint;
      if (time !== entry.time)
        this.#problems.add(`checkpoint ${name}`, `its time is ${time}, its event's ${entry.time}`);
      if (this.#reader.summary && body.event && this.#isWhole && eventIndex !== this.events - 1) {
        this.#problems.add(`checkpoint ${name}`, `it names event index ${eventIndex}, its event is ${this.events - 1}`);
      }
      this.#compareHashes(`checkpoint ${name}`, hashes, contexts);
    }
  }

  /** A finished recording is in the order of the timeline. In a room's own file, until then, entries lie as they came in. */
  #checkOrder(previous: TimelineEntry, entry: TimelineEntry, where: string): void {
    if (compareEntries(previous, entry) < 0) return;
    const cameLater = !this.#reader.summary && entry.seq > previous.seq;
    if (cameLater) return;
    this.#problems.add(where, `it does not come after event ${previous.seq} in the order of the timeline (T3)`);
  }

  /** T3: per player in pseq order, each once, and what is missing is stated. */
  #checkPseq({ producer, pseq }: TimelineEntry, where: string): void {
    const last = this.#pseqs.get(producer) ?? 0;
    this.#pseqs.set(producer, Math.max(last, pseq));
    if (pseq <= last) this.#problems.add(where, `its number ${pseq} comes after number ${last} of the same producer`);
    else if (pseq > last + 1 && !this.#isStated(producer, last + 1, pseq - 1)) {
      this.#problems.add(where, `numbers ${last + 1} to ${pseq - 1} of its producer are missing, and no gap says so`);
    }
  }

  #isStated(producer: number, first: number, last: number): boolean {
    const gaps = this.#reader.gaps.filter((gap) => gap.producer === producer).sort((a, b) => a.firstPseq - b.firstPseq);
    let next = first;
    for (const { firstPseq, lastPseq } of gaps) if (firstPseq <= next) next = Math.max(next, lastPseq + 1);
    return next > last;
  }

  /**
   * A finished file's keyframes are what the replay came to: each block can be started from (R1). True where a gap states
   * that one is not, because something before the block is missing.
   */
  #compareKeyframes({ index, content }: BlockReplay, where: string): boolean {
    const isMade = this.#reader.meta.source !== undefined;
    let isLeap = false;
    for (const keyframe of content.keyframes()) {
      const before = this.#carried?.get(keyframe.index);
      // What was made from parts starts where they do.
      const mayStartHere = !this.#carried || index === 0 || isMade;
      if (!before) {
        isLeap ||= keyframe.pseq > 0 && this.#isStated(keyframe.index, 1, keyframe.pseq);
        if (mayStartHere) this.#pseqs.set(keyframe.index, keyframe.pseq);
        continue;
      }
      const hasSameWords =
        before.vocabulary.learnedNames.length === keyframe.vocabulary.learnedNames.length &&
        before.vocabulary.learnedTemplates.length === keyframe.vocabulary.learnedTemplates.length;
      const isSame =
        before.pseq === keyframe.pseq &&
        before.stamp === keyframe.stamp &&
        (hasSameWords || isMade) &&
        this.#hash(before) === this.#hash(keyframe);
      this.statesChecked++;
      if (this.#isLeap(before, keyframe)) {
        isLeap = true;
        this.#pseqs.set(keyframe.index, keyframe.pseq);
      } else if (!isSame)
        this.#problems.add(where, `its keyframe of player ${keyframe.player} is not what the blocks before lead to`);
    }
    return isLeap;
  }

  /** A producer goes on from elsewhere, and a gap says what is missing in between, if only of what the relay made. */
  #isLeap(before: ProducerContext, { index, pseq }: ProducerContext): boolean {
    const isGap = (gap: GapRecord) => gap.producer === index && gap.firstPseq === before.pseq + 1;
    if (pseq < before.pseq) return false;
    if (pseq === before.pseq) return this.#reader.gaps.some((gap) => isGap(gap) && gap.lastPseq === pseq);
    return this.#isStated(index, before.pseq + 1, pseq);
  }

  #compareHeader(header: BlockHeader, row: BlockRow, where: string): void {
    const isSame =
      header.firstSeq === row.firstSeq &&
      header.firstTime === row.firstTime &&
      header.lastTime === row.lastTime &&
      header.events === row.entries;
    if (!isSame) this.#problems.add(where, 'its header and the index differ in its range or its count of entries');
  }

  #compareRange(header: BlockHeader, entries: readonly TimelineEntry[], where: string): void {
    const isInside = ({ seq, time }: TimelineEntry) =>
      seq >= header.firstSeq && seq <= header.lastSeq && time >= header.firstTime && time <= header.lastTime;
    const outside = entries.find((entry) => !isInside(entry));
    if (outside) this.#problems.add(where, `event ${outside.seq} lies outside of the range that its header states`);
  }

  #compareCheckpoint(checkpoint: CheckpointRecord, where: string): void {
    const listed = this.#checkpoints.get(checkpoint.seq)?.find(({ name }) => name === checkpoint.name);
    if (!listed || JSON.stringify(listed) !== JSON.stringify(checkpoint)) {
      this.#problems.add(where, `its checkpoint ${checkpoint.name} is not the one that the index lists`);
    }
  }

  #compareHashes(
    where: string,
    hashes: CheckpointRecord['hashes'],
    contexts: ReadonlyMap<number, ProducerContext>,
  ): void {
    for (const [producer, hash] of hashes) {
      const context = contexts.get(producer);
      this.statesChecked++;
      if (!context) this.#problems.add(where, `it has the hash of a state of producer ${producer}, which has none`);
      else if (this.#hash(context) !== hash) {
        this.#problems.add(
          where,
          `the state of player ${context.player} does not have the hash that was recorded of it`,
        );
      }
    }
  }

  async #passIndexes(end: ChainEnd, limit: number): Promise<ChainEnd> {
    try {
      return await passIndexes(this.#reader, end, { limit, problems: this.#problems, compression: this.#compression });
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      this.#problems.add(`byte ${end.offset}`, error.message, error.code);
      return end;
    }
  }

  /** The index is the last block of the chain, and ends where the footer begins. */
  async #checkIndexBlock(offset: number, link: BlockLink): Promise<void> {
    const { source, bytes } = this.#reader;
    const where = `index at byte ${offset}`;
    try {
      const header = decodeBlockHeader(await source.read(offset, BLOCK_HEADER_BYTES), 0, this.#compression);
      const fault = chainFault(header, link);
      if (fault) this.#problems.add(where, fault);
      const isLast =
        header.kind === BlockKind.Index && offset + BLOCK_HEADER_BYTES + header.storedLength === bytes - FOOTER_BYTES;
      if (!isLast) this.#problems.add(where, 'expected the index here, up to the footer');
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      this.#problems.add(where, error.message, error.code);
    }
  }

  #skip(row: BlockRow): void {
    this.#isWhole = false;
    this.#carried = undefined;
    this.entries += row.entries;
    this.events += row.events;
  }

  #finish(contexts: ReadonlyMap<number, ProducerContext>): void {
    for (const checkpoint of [...this.#checkpoints.values()].flat()) {
      this.#problems.add(`checkpoint ${checkpoint.name}`, `it names event ${checkpoint.seq}, which is not there`);
    }
    this.#compareHashes('end', this.#reader.summary?.hashes ?? [], contexts);
    this.#summary.finish(this.events);
  }

  #hash(context: ProducerContext): number {
    return context.state.hash(this.#compression.crc32);
  }

  /** The reader puts the file and the block in front; the report has places of its own. */
  #withoutPlace(message: string): string {
    return message.replace(`${this.#reader.source.name}: `, '').replace(/^block \d+ at byte \d+: /, '');
  }
}
