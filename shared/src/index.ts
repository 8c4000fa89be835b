export { BodyEncoder } from './body/body-encoder.ts';
export { type BodyContext, decodeBody, decodeEvent, hasEvent, hasKeyframe } from './body/decode-body.ts';
export { type EncodeBodyOptions, encodeBody } from './body/encode-body.ts';
export { ProducerContext } from './body/producer-context.ts';
export { Vocabulary } from './body/vocabulary.ts';
export { ByteReader } from './bytes/byte-reader.ts';
export { ByteWriter } from './bytes/byte-writer.ts';
export { type Crc32, crc32 } from './bytes/crc32.ts';
export { ERROR_HINTS, type ErrorCode, GametapeError, isGametapeError, located } from './errors.ts';
export {
  type Body,
  compareEntries,
  type DeltaOp,
  EventType,
  type GameEvent,
  type NestedChange,
  type Path,
  type State,
  type StateChange,
  type TextChange,
  type TimelineEntry,
} from './event.ts';
export { isId, LIMITS } from './limits.ts';
export { TimestampManager } from './lmsp/timestamp-manager.ts';
export {
  JSON_PROFILE,
  LMSP_PROFILE,
  type Profile,
  type ProfileName,
  profileNamed,
  type Template,
} from './profile/profile.ts';
export {
  BLOCK_HEADER_BYTES,
  type BlockContent,
  type BlockHeader,
  BlockKind,
  type BlockLink,
  decodeBlockHeader,
  decodeBlockPayload,
  encodeBlock,
  isBlockHeader,
  linkOf,
  NO_BLOCK,
  SYNC_MARKER,
} from './recording/block.ts';
export { BlockBuilder, type BlockExtent, type ClosedBlock } from './recording/block-builder.ts';
export { BlockDigest } from './recording/block-digest.ts';
export type { BlockEntries, EntryPlace } from './recording/block-entries.ts';
export { EventBlock, readEventBlock, type StartingPoint } from './recording/block-reader.ts';
export { BlockReplay, type TimelineStep } from './recording/block-replay.ts';
export { chainFault, type WalkedBlock, walkBlocks } from './recording/block-walk.ts';
export {
  type ByteSink,
  type ByteSource,
  BytesSink,
  BytesSource,
  type Compression,
  PORTABLE_COMPRESSION,
} from './recording/byte-io.ts';
export { type ClockLine, targetOffset, timeOnLine } from './recording/clock-line.ts';
export type { ClockCounts, ClockMapRecord } from './recording/clock-map.ts';
export { createdDate } from './recording/created-date.ts';
export {
  type BlockRow,
  decodeFooter,
  encodeFileHeader,
  encodeFooter,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  type Footer,
  startsWithMagic,
} from './recording/index-block.ts';
export { type KeyframeContext, readKeyframe, writeKeyframe } from './recording/keyframe-record.ts';
export type { MarkerRecord } from './recording/markers.ts';
export { mayPause, type OpenPause, type PauseChange, PlayClock, type ToldPauses } from './recording/play-clock.ts';
export { makeRecordingId, recordingIdBytes, recordingIdText } from './recording/recording-id.ts';
export { RecordingIdentity } from './recording/recording-identity.ts';
export { decodeIndex, type RecordingIndex } from './recording/recording-index.ts';
export { type LoadedBlock, RecordingReader, type SoughtBlock } from './recording/recording-reader.ts';
export {
  type BlockLimits,
  type RecordingEnd,
  RecordingWriter,
  type RecordingWriterOptions,
} from './recording/recording-writer.ts';
export {
  type CheckpointRecord,
  type ClockRecord,
  type ClockSummary,
  type EndRecord,
  type GapRecord,
  type PlayerSummary,
  type ProducerRecord,
  type RawRecord,
  type RecordingMeta,
  type RecordingSource,
  type RecordingSummary,
  RecordType,
  type Redaction,
  readProducer,
  readRecords,
  type StartedFrom,
  type UnknownRecord,
  writeProducer,
  writeRecord,
} from './recording/records.ts';
export { type CheckpointPlace, type RoomProducer, type RoomRecord, roomOf } from './recording/room-record.ts';
export { TimelineCursor } from './recording/timeline-cursor.ts';
export { type DiffBase, diff, diffKey } from './state/diff.ts';
export { LiveState, type StateEntry } from './state/live-state.ts';
export { diffText } from './state/text-diff.ts';
export { applyTextPatch, patchText, type TextPatchStep } from './state/text-patch.ts';
export { decodeValue } from './values/decode-value.ts';
export { encodeValue } from './values/encode-value.ts';
export { canonicalJson, captureJson, isJsonObject, type Json, type JsonObject, jsonEqual } from './values/json.ts';
export { type CloseAction, CloseCode, closeAction, closeReason } from './wire/close-codes.ts';
export { ChunkAssembler, decodeDownMessage, decodeUpMessage } from './wire/decode-message.ts';
export { chunked, encodeMessage } from './wire/encode-message.ts';
export type { FragmentRow } from './wire/fragment-row.ts';
export * from './wire/messages.ts';
