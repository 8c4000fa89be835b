import {
  type ByteSink,
  type Compression,
  GametapeError,
  type GapRecord,
  type ProducerContext,
  type RecordingMeta,
  type RecordingReader,
  type RecordingSummary,
  RecordingWriter,
  type TimelineEntry,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { latestLast } from './copy-context.ts';
import { lmspOfPart, outcomeFrom, outcomeOf, sourceOf } from './derived-meta.ts';
import { GapQueue } from './gap-queue.ts';
import { PlayerCounts } from './player-counts.ts';
import { RecordingTimeline, type TimelineRun } from './recording-timeline.ts';
import { secondsBefore } from './shift-seconds.ts';

const MICROSECONDS = 1_000_000;

/** A point of a recording: play time in seconds, or the time of a checkpoint. */
export type CutPoint = { readonly seconds: number } | { readonly checkpoint: string };

export interface CutOptions {
  /** Id of the recording that is written. */
  readonly recordingId: string;
  /** Where the part begins; from the start on if left out. */
  readonly from?: CutPoint | undefined;
  /** What has this time or a later one is not part of it; up to the end if left out. */
  readonly to?: CutPoint | undefined;
  readonly compression?: Compression;
}

export interface CutResult {
  /** Seconds of play time in the recording that was cut. */
  readonly fromS: number;
  readonly toS: number;
  readonly summary: RecordingSummary;
  readonly checkpoints: number;
}

/**
 * Writes the part of a recording from one play time up to another, the second excluded, as a recording of its own: every player
 * has the state it had, and play time starts at 0. Events keep their numbers, checkpoints their hashes. Memory does not grow
 * with either recording (R6).
 *
 * @throws GametapeError `NOT_FOUND` for a checkpoint that is not there or a part that begins after the end, `DAMAGED`
 */
export async function cutRecording(reader: RecordingReader, sink: ByteSink, options: CutOptions): Promise<CutResult> {
  const timeline = await RecordingTimeline.open(reader);
  const fromS = options.from && (await secondsOf(timeline, options.from));
  const toS = options.to && (await secondsOf(timeline, options.to));
  const { endS } = timeline;
  if (fromS !== undefined && toS !== undefined && fromS > toS) {
    throw new GametapeError(
      'NOT_FOUND',
      `${reader.source.name}: the part would end at ${toS} s, before it begins at ${fromS} s`,
      {
        hint: 'Choose a --from that comes before --to.',
      },
    );
  }
  if (fromS !== undefined && fromS > endS) {
    throw new GametapeError(
      'NOT_FOUND',
      `${reader.source.name}: there is nothing from ${fromS} s on, it ends at ${endS} s`,
      {
        hint: 'Run `gametape info FILE` to see how long it is.',
      },
    );
  }
  return await new Cut(timeline, sink, {
    ...options,
    fromS,
    toS: toS !== undefined && toS > endS ? undefined : toS,
  }).run();
}

interface CutRange {
  readonly fromS: number | undefined;
  readonly toS: number | undefined;
  readonly recordingId: string;
  readonly compression?: Compression;
}

class Cut {
  readonly #timeline: RecordingTimeline;
  readonly #range: CutRange;
  readonly #gaps: GapQueue;
  readonly #names: ReadonlyMap<number, ReadonlySet<string>>;
  readonly #counts = new PlayerCounts();
  readonly #compression: Compression;
  readonly #sink: ByteSink;
  /** Every producer as the entries before the part left it, and the latest of each player. */
  readonly #before = new Map<number, ProducerContext>();
  readonly #latest = new Map<string, number>();
  readonly #added = new Set<number>();
  /** What room times of the part are less than those of the recording, and the same for play times. Microseconds. */
  #offset = 0;
  #playOffset = 0;
  #writer: RecordingWriter | undefined;
  #lastTime = 0;
  #events = 0;
  #checkpoints = 0;

  constructor(timeline: RecordingTimeline, sink: ByteSink, range: CutRange) {
    this.#timeline = timeline;
    this.#sink = sink;
    this.#range = range;
    this.#compression = range.compression ?? NODE_COMPRESSION;
    this.#gaps = new GapQueue(timeline.gaps());
    this.#names = timeline.checkpointNames();
  }

  async run(): Promise<CutResult> {
    const { fromS, toS = Number.POSITIVE_INFINITY } = this.#range;
    if (fromS === undefined) await this.#start(undefined);
    for await (const { leaps, clock, entries, unknown } of this.#timeline.runs()) {
      await this.#leap(leaps, clock);
      for (const entry of entries) {
        const shown = this.#timeline.shownTime(entry);
        if (shown >= toS && (this.#writer || shown >= (fromS ?? 0))) return await this.#finish(entry);
        const isBefore = !this.#writer && shown < (fromS ?? 0);
        if (isBefore) this.#pass(entry);
        else await this.#write(this.#writer ?? (await this.#start(entry)), entry);
      }
      for (const record of unknown) this.#writer?.addUnknown(record);
    }
    for (const record of this.#timeline.reader.unknown) this.#writer?.addUnknown(record, 'index');
    return await this.#finish(undefined);
  }

  async #leap(contexts: readonly ProducerContext[], clock: TimelineRun['clock']): Promise<void> {
    if (!this.#writer) for (const context of contexts) this.#note(context);
    else if (contexts.length > 0) await this.#resume(this.#writer, contexts, clock && this.#movedClock(clock));
  }

  #movedClock({ time, pausedUs, paused }: NonNullable<TimelineRun['clock']>): NonNullable<TimelineRun['clock']> {
    const offset = this.#offset;
    const own = Math.max(0, pausedUs - (offset - this.#playOffset));
    return {
      time: time - offset,
      pausedUs: own,
      ...(paused && { paused: { since: paused.since - offset, players: paused.players } }),
    };
  }

  #note(context: ProducerContext): void {
    this.#before.set(context.index, context);
    if (context.state.size > 0 || !this.#latest.has(context.player)) this.#latest.set(context.player, context.index);
  }

  /** An entry before the part: of it only the state is in the part. */
  #pass(entry: TimelineEntry): void {
    const context = this.#before.get(entry.producer) ?? this.#timeline.newContext(entry.producer);
    this.#before.set(context.index, context);
    this.#latest.set(context.player, context.index);
    context.advance(entry, 'DAMAGED', this.#compression.crc32);
    this.#gaps.passedBy(entry);
  }

  async #start(first: TimelineEntry | undefined): Promise<RecordingWriter> {
    const { fromS } = this.#range;
    const { clock, reader } = this.#timeline;
    if (fromS !== undefined) {
      this.#playOffset = Math.round(fromS * MICROSECONDS);
      // Imports have play times of their own, which the clock does not know.
      this.#offset = Math.min(clock.roomTime(this.#playOffset), first?.time ?? Number.POSITIVE_INFINITY);
    }
    const writer = new RecordingWriter(this.#sink, this.#meta(), { compression: this.#compression });
    this.#writer = writer;
    if (fromS === undefined && this.#range.toS === undefined) {
      for (const producer of reader.producers.values()) this.#add(writer, producer.index);
    }
    const contexts = latestLast(this.#before.values(), this.#latest);
    this.#before.clear();
    if (contexts.length > 0) await this.#resume(writer, contexts);
    return writer;
  }

  async #resume(
    writer: RecordingWriter,
    contexts: readonly ProducerContext[],
    clock?: TimelineRun['clock'],
  ): Promise<void> {
    for (const context of contexts) {
      this.#added.add(context.index);
      context.time -= this.#offset;
    }
    await writer.resume(contexts, clock);
  }

  async #write(writer: RecordingWriter, entry: TimelineEntry): Promise<void> {
    const { exact } = entry;
    const time = entry.time - this.#offset;
    const player = this.#add(writer, entry.producer);
    for (const gap of this.#gaps.passedBy(entry)) this.#addGap(writer, gap);
    const shifted = exact === undefined ? {} : { exact: this.#shownInPart(exact) };
    const moved = { ...entry, time, ...shifted };
    const { event } = await writer.add(moved);
    if (event) this.#events++;
    this.#counts.add(player, entry);
    this.#lastTime = Math.max(this.#lastTime, time);
    for (const name of this.#names.get(entry.seq) ?? []) {
      writer.addCheckpoint(name, moved, Math.max(0, this.#events - 1));
      this.#checkpoints++;
    }
  }

  /** Where timestamps go back, an entry in the part may say a time before it. */
  #shownInPart(exact: number): number {
    return this.#playOffset === 0 ? exact : Math.max(0, secondsBefore(exact, this.#playOffset));
  }

  /** Declares a producer at its first entry: those who come later are not in the part. Returns its player. */
  #add(writer: RecordingWriter, index: number): string {
    const producer = this.#timeline.reader.producers.get(index);
    if (!producer)
      throw new GametapeError('DAMAGED', `${this.#timeline.reader.source.name}: undeclared producer ${index}`);
    if (!this.#added.has(index)) {
      this.#added.add(index);
      writer.addProducer(producer);
    }
    return producer.player;
  }

  #addGap(writer: RecordingWriter, gap: GapRecord): void {
    const player = this.#add(writer, gap.producer);
    writer.addGap(gap);
    if (this.#timeline.tailOf(player).countsGaps) this.#counts.miss(player, gap.lastPseq - gap.firstPseq + 1);
  }

  /** `next` is the first entry after the part. */
  async #finish(next: TimelineEntry | undefined): Promise<CutResult> {
    const writer = this.#writer ?? (await this.#start(next));
    const { reader, clock, endS } = this.#timeline;
    const { fromS = 0, toS } = this.#range;
    if (toS === undefined) {
      for (const gap of this.#gaps.rest()) this.#addGap(writer, gap);
      for (const { index } of reader.producers.values()) {
        this.#counts.miss(this.#add(writer, index), 0);
      }
      for (const player of new Set([...reader.producers.values()].map(({ player }) => player))) {
        this.#counts.miss(player, this.#timeline.tailOf(player).missing);
      }
    }
    const endedAt = toS === undefined ? this.#timeline.endedAt : clock.roomTime(Math.round(toS * MICROSECONDS));
    const outcome = toS === undefined ? outcomeOf(reader) : undefined;
    const hasOutcome = outcome !== undefined && (reader.summary?.outcome !== undefined || !this.#isWhole);
    const summary = await writer.finish({
      endedAt: Math.max(endedAt - this.#offset, this.#lastTime),
      expected: this.#counts.expected(),
      ...(hasOutcome && { outcome: outcomeFrom(outcome, this.#playOffset) }),
    });
    return { fromS, toS: toS ?? endS, summary, checkpoints: this.#checkpoints };
  }

  get #isWhole(): boolean {
    return this.#range.fromS === undefined && this.#range.toS === undefined;
  }

  #meta(): RecordingMeta {
    const { reader, clock, endedAt } = this.#timeline;
    const { toS, recordingId } = this.#range;
    const to = toS === undefined ? endedAt : clock.roomTime(Math.round(toS * MICROSECONDS));
    // What this version does not know of the meta is kept (R5).
    const { lmsp, ...meta } = reader.meta;
    const source = sourceOf('cut', reader.meta, { from: this.#offset, to, playFrom: this.#playOffset });
    return {
      ...meta,
      recordingId,
      createdAt: meta.createdAt + this.#offset / MICROSECONDS,
      ...lmspOfPart(lmsp, { isWhole: this.#isWhole }),
      source: [source],
    };
  }
}

/** The exact time of a checkpoint is that of its entry. */
async function secondsOf(timeline: RecordingTimeline, point: CutPoint): Promise<number> {
  if ('seconds' in point) return point.seconds;
  const { reader, clock } = timeline;
  const checkpoint = reader.checkpoints.findLast(({ name }) => name === point.checkpoint);
  if (!checkpoint) {
    const names = [...new Set(reader.checkpoints.map(({ name }) => name))].slice(0, 20).join(', ') || 'none';
    throw new GametapeError(
      'NOT_FOUND',
      `${reader.source.name}: there is no checkpoint ${point.checkpoint}; its checkpoints are ${names}`,
    );
  }
  for (const [index, { firstTime, lastTime }] of reader.blocks.entries()) {
    if (firstTime > checkpoint.time || lastTime < checkpoint.time) continue;
    const { content } = await reader.readBlock(index);
    const entry = content.entries.find(({ seq }) => seq === checkpoint.seq);
    if (entry) return timeline.shownTime(entry);
  }
  return clock.playTime(checkpoint.time) / MICROSECONDS;
}
