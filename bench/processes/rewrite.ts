import { open, stat } from 'node:fs/promises';
import { NODE_COMPRESSION } from '@gametape/server';
import { type ByteSource, RecordingReader, RecordingWriter } from '@gametape/shared';

/** Reads a recording and writes it anew, a block in memory at a time. */
const [, , from = '', to = ''] = process.argv;

const input = await open(from);
const output = await open(to, 'w');
const source: ByteSource = {
  name: from,
  size: async () => (await stat(from)).size,
  read: async (offset, length) => {
    const { buffer, bytesRead } = await input.read(new Uint8Array(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  },
};
const reader = await RecordingReader.open(source, NODE_COMPRESSION);
const sink = {
  write: async (bytes: Uint8Array) => {
    await output.write(bytes);
  },
};
const writer = new RecordingWriter(sink, reader.meta, { compression: NODE_COMPRESSION });
for (const producer of reader.producers.values()) writer.addProducer(producer);
for await (const { entry } of reader.steps()) await writer.add(entry);
await writer.finish();
await output.close();
await input.close();
