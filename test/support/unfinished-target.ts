import {
  BlockBuilder,
  type BlockLink,
  BytesSink,
  compareEntries,
  encodeFileHeader,
  makeRecordingId,
  NO_BLOCK,
  ProducerContext,
  type ProducerRecord,
  type Profile,
  RecordingWriter,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../../server/dist/node-compression.js';
import { type DamageTarget, nameOf, readEntries, type TargetBlock } from './damage-target.ts';
import { type RecordedStep, recordSession } from './recorded-session.ts';

export interface UnfinishedOptions {
  readonly profile: Profile;
  readonly seed: number;
  readonly entries: number;
  readonly perBlock: number;
  readonly players?: number;
  /** What the second player records comes in so much later, in microseconds, for the middle third of the session. */
  readonly lateUs: number;
}

const ID = makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(7));

/**
 * A room's own file, as its relay seals it and a kill leaves it: entries lie as they came in, so that its blocks overlap in time
 * wherever a player was late, and neither index nor footer is there.
 */
export async function unfinishedTarget(options: UnfinishedOptions): Promise<DamageTarget> {
  const { profile, perBlock } = options;
  const session = recordSession({ ...options, players: options.players ?? 3 });
  const steps = inArrivalOrder(session.steps, options.lateUs);
  const meta = { recordingId: ID, room: 'room', profile: profile.name, createdAt: 1_700_000_000 };
  const contexts = session.producers.map((producer) => new ProducerContext(profile, producer));
  const parts: Uint8Array[] = [encodeFileHeader(NODE_COMPRESSION)];
  const blocks: TargetBlock[] = [];
  let offset = parts[0]?.length ?? 0;
  let previous: BlockLink = NO_BLOCK;
  for (let from = 0; from < steps.length; from += perBlock) {
    const builder = new BlockBuilder(ID, 1, NODE_COMPRESSION);
    const part = steps.slice(from, from + perBlock);
    builder.meta(meta);
    // A producer has a keyframe once it has recorded something, as in a room.
    builder.open(contexts.filter(({ pseq, state }) => pseq > 0 || state.size > 0));
    for (const { entry, gap, checkpoint } of part) {
      const context = contexts[entry.producer] as ProducerContext;
      builder.producer(context);
      if (gap) builder.gap(gap);
      context.advance(entry, 'DAMAGED', NODE_COMPRESSION.crc32);
      builder.add(entry);
      if (checkpoint) {
        builder.checkpoint({ name: checkpoint, seq: entry.seq, eventIndex: 0, time: entry.time, hashes: [] });
      }
    }
    const closed = builder.close(previous, { compress: from % 2 === 0 });
    const { firstSeq, lastSeq } = closed;
    const end = offset + closed.bytes.length;
    blocks.push({ offset, end, names: part.map(({ entry }) => nameOf(entry)), firstSeq, lastSeq });
    parts.push(closed.bytes);
    [previous, offset] = [closed.link, end];
  }
  const entries = await readEntries(await finished(options.profile, session.producers, steps));
  return { recordingId: ID, bytes: Uint8Array.from(Buffer.concat(parts)), entries, blocks };
}

/** Numbers the steps anew, in the order they come in; each player's own stay in order. */
function inArrivalOrder(steps: readonly RecordedStep[], lateUs: number): RecordedStep[] {
  const sorted = [...steps].sort((a, b) => compareEntries(a.entry, b.entry));
  const end = sorted.at(-1)?.entry.time ?? 0;
  const arrivals = sorted.map((step) => {
    const { time, producer } = step.entry;
    const isAway = producer === 1 && time > end / 3 && time < (2 * end) / 3;
    // All that was recorded while away comes in at once.
    return { step, at: isAway ? Math.max(time, Math.min(end / 3 + lateUs, (2 * end) / 3)) : time };
  });
  return arrivals.sort((a, b) => a.at - b.at).map(({ step }, i) => ({ ...step, entry: { ...step.entry, seq: i + 1 } }));
}

async function finished(
  profile: Profile,
  producers: readonly ProducerRecord[],
  steps: readonly RecordedStep[],
): Promise<Uint8Array> {
  const sink = new BytesSink();
  const meta = { recordingId: ID, room: 'room', profile: profile.name, createdAt: 1_700_000_000 };
  const writer = new RecordingWriter(sink, meta, { compression: NODE_COMPRESSION });
  for (const producer of producers) writer.addProducer(producer);
  for (const { entry, gap } of [...steps].sort((a, b) => compareEntries(a.entry, b.entry))) {
    if (gap) writer.addGap(gap);
    await writer.add(entry);
  }
  await writer.finish();
  return sink.bytes();
}
