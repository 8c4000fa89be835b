import { NODE_COMPRESSION } from '@gametape/server';
import {
  BytesSink,
  BytesSource,
  JSON_PROFILE,
  type ProfileName,
  RecordingReader,
  RecordingWriter,
} from '@gametape/shared';
import {
  type ImportedStep,
  importLmsp,
  importNdjson,
  lmspJson,
  ndjsonLines,
  RecordingImporter,
} from '@gametape/shared/lmsp';
import { recordSession } from './recorded-session.ts';

const RECORDING_ID = '01HF7YAT000W3GE1R70W3GE1R7';
const META = { recordingId: RECORDING_ID, room: 'import', createdAt: 1_700_000_000 };

/** A recording of events with whole states. */
export async function recordingOf(
  steps: readonly ImportedStep[],
  { profile = 'json', durationS }: { profile?: ProfileName; durationS?: number } = {},
): Promise<RecordingReader> {
  const sink = new BytesSink();
  const importer = new RecordingImporter(sink, { ...META, profile }, NODE_COMPRESSION);
  for (const step of steps) await importer.add(step);
  await importer.finish(durationS === undefined ? {} : { durationS });
  return openBytes(sink.bytes());
}

/** A session of several players as a relay records it: instances, gaps, pauses, late entries, entries without events. */
export async function relayedRecording(seed: number, { entries = 400, players = 3 } = {}): Promise<RecordingReader> {
  const { producers, steps } = recordSession({ profile: JSON_PROFILE, seed, entries, players, exact: false });
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, { ...META, profile: JSON_PROFILE.name }, { compression: NODE_COMPRESSION });
  for (const producer of producers) writer.addProducer(producer);
  for (const { entry, gap, checkpoint } of steps) {
    if (gap) writer.addGap(gap);
    await writer.add(entry);
    if (checkpoint !== undefined) writer.addCheckpoint(checkpoint, entry);
  }
  await writer.finish();
  return openBytes(sink.bytes());
}

/** The recording, converted to a text and read again. */
export async function throughText(reader: RecordingReader, format: 'json' | 'ndjson'): Promise<RecordingReader> {
  const pieces: Buffer[] = [];
  for await (const text of format === 'json' ? lmspJson(reader) : ndjsonLines(reader)) pieces.push(Buffer.from(text));
  const open = async function* () {
    yield* pieces;
  };
  const sink = new BytesSink();
  const options = { recordingId: RECORDING_ID, compression: NODE_COMPRESSION };
  if (format === 'json') await importLmsp(open, sink, options);
  else await importNdjson(open(), sink, options);
  return openBytes(sink.bytes());
}

/** The same file without its index and footer: one that was never finished. */
export async function unfinished(reader: RecordingReader): Promise<RecordingReader> {
  const last = reader.blocks.at(-1);
  return openBytes(await reader.source.read(0, last ? last.offset + last.length : reader.bytes));
}

function openBytes(bytes: Uint8Array): Promise<RecordingReader> {
  return RecordingReader.open(new BytesSource(bytes, 'recording'), NODE_COMPRESSION);
}
