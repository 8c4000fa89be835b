import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BytesSink, BytesSource, PORTABLE_COMPRESSION, RecordingReader, RecordingWriter } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { verifyRecording } from '../server/dist/recording/verify.js';
import { describeRecording } from './support/describe-recording.ts';

const FOLDER = fileURLToPath(new URL('./vectors/', import.meta.url));
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.lmsp'))
  .map((file) => file.slice(0, -'.lmsp'.length));

test('[R5] the vectors of version 2 are all there', () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(10);
});

describe.each(NAMES)('the vector %s', (name) => {
  const bytes = readFileSync(`${FOLDER}${name}.lmsp`);
  const isFinished = !name.startsWith('unfinished');

  test('[R5] is read as what was written when it was made', async () => {
    const reader = await RecordingReader.open(new BytesSource(bytes));
    const found = inLines(await describeRecording(reader));
    // Written where there is none; with `CI` set a missing one fails.
    await expect(found).toMatchFileSnapshot(`${FOLDER}${name}.json`);
  });

  test('[R4] verifies, or says that its end is gone', async () => {
    const { intact, problems } = await verifyRecording(new BytesSource(bytes));
    expect({ intact, places: problems.map(({ where }) => where) }).toMatchObject(
      isFinished ? { intact, places: [] } : { intact: false, places: expect.arrayContaining(['footer']) },
    );
  });

  test('[R5] written again, holds the same events and what this version does not know', async () => {
    const reader = await RecordingReader.open(new BytesSource(bytes));
    const sink = new BytesSink();
    const writer = new RecordingWriter(sink, reader.meta, { compression: PORTABLE_COMPRESSION });
    for (const producer of reader.producers.values()) writer.addProducer(producer);
    for await (const block of reader.replayBlocks()) {
      for (const entry of block.content.entries) await writer.add(entry);
      for (const record of block.content.unknown) writer.addUnknown(record);
    }
    for (const record of reader.unknown) writer.addUnknown(record, 'index');
    await writer.finish();
    const again = await RecordingReader.open(new BytesSource(sink.bytes()));
    const [before, after] = [await describeRecording(reader), await describeRecording(again)];
    expect(after.entries).toEqual(before.entries);
    expect([after.unknown, after.markers]).toEqual([before.unknown, before.markers]);
  });
});

/** One line a field, and one an entry. */
function inLines({ entries, ...head }: Awaited<ReturnType<typeof describeRecording>>): string {
  const fields = Object.entries(head).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n${fields.join(',\n')},\n"entries": [\n${entries.map((entry) => JSON.stringify(entry)).join(',\n')}\n]\n}\n`;
}
