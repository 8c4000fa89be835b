import {
  type CheckpointRecord,
  type ClockRecord,
  type Compression,
  type EventBlock,
  isGametapeError,
  ProducerContext,
  type ProducerRecord,
  type Profile,
  type RecordingWriter,
  type TimelineEntry,
} from '@gametape/shared';
import { hasHashes } from './block-check.ts';
import type { Loss, Run } from './losses.ts';
import { SeqSet } from './seq-set.ts';
import type { StatedGaps } from './stated-gaps.ts';

/** An entry with the run of blocks it comes from. */
export interface FoundEntry extends TimelineEntry {
  readonly run: Run;
  /** At the first entry of a block that does not go on from the one before it: where play time stands. */
  readonly clock?: (ClockRecord & { readonly time: number }) | undefined;
}

/** A checkpoint that is not in the recovered recording, and why. */
export interface DroppedCheckpoint {
  readonly name: string;
  readonly reason: string;
}

/** A producer as a run of blocks knows it, waiting for the place in the timeline where that is so. */
interface Waiting {
  readonly keyframe: ProducerContext;
  readonly run: Run;
}

export interface RestorationOptions {
  readonly writer: RecordingWriter;
  readonly profile: Profile;
  readonly compression: Compression;
  readonly producers: Iterable<ProducerRecord>;
  readonly gaps: StatedGaps;
  readonly checkpoints: readonly CheckpointRecord[];
  /** The hashes of checkpoints are of states in timeline order: the file was finished. */
  readonly isFinished: boolean;
  /** It was made from parts of other recordings: its producers start, and go on, where those do. */
  readonly isMade: boolean;
}

/**
 * Puts the entries of intact blocks together again. Where something is lost, each producer goes on from the keyframe of
 * the first block after it, and what its numbers say is missing is stated as a gap.
 */
export class Restoration {
  entries = 0;
  events = 0;
  /** Entries that are in more than one block. */
  repeated = 0;
  /** Entries that do not follow from those before them, and are left out. */
  refused = 0;
  /** Something about a producer is stated to be lost. */
  hasGaps = false;
  readonly dropped: DroppedCheckpoint[] = [];
  /** Of the entries that are in the new recording. */
  readonly seqs = new SeqSet();
  /** Every producer as it is now. The writer keeps them up to date. */
  readonly contexts = new Map<number, ProducerContext>();
  readonly #writer: RecordingWriter;
  readonly #options: RestorationOptions;
  readonly #refused = new Set<number>();
  readonly #checkpoints = new Map<number, CheckpointRecord[]>();
  #waiting: Waiting[] = [];
  #previous: FoundEntry | undefined;
  #lost = 0;

  private constructor(options: RestorationOptions) {
    this.#options = options;
    this.#writer = options.writer;
    for (const producer of options.producers) {
      this.contexts.set(producer.index, new ProducerContext(options.profile, producer));
    }
    const names = new Set<string>();
    for (const checkpoint of options.checkpoints) {
      const name = `${checkpoint.seq} ${checkpoint.name}`;
      if (names.has(name)) continue;
      names.add(name);
      const others = this.#checkpoints.get(checkpoint.seq);
      if (others) others.push(checkpoint);
      else this.#checkpoints.set(checkpoint.seq, [checkpoint]);
    }
  }

  static async start(options: RestorationOptions): Promise<Restoration> {
    const restoration = new Restoration(options);
    await options.writer.resume(restoration.contexts.values());
    // Those of before the first event.
    restoration.#addCheckpoints({ seq: 0, time: 0 }, true);
    return restoration;
  }

