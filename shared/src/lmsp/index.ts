export { CheckpointManager } from './checkpoint-manager.ts';
export { type CompressedState, DeltaCompressor } from './delta-compressor.ts';
export {
  type ImportOptions,
  importEvents,
  importLmsp,
  type LmspJsonPart,
  type RawEvent,
  readLmspFields,
  readLmspJson,
  readLmspRecording,
} from './from-lmsp.ts';
export { importNdjson, type NdjsonImport, type NdjsonItem, readNdjson } from './from-ndjson.ts';
export { checkLmspChange, checkLmspEvent } from './live-check.ts';
export { type LmspEvent, lmspEvents } from './lmsp-events.ts';
export {
  type AnyEvent,
  parseAnyGameEvent,
  parseAnyRecordedEvent,
  parseCheckpoint,
  parseGameEvent,
  parseGameState,
  parseRecordedEvent,
  parseRecording,
  parseRecordingFields,
} from './parse.ts';
export { type ImportedEnd, type ImportedStep, RecordingImporter } from './recording-importer.ts';
export {
  type Checkpoint,
  checkpointSchema,
  emptyGameState,
  type GameState,
  gameEventSchema,
  gameStateSchema,
  type LmspGameEvent,
  type RecordedEvent,
  type Recording,
  type RecordingFields,
  recordedEventSchema,
  recordingFieldsSchema,
} from './schema.ts';
export { PrecisionTimer, type SecondsClock, TimestampManager } from './timestamp-manager.ts';
export { type LmspJsonOptions, lmspJson } from './to-lmsp.ts';
export { type NdjsonSplice, type NdjsonState, ndjsonLines } from './to-ndjson.ts';
