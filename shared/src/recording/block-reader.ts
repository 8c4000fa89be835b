import type { ProducerContext } from '../body/producer-context.ts';
import { ByteReader } from '../bytes/byte-reader.ts';
import { GametapeError } from '../errors.ts';
import type { TimelineEntry } from '../event.ts';
import type { StateEntry } from '../state/live-state.ts';
import { type BlockHeader, decodeBlockPayload } from './block.ts';
import { BlockEntries } from './block-entries.ts';
import type { Compression } from './byte-io.ts';
import { type ClockMapRecord, readClockMaps } from './clock-map.ts';
import { readEventColumns } from './event-columns.ts';
import { readKeyframe } from './keyframe-record.ts';
import { readLaterKeyframe, readLaterKeyframePlace } from './later-keyframe.ts';
import type { RecordingIdentity } from './recording-identity.ts';
import {
  type CheckpointRecord,
  type ClockRecord,
  type EndRecord,
  type GapRecord,
  type RecordingSummary,
  RecordType,
  readCheckpoint,
  readClock,
  readEnd,
  readGap,
  readRecords,
  readSummary,
  type UnknownRecord,
} from './records.ts';
import { type RoomRecord, readRoom } from './room-record.ts';

/** A producer as a keyframe says it was, and the entry of the block from which on it is to be replayed. */
export interface StartingPoint {
  readonly context: ProducerContext;
  readonly entry: number;
}

interface KeyframeBytes {
  readonly head: Uint8Array;
  readonly later: { readonly entry: number; readonly bytes: Uint8Array }[];
}

/** What an events block holds. Bodies are borrowed from its payload. */
export class EventBlock {
  readonly header: BlockHeader;
  readonly checkpoints: CheckpointRecord[] = [];
  readonly gaps: GapRecord[] = [];
  readonly rows: BlockEntries;
  readonly summary: RecordingSummary | undefined;
  readonly end: EndRecord | undefined;
  /** Where play time stands at its start; undefined where the block does not say it. */
  readonly clock: ClockRecord | undefined;
  /** How its room stood at its start: only sealed blocks of an unfinished recording say it (J3). */
  readonly room: RoomRecord | undefined;
  /** Changes of the maps from producers' clocks to room time, in the order in which they were made (T2). */
  readonly clockMaps: readonly ClockMapRecord[] = [];
  /** Records of types this version does not know (R5). */
  readonly unknown: UnknownRecord[] = [];
  readonly #identity: RecordingIdentity;
  #entries: readonly TimelineEntry[] | undefined;
  readonly #keyframes = new Map<number, KeyframeBytes>();
  /** As they were read, until somebody takes them: from then on they are read again. */
  #contexts: ProducerContext[] | undefined = [];

  /** @throws GametapeError `DAMAGED` and nothing of it. */
  constructor(header: BlockHeader, payload: Uint8Array, identity: RecordingIdentity) {
    this.header = header;
    this.#identity = identity;
    const contexts = new Map<number, ProducerContext>();
    let rows = BlockEntries.none();
    for (const record of readRecords(payload)) {
      const { type, reader, bytes } = record;
      if (identity.learn(record)) continue;
      switch (type) {
        case RecordType.Keyframe: {
          const context = this.#readKeyframe(bytes);
          if (contexts.has(context.index)) reader.fail(`has a second keyframe of producer ${context.index}`);
          contexts.set(context.index, context);
          this.#keyframes.set(context.index, { head: bytes, later: [] });
          continue;
        }
        case RecordType.LaterKeyframe:
          this.#addLaterKeyframe(reader, bytes);
          continue;
        case RecordType.Events:
          if (rows.length > 0) reader.fail('has a second record of events');
          rows = readEventColumns(reader, {
            firstSeq: header.firstSeq,
            firstTime: header.firstTime,
            producers: contexts,
          });
          break;
        case RecordType.Checkpoint:
          this.checkpoints.push(readCheckpoint(reader));
          break;
        case RecordType.Gap:
          this.gaps.push(readGap(reader));
          break;
        case RecordType.Clock:
          this.clock = readClock(reader);
          break;
        case RecordType.Room:
          this.room = readRoom(reader);
          break;
        case RecordType.ClockMaps:
          this.clockMaps = readClockMaps(reader);
          break;
        case RecordType.Summary:
          this.summary = readSummary(reader);
          break;
        case RecordType.End:
          this.end = readEnd(reader);
          break;
        default:
          this.unknown.push({ type, bytes });
          continue;
      }
      reader.end();
    }
    if (rows.length !== header.events) {
      throw new GametapeError('DAMAGED', `the block holds ${rows.length} entries, its header says ${header.events}`);
    }
    this.rows = rows;
    this.#contexts = [...contexts.values()];
  }

  /** All entries as objects, which it keeps: `rows` makes those that are needed. */
  get entries(): readonly TimelineEntry[] {
    this.#entries ??= [...this.rows];
    return this.#entries;
  }

  /** Every producer that has a keyframe here, as it is at the start of the block: new ones at each call. */
  keyframes(): ProducerContext[] {
    const contexts = this.#contexts ?? [...this.#keyframes.values()].map(({ head }) => this.#readKeyframe(head));
    this.#contexts = undefined;
    return contexts;
  }

  /**
   * The same as near before entry `entry` as keyframes tell: what is between has to be replayed.
   *
   * @throws GametapeError `DAMAGED` for a later keyframe that does not fit the one before it.
   */
  startingPoints(entry: number): StartingPoint[] {
    return this.keyframes().map((context) => {
      const later = this.#keyframes.get(context.index)?.later.filter((keyframe) => keyframe.entry <= entry) ?? [];
      const last = later.at(-1);
      if (!last) return { context, entry: 0 };
      let entries: readonly StateEntry[] = [...context.state.entries()];
      for (const { bytes } of later) {
        const reader = new ByteReader(bytes, 'DAMAGED');
        readLaterKeyframePlace(reader);
        entries = readLaterKeyframe(reader, context, entries);
      }
      context.state.restore(entries, context.stamp);
      return { context, entry: last.entry };
    });
  }

  /** Every later keyframe, as its producer is before the entry it names, in the order of entries: for `verify`. */
  *laterKeyframes(): Generator<StartingPoint> {
    const places = new Set([...this.#keyframes.values()].flatMap(({ later }) => later.map(({ entry }) => entry)));
    for (const place of [...places].sort((a, b) => a - b)) {
      yield* this.startingPoints(place).filter(({ entry }) => entry === place);
    }
  }

  #readKeyframe(bytes: Uint8Array): ProducerContext {
    const reader = new ByteReader(bytes, 'DAMAGED');
    const { producers, profile } = this.#identity;
    const context = readKeyframe(reader, profile, (index) => producers.get(index));
    reader.end();
    return context;
  }

  #addLaterKeyframe(reader: ByteReader, bytes: Uint8Array): void {
    const { entry, producer } = readLaterKeyframePlace(reader);
    const { later } = this.#keyframes.get(producer) ?? reader.fail('has a later keyframe without one before it');
    if (entry > this.header.events || entry < (later.at(-1)?.entry ?? 0)) {
      reader.fail(`has a later keyframe out of order, before entry ${entry}`);
    }
    later.push({ entry, bytes });
  }
}

/** Reads an events block whole. @throws GametapeError `DAMAGED` and nothing of it. */
export function readEventBlock(
  header: BlockHeader,
  stored: Uint8Array,
  identity: RecordingIdentity,
  compression: Compression,
): EventBlock {
  return new EventBlock(header, decodeBlockPayload(header, stored, compression), identity);
}
