import type { ProducerContext } from '../body/producer-context.ts';
import { GametapeError } from '../errors.ts';
import type { TimelineEntry } from '../event.ts';
import { type Profile, profileNamed } from '../profile/profile.ts';
import { type BlockHeader, decodeBlockPayload } from './block.ts';
import type { Compression } from './byte-io.ts';
import { readEventColumns } from './event-columns.ts';
import {
  type CheckpointRecord,
  type EndRecord,
  type GapRecord,
  type ProducerRecord,
  type RawRecord,
  type RecordingMeta,
  type RecordingSummary,
  RecordType,
  readCheckpoint,
  readEnd,
  readGap,
  readKeyframe,
  readMeta,
  readProducer,
  readRecords,
  readSummary,
} from './records.ts';

/** What an events block holds. Bodies are borrowed from its payload. */
export interface EventBlock {
  readonly keyframes: readonly ProducerContext[];
  readonly checkpoints: readonly CheckpointRecord[];
  readonly gaps: readonly GapRecord[];
  readonly entries: readonly TimelineEntry[];
  readonly summary: RecordingSummary | undefined;
  readonly end: EndRecord | undefined;
  /** Records of types this version does not know (R5). */
  readonly unknown: readonly RawRecord[];
}

/** What the blocks of one recording have said of it so far; a block may rely on the ones before it. */
export class RecordingIdentity {
  readonly producers = new Map<number, ProducerRecord>();
  #meta: RecordingMeta | undefined;
  #profile: Profile | undefined;

  get meta(): RecordingMeta {
    if (!this.#meta) throw new GametapeError('DAMAGED', 'no block says what recording this is');
    return this.#meta;
  }

  get isKnown(): boolean {
    return this.#meta !== undefined;
  }

  get profile(): Profile {
    this.#profile ??= profileNamed(this.meta.profile);
    return this.#profile;
  }

  /** Takes over what a record says about the recording; false if it says something else. */
  learn({ type, reader }: RawRecord): boolean {
    if (type === RecordType.Meta) {
      const meta = readMeta(reader);
      if (this.#meta && this.#meta.recordingId !== meta.recordingId) reader.fail('is of another recording');
      this.#meta = meta;
    } else if (type === RecordType.Producer) {
      const producer = readProducer(reader);
      const known = this.producers.get(producer.index);
      if (known && (known.player !== producer.player || known.instance !== producer.instance)) {
        reader.fail(`declares producer ${producer.index} a second time, as another`);
      }
      this.producers.set(producer.index, producer);
      reader.end();
    } else return false;
    return true;
  }

  set meta(meta: RecordingMeta) {
    this.#meta = meta;
  }
}

/** Reads an events block whole. @throws GametapeError `DAMAGED` and nothing of it. */
export function readEventBlock(
  header: BlockHeader,
  stored: Uint8Array,
  identity: RecordingIdentity,
  compression: Compression,
): EventBlock {
  const payload = decodeBlockPayload(header, stored, compression);
  const keyframes: ProducerContext[] = [];
  const checkpoints: CheckpointRecord[] = [];
  const gaps: GapRecord[] = [];
  const unknown: RawRecord[] = [];
  let entries: TimelineEntry[] = [];
  let summary: RecordingSummary | undefined;
  let end: EndRecord | undefined;
  for (const record of readRecords(payload)) {
    const { type, reader } = record;
    if (identity.learn(record)) continue;
    switch (type) {
      case RecordType.Keyframe:
        keyframes.push(readKeyframe(reader, identity.profile, (index) => identity.producers.get(index)));
        break;
      case RecordType.Events: {
        const producers = new Map(keyframes.map((context) => [context.index, context]));
        entries = readEventColumns(reader, { firstSeq: header.firstSeq, firstTime: header.firstTime, producers });
        break;
      }
      case RecordType.Checkpoint:
        checkpoints.push(readCheckpoint(reader));
        break;
      case RecordType.Gap:
        gaps.push(readGap(reader));
        break;
      case RecordType.Summary:
        summary = readSummary(reader);
        break;
      case RecordType.End:
        end = readEnd(reader);
        break;
      default:
        unknown.push(record);
        continue;
    }
    reader.end();
  }
  if (entries.length !== header.events) {
    throw new GametapeError('DAMAGED', `the block holds ${entries.length} entries, its header says ${header.events}`);
  }
  return { keyframes, checkpoints, gaps, entries, summary, end, unknown };
}
