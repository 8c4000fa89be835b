import { hasEvent } from '../body/decode-body.ts';
import { GametapeError, isGametapeError } from '../errors.ts';
import type { GameEvent, TimelineEntry } from '../event.ts';
import type { BlockReplay } from './block-replay.ts';
import type { BlockRow } from './index-block.ts';
import { MAX_MARKERS, type MarkerRecord } from './markers.ts';
import { PlayClock } from './play-clock.ts';
import { RecordingIdentity } from './recording-identity.ts';
import type { RecordingIndex } from './recording-index.ts';
import type { CheckpointRecord, GapRecord, RecordingSummary, UnknownRecord } from './records.ts';

/** What is known of a recording without its entries: from its index, or gathered block by block from an unfinished file. */
export class RecordingContents {
  readonly identity = new RecordingIdentity();
  readonly checkpoints: CheckpointRecord[] = [];
  readonly gaps: GapRecord[] = [];
  readonly markers: MarkerRecord[] = [];
  readonly blocks: BlockRow[] = [];
  readonly unknown: UnknownRecord[] = [];
  summary: RecordingSummary | undefined;
  /** Where the next block would start. */
  end: number;
  #clock = new PlayClock();
  #events = 0;

  constructor(end: number) {
    this.end = end;
  }

  /** Room time to play time, with every pause that is known. */
  get clock(): PlayClock {
    return this.#clock;
  }

  /** Takes over an index: of the whole recording, or of what came since the one before. @throws GametapeError `DAMAGED` */
  addIndex(index: RecordingIndex): void {
    const { meta, summary } = index;
    if (this.identity.isKnown && this.identity.meta.recordingId !== meta.recordingId) {
      throw new GametapeError('DAMAGED', 'the index is of another recording than the one before it');
    }
    if (!this.identity.isKnown) this.identity.meta = meta;
    const fail = (what: string) => {
      throw new GametapeError('DAMAGED', `the index ${what}`);
    };
    for (const producer of index.producers) this.identity.addProducer(producer, fail);
    const last = this.blocks.at(-1);
    const [first] = index.blocks;
    if (last && first && first.offset < last.offset + last.length) fail('lists blocks that the one before it lists');
    for (const row of index.blocks) {
      this.blocks.push(row);
      this.#events += row.events;
    }
    // One by one: there may be more of them than a call may have arguments.
    for (const checkpoint of index.checkpoints) this.checkpoints.push(checkpoint);
    for (const gap of index.gaps) this.gaps.push(gap);
    for (const marker of index.markers) this.markers.push(marker);
    for (const record of index.unknown) this.unknown.push(record);
    this.summary = summary;
    this.#clock = new PlayClock([
      ...this.#clock.pauses(Number.POSITIVE_INFINITY),
      ...(summary?.pauses ?? index.pauses),
    ]);
  }

  /** Takes over a block that no index lists. What does not replay is left to whoever reads it. */
  addBlock(replay: BlockReplay, { offset, length }: Pick<BlockRow, 'offset' | 'length'>): void {
    const { header, content } = replay;
    const { clock, entries } = content;
    const eventsBefore = this.#events;
    if (clock) this.#clock.agree(header.firstTime, clock.pausedUs, clock.paused);
    try {
      for (const entry of entries) {
        const context = replay.contextOf(entry);
        this.#observe(entry, context.skim(entry, 'DAMAGED'), context.player);
      }
    } catch (error) {
      if (!isGametapeError(error)) throw error;
    }
    const events = entries.filter(({ body }) => hasEvent(body)).length;
    const { events: count, firstSeq, firstTime, lastTime, headerCrc } = header;
    this.blocks.push({ offset, length, entries: count, events, firstSeq, firstTime, lastTime, headerCrc });
    this.#events = eventsBefore + events;
    for (const checkpoint of content.checkpoints) this.checkpoints.push(checkpoint);
    for (const gap of content.gaps) this.gaps.push(gap);
    this.end = offset + length;
  }

  #observe({ seq, producer, time }: TimelineEntry, event: GameEvent | undefined, player: string): void {
    if (!event) return;
    this.#clock.observe(time, player, event);
    const isMarker = this.identity.profile.markerTypes.has(event.type);
    if (isMarker && this.markers.length < MAX_MARKERS) {
      this.markers.push({ type: event.type, producer, seq, eventIndex: this.#events, time });
    }
    this.#events++;
  }
}
