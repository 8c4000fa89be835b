import { BytesSink, RecordingWriter } from '@gametape/shared';
import { seededRandom } from './seeded-random.ts';
import { typedSession } from './typed-session.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A finished recording of two players, whose index is longer than the 64 KiB that are read with the footer: it has thousands of checkpoints. */
export async function largeRecording(eventsEach = 12_000): Promise<Uint8Array> {
  const { meta, producers, entries } = typedSession({ players: 2, events: eventsEach, id: 7 });
  const random = seededRandom(5);
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, meta);
  for (const producer of producers) writer.addProducer(producer);
  const [ann = [], bob = []] = entries;
  let seq = 0;
  for (const [index, first] of ann.entries()) {
    for (const entry of [first, bob[index]]) {
      if (!entry) continue;
      const numbered = { ...entry, seq: ++seq };
      await writer.add(numbered);
      if (seq % 8 !== 0) continue;
      const name = Array.from({ length: 48 }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('');
      writer.addCheckpoint(name, numbered);
    }
  }
  await writer.finish();
  return sink.bytes();
}
