import {
  BytesSink,
  type Compression,
  type ProducerRecord,
  type RecordingEnd,
  type RecordingMeta,
  RecordingWriter,
  type TimelineEntry,
} from '@gametape/shared';

/** What a recorder has recorded. */
export interface Recorded {
  readonly meta: RecordingMeta;
  readonly producers: readonly ProducerRecord[];
  readonly entries: readonly TimelineEntry[];
  /** Names of checkpoints, by the position of their entry. */
  readonly checkpoints: ReadonlyMap<number, string>;
  readonly end: RecordingEnd;
}

/** Its `.lmsp` file. A module of its own, as pages need it only once there is something to write. */
export async function writeRecorded(
  { meta, producers, entries, checkpoints, end }: Recorded,
  compression: Compression,
): Promise<Uint8Array> {
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, meta, { compression });
  for (const producer of producers) writer.addProducer(producer);
  for (const [index, entry] of entries.entries()) {
    await writer.add(entry);
    const name = checkpoints.get(index);
    if (name !== undefined) writer.addCheckpoint(name, entry);
  }
  await writer.finish(end);
  return sink.bytes();
}
