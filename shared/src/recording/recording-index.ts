import { ByteWriter } from '../bytes/byte-writer.ts';
import { GametapeError } from '../errors.ts';
import { LIMITS, refuseMore } from '../limits.ts';
import {
  BLOCK_HEADER_BYTES,
  BlockKind,
  type BlockLink,
  decodeBlockHeader,
  decodeBlockPayload,
  encodeBlock,
} from './block.ts';
import type { Compression } from './byte-io.ts';
import { type BlockRow, readBlockRows, writeBlockRows } from './index-block.ts';
import { type MarkerRecord, readMarkers, writeMarkers } from './markers.ts';
import { RecordingIdentity } from './recording-identity.ts';
import {
  type CheckpointRecord,
  type GapRecord,
  type ProducerRecord,
  type RecordingMeta,
  type RecordingSummary,
  RecordType,
  readCheckpoint,
  readGap,
  readPauses,
  readRecords,
  readSummary,
  type UnknownRecord,
  writeCheckpoint,
  writeGap,
  writePauses,
  writeProducer,
  writeRecord,
  writeValueRecord,
} from './records.ts';

/** What an index block says: of the whole recording when it has a summary, else of what came since the index before it. */
export interface RecordingIndex {
  readonly meta: RecordingMeta;
  readonly producers: readonly ProducerRecord[];
  readonly checkpoints: readonly CheckpointRecord[];
  readonly gaps: readonly GapRecord[];
  readonly markers: readonly MarkerRecord[];
  /** Pauses that were over; a summary has them itself. */
  readonly pauses: readonly (readonly [from: number, to: number])[];
  readonly blocks: readonly BlockRow[];
  readonly summary: RecordingSummary | undefined;
  /** Where the index before it starts, if there is one. */
  readonly previousOffset: number | undefined;
  /** Records of types this version does not know (R5). */
  readonly unknown: readonly UnknownRecord[];
}

export interface IndexPlace {
  readonly offset: number;
  readonly epoch: number;
  readonly previous: BlockLink;
}

/** An index block that will start at `offset`. @throws GametapeError `LIMIT_EXCEEDED` for one that no reader would take */
export function encodeIndex(
  index: RecordingIndex,
  { offset, epoch, previous }: IndexPlace,
  compression: Compression,
): { bytes: Uint8Array; link: BlockLink } {
  const content = {
    kind: BlockKind.Index,
    recordingId: index.meta.recordingId,
    epoch,
    selfContained: false,
    firstSeq: 0,
    lastSeq: 0,
    firstTime: 0,
    lastTime: 0,
    events: 0,
    previous,
    payload: indexPayload(index, offset),
    compress: true,
  };
  return encodeBlock(content, compression);
}

function indexPayload(index: RecordingIndex, offset: number): Uint8Array {
  const payload = new ByteWriter(1_024);
  const record = new ByteWriter(1_024);
  let records = 0;
  const put = (type: number, write: () => void) => {
    write();
    records++;
    writeRecord(payload, type, record);
    record.truncate(0);
  };
  const { meta, summary, previousOffset } = index;
  put(RecordType.Meta, () => writeValueRecord(record, meta));
  for (const producer of index.producers) put(RecordType.Producer, () => writeProducer(record, producer));
  for (const checkpoint of index.checkpoints) put(RecordType.Checkpoint, () => writeCheckpoint(record, checkpoint));
  for (const gap of index.gaps) put(RecordType.Gap, () => writeGap(record, gap));
  if (index.markers.length > 0) put(RecordType.Markers, () => writeMarkers(record, index.markers));
  if (summary) put(RecordType.Summary, () => writeValueRecord(record, summary));
  else if (index.pauses.length > 0) put(RecordType.Pauses, () => writePauses(record, index.pauses));
  put(RecordType.Blocks, () => writeBlockRows(record, index.blocks));
  if (previousOffset !== undefined) put(RecordType.PreviousIndex, () => record.varint(offset - previousOffset));
  for (const { type, bytes } of index.unknown) put(type, () => record.raw(bytes));
  refuseMore('records', records, LIMITS.records);
  return payload.take();
}

/**
 * The index block that starts at `offset` of a file; `bytes` are all of it.
 *
 * @throws GametapeError `DAMAGED`
 */
export function decodeIndex(bytes: Uint8Array, offset: number, compression: Compression): RecordingIndex {
  const header = decodeBlockHeader(bytes, 0, compression);
  if (header.kind !== BlockKind.Index) throw new GametapeError('DAMAGED', 'expected an index block, found another');
  const identity = new RecordingIdentity();
  const checkpoints: CheckpointRecord[] = [];
  const gaps: GapRecord[] = [];
  const unknown: UnknownRecord[] = [];
  let [markers, blocks]: [readonly MarkerRecord[], readonly BlockRow[]] = [[], []];
  let pauses: RecordingIndex['pauses'] = [];
  let summary: RecordingSummary | undefined;
  let previousOffset: number | undefined;
  const stored = bytes.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + header.storedLength);
  for (const record of readRecords(decodeBlockPayload(header, stored, compression))) {
    const { type, reader } = record;
    if (identity.learn(record)) continue;
    if (type === RecordType.Checkpoint) checkpoints.push(readCheckpoint(reader));
    else if (type === RecordType.Gap) gaps.push(readGap(reader));
    else if (type === RecordType.Markers) markers = readMarkers(reader);
    else if (type === RecordType.Summary) summary = readSummary(reader);
    else if (type === RecordType.Pauses) pauses = readPauses(reader);
    else if (type === RecordType.Blocks) blocks = readBlockRows(reader, offset);
    else if (type === RecordType.PreviousIndex) {
      const distance = reader.varint();
      // A distance of nothing, or past the start, would lead a reader in circles.
      if (distance === 0 || distance > offset) reader.fail(`has a previous index ${distance} bytes before it`);
      previousOffset = offset - distance;
    } else {
      unknown.push({ type, bytes: record.bytes });
      continue;
    }
    reader.end();
  }
  const { meta } = identity;
  if (meta.recordingId !== header.recordingId) {
    throw new GametapeError('DAMAGED', 'the index names another recording than its header');
  }
  const producers = [...identity.producers.values()];
  return { meta, producers, checkpoints, gaps, markers, pauses, blocks, summary, previousOffset, unknown };
}
