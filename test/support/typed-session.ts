import {
  BlockBuilder,
  type BlockLink,
  BytesSink,
  ByteWriter,
  encodeBody,
  encodeFileHeader,
  JSON_PROFILE,
  makeRecordingId,
  NO_BLOCK,
  PORTABLE_COMPRESSION,
  ProducerContext,
  type RecordingMeta,
  type StateChange,
  type TimelineEntry,
} from '@gametape/shared';

export interface TypedSession {
  readonly meta: RecordingMeta;
  readonly producers: readonly { index: number; player: string; instance: string }[];
  /** Entries of each player, by pseq, without their seq: that is for whoever receives them. */
  readonly entries: readonly (readonly TimelineEntry[])[];
}

/** The recording id with that number. */
export function recordingId(number: number): string {
  return makeRecordingId(1_700_000_000_000 + number, new Uint8Array(10).fill(number));
}

/** Players who type a letter every 100 ms, each a little later than the one before, into a text of their own. */
export function typedSession(options: { players: number; events: number; id?: number }): TypedSession {
  const { players, events, id = 1 } = options;
  const meta = { recordingId: recordingId(id), room: 'typing', profile: 'json', createdAt: 1_700_000_000 };
  const producers = Array.from({ length: players }, (_, index) => {
    return { index, player: `player-${index}`, instance: `instance-${index}` };
  });
  const entries = producers.map((producer) => {
    const sender = new ProducerContext(JSON_PROFILE, producer);
    return Array.from({ length: events }, (_, i) => typedEntry(sender, i));
  });
  return { meta, producers, entries };
}

/** What a room would seal of `arrived`: one block for every `perBlock` entries, `records` before each is closed. */
export function sealedBlocks(
  session: TypedSession,
  arrived: readonly TimelineEntry[],
  perBlock: number,
  records: (builder: BlockBuilder, entry: TimelineEntry) => void = () => {},
): { blocks: { bytes: Uint8Array; lastSeq: number }[]; contexts: ProducerContext[] } {
  const contexts = session.producers.map((producer) => new ProducerContext(JSON_PROFILE, producer));
  const builder = new BlockBuilder(session.meta.recordingId, 1, PORTABLE_COMPRESSION);
  const blocks: { bytes: Uint8Array; lastSeq: number }[] = [];
  let previous: BlockLink = NO_BLOCK;
  const expected = session.producers.map(({ player, index }) => [player, session.entries[index]?.length ?? 0] as const);
  builder.meta(session.meta);
  builder.open(contexts);
  for (const [i, entry] of arrived.entries()) {
    contexts[entry.producer]?.advance(entry, 'DAMAGED');
    builder.add(entry);
    records(builder, entry);
    if (builder.entries < perBlock && i < arrived.length - 1) continue;
    if (i === arrived.length - 1) builder.end({ endedAt: 30_000_000, expected });
    const { bytes, link, lastSeq } = builder.close(previous, { compress: false });
    blocks.push({ bytes, lastSeq });
    previous = link;
    builder.meta(session.meta);
    builder.open(contexts);
  }
  return { blocks, contexts };
}

/** The same as one unfinished recording. */
export async function unfinishedFile(blocks: readonly { bytes: Uint8Array }[]): Promise<Uint8Array> {
  const sink = new BytesSink();
  await sink.write(encodeFileHeader(PORTABLE_COMPRESSION));
  for (const { bytes } of blocks) await sink.write(bytes);
  return sink.bytes();
}

/** Gives entries their seqs in the order they come in. */
export function arrive(entries: readonly TimelineEntry[]): TimelineEntry[] {
  return entries.map((entry, i) => ({ ...entry, seq: i + 1 }));
}

/** One journal block of entries that are all the same but for their seq. */
export function plainBlock(number: number, firstSeq: number, count = 1): Uint8Array {
  const builder = new BlockBuilder(recordingId(number), 1, PORTABLE_COMPRESSION);
  const body = Uint8Array.of(1, 2, 3, number);
  for (let seq = firstSeq; seq < firstSeq + count; seq++) {
    builder.add({ seq, producer: 0, pseq: seq, time: seq * 1_000, hlc: 0, stamp: seq * 1_000, body });
  }
  return builder.close(NO_BLOCK, { compress: false }).bytes;
}

/** A journal block that declares a producer and holds no entries. */
export function recordBlock(number: number, player: string): Uint8Array {
  const builder = new BlockBuilder(recordingId(number), 1, PORTABLE_COMPRESSION);
  builder.producer({ index: 0, player, instance: 'instance' });
  return builder.close(NO_BLOCK, { compress: false }).bytes;
}

function typedEntry(sender: ProducerContext, i: number): TimelineEntry {
  const char = String.fromCharCode(97 + ((i + sender.index) % 26));
  const change: StateChange =
    i === 0
      ? { form: 'keyframe', entries: [['text', char]] }
      : { form: 'delta', ops: [{ op: 'splice', key: 'text', at: i, remove: 0, insert: char }] };
  const time = i * 100_000 + sender.index * 7_300;
  const writer = new ByteWriter();
  const event = { type: 'keystroke', data: { char, modifiers: [] } };
  encodeBody(
    writer,
    sender.vocabulary,
    { event, change },
    { editEnd: (key) => sender.state.editEnd(key), learn: true },
  );
  sender.state.apply(change, time);
  return { seq: 0, producer: sender.index, pseq: i + 1, time, hlc: 0, stamp: time, body: writer.take() };
}