  /**
   * Takes note of a block that is about to give its entries. A producer goes on from a keyframe where its run begins; those of
   * later blocks may be ahead of it, because blocks of an unfinished recording overlap in time.
   *
   * @param starts producers that no block before it in the run knows
   */
  expect(run: Run, content: EventBlock, starts: ReadonlySet<number>): void {
    for (const keyframe of content.keyframes()) {
      const { index } = keyframe;
      const goesOn = !starts.has(index) && !this.#refused.has(index);
      if (goesOn && !this.#options.isMade) continue;
      const isWaiting = this.#waiting.some((other) => other.run === run && other.keyframe.index === index);
      if (isWaiting && !this.#options.isMade) continue;
      this.#waiting.push({ keyframe, run });
    }
  }

  /** The next entry of the timeline. */
  async add(entry: FoundEntry): Promise<void> {
    if (entry.clock) await this.#writer.resume([], entry.clock);
    if (this.#waiting.length > 0) {
      // In a finished file all that comes before a block is in the blocks before it.
      const { isFinished } = this.#options;
      await this.#resumeDue((waiting) => (isFinished && waiting.run === entry.run) || isDue(waiting, entry));
    }
    const context = this.contexts.get(entry.producer);
    if (!context || this.#isRepeated(entry, context)) {
      this.repeated++;
      return;
    }
    this.#previous = entry;
    if (this.#refused.has(entry.producer)) {
      this.refused++;
      return;
    }
    const { producer, pseq } = entry;
    if (pseq > context.pseq + 1) this.#addLost(context, pseq - 1, undefined);
    for (const gap of this.#options.gaps.takeBefore(producer, pseq)) this.#writer.addGap(gap);
    try {
      const { event } = await this.#writer.add(entry);
      this.entries++;
      this.seqs.add(entry.seq);
      if (event) this.events++;
      this.#addCheckpoints(entry, event !== undefined);
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      // It stood on its own keyframes, but not on what other blocks say: none of it until the next keyframe.
      this.#refused.add(producer);
      this.refused++;
    }
  }

  /** What the blocks say that no entry comes after. */
  async finish(): Promise<void> {
    await this.#resumeDue(() => true);
    for (const gap of this.#options.gaps.rest()) this.#writer.addGap(gap);
    for (const { name } of [...this.#checkpoints.values()].flat()) {
      this.dropped.push({ name, reason: 'its event is lost' });
    }
  }

  /** States that a producer has lost everything up to that number. */
  loseUpTo(context: ProducerContext, pseq: number, loss: Loss): void {
    this.#addLost(context, pseq, loss);
  }

  /** States that something the relay made about a producer is lost: a gap of no numbers. */
  loseOwn({ index, pseq }: ProducerContext): void {
    this.hasGaps = true;
    this.#writer.addGap({ producer: index, firstPseq: pseq + 1, lastPseq: pseq, reason: DAMAGED });
  }

  #isRepeated(entry: FoundEntry, context: ProducerContext): boolean {
    const { pseq, time, hlc, seq, producer } = entry;
    if (pseq > 0) return pseq <= context.pseq;
    const previous = this.#previous;
    if (previous && previous.seq === seq && previous.producer === producer) return true;
    return time < context.time || (time === context.time && hlc < context.hlc);
  }

  async #resumeDue(isDueNow: (waiting: Waiting) => boolean): Promise<void> {
    const due = this.#waiting.filter(isDueNow);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    const resumed: ProducerContext[] = [];
    const lost: { before: ProducerContext; after: ProducerContext; loss: Loss | undefined }[] = [];
    for (const { keyframe, run } of due) {
      const { index } = keyframe;
      const before = this.contexts.get(index);
      const isFurther = !before || keyframe.pseq > before.pseq || this.#refused.has(index);
      if (!isFurther && (keyframe.pseq < before.pseq || this.#isSame(before, keyframe))) continue;
      if (before && this.#isLoss(before, run)) lost.push({ before, after: keyframe, loss: run.loss });
      this.#refused.delete(index);
      this.contexts.set(index, keyframe);
      resumed.push(keyframe);
    }
    if (resumed.length === 0) return;
    await this.#writer.resume(resumed);
    for (const { before, after, loss } of lost) {
      // Where a producer of a part had started is not known.
      const isNew = this.#options.isMade && before.pseq === 0;
      if (after.pseq > before.pseq && !isNew) this.#addLost(before, after.pseq, loss);
      else this.loseOwn(after);
    }
  }

  /** Without a loss a producer goes on from elsewhere because that is how the recording was made. */
  #isLoss({ index }: ProducerContext, { loss }: Run): boolean {
    return loss !== undefined || this.#refused.has(index);
  }

  #addLost({ index, player, pseq }: ProducerContext, lastPseq: number, loss: Loss | undefined): void {
    for (const [first, last] of this.#options.gaps.unstated(index, pseq + 1, lastPseq)) {
      this.hasGaps = true;
      this.#lost += last - first + 1;
      this.#writer.addGap({ producer: index, firstPseq: first, lastPseq: last, reason: DAMAGED });
      loss?.players.push({ id: player, pseqFrom: first, pseqTo: last });
    }
  }

  /** How many numbers of producers are stated to be lost. */
  get lost(): number {
    return this.#lost;
  }

  #addCheckpoints(entry: Pick<TimelineEntry, 'seq' | 'time'>, isEvent: boolean): void {
    const checkpoints = this.#checkpoints.get(entry.seq);
    if (!checkpoints) return;
    this.#checkpoints.delete(entry.seq);
    const { isFinished, compression } = this.#options;
    for (const checkpoint of checkpoints) {
      const { name, eventIndex } = checkpoint;
      if (isFinished && !hasHashes(checkpoint, this.contexts, compression)) {
        this.dropped.push({ name, reason: 'the states there do not have the hashes that were recorded of them' });
      } else if (isEvent && entry.seq > 0) this.#writer.addCheckpoint(name, entry);
      else this.#writer.addCheckpoint(name, entry, Math.min(eventIndex, this.events));
    }
  }

  #isSame(one: ProducerContext, other: ProducerContext): boolean {
    const { crc32 } = this.#options.compression;
    const [words, otherWords] = [one.vocabulary, other.vocabulary];
    return (
      one.pseq === other.pseq &&
      one.time === other.time &&
      one.hlc === other.hlc &&
      one.stamp === other.stamp &&
      words.learnedNames.length === otherWords.learnedNames.length &&
      words.learnedTemplates.length === otherWords.learnedTemplates.length &&
      one.state.hash(crc32) === other.state.hash(crc32)
    );
  }
}

const DAMAGED = 'damaged';

/** Nothing that comes before the keyframe is still to come: each producer's entries are in order. */
function isDue({ keyframe, run }: Waiting, { producer, time, hlc, run: own }: FoundEntry): boolean {
  if (time > keyframe.time || (time === keyframe.time && hlc > keyframe.hlc)) return true;
  return producer === keyframe.index && run === own;
}
