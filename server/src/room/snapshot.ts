import {
  ByteWriter,
  type ProducerContext,
  RecordType,
  writeKeyframe,
  writeProducer,
  writeRecord,
} from '@gametape/shared';

/** Producer and keyframe of each, as records of a block (W5). */
export function snapshotOf(contexts: Iterable<ProducerContext>): Uint8Array {
  const records = new ByteWriter(4_096);
  const record = new ByteWriter(4_096);
  for (const context of contexts) {
    writeProducer(record, context);
    writeRecord(records, RecordType.Producer, record);
    record.truncate(0);
    writeKeyframe(record, context);
    writeRecord(records, RecordType.Keyframe, record);
    record.truncate(0);
  }
  return records.take();
}
