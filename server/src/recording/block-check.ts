import {
  type BlockHeader,
  type CheckpointRecord,
  type Compression,
  compareEntries,
  type EventBlock,
  GametapeError,
  ProducerContext,
  type ProducerRecord,
  RecordingIdentity,
  type RecordingMeta,
  readEventBlock,
  type TimelineEntry,
} from '@gametape/shared';

/** What the blocks of a recording agree on. */
export interface KnownRecording {
  readonly meta: RecordingMeta;
  readonly producers: Map<number, ProducerRecord>;
}

export interface CheckedBlock {
  readonly content: EventBlock;
  /** Entries that are events, not mere state changes. */
  readonly events: number;
  /** Every producer of the block as it is at its end. */
  readonly contexts: ReadonlyMap<number, ProducerContext>;
}

/** The content of a block, its keyframes as they are at its start. @throws GametapeError as `checkBlock` */
export function loadBlock(
  header: BlockHeader,
  stored: Uint8Array,
  known: KnownRecording,
  compression: Compression,
): EventBlock {
  return load(header, stored, known, compression).content;
}

/**
 * Replays a block from nothing but its own keyframes: what its header says, the order of each producer, every delta.
 * `known` learns which producers it declares.
 *
 * @throws GametapeError `DAMAGED`, `BAD_DELTA`, `LIMIT_EXCEEDED`: it is not what a writer of the format writes
 */
export function checkBlock(
  header: BlockHeader,
  stored: Uint8Array,
  known: KnownRecording,
  compression: Compression,
): CheckedBlock {
  if (!header.selfContained) throw new GametapeError('DAMAGED', 'the block does not open with the keyframes it needs');
  const { content, identity } = load(header, stored, known, compression);
  const contexts = new Map(content.keyframes().map((context) => [context.index, context]));
  const lasts = new Map<number, TimelineEntry>();
  const seqs = new Set<number>();
  let events = 0;
  for (const entry of content.entries) {
    if (seqs.has(entry.seq)) throw bad(entry, 'the block has two of that number');
    seqs.add(entry.seq);
    const { producer, pseq } = entry;
    const last = lasts.get(producer);
    if (!isInside(entry, header)) throw bad(entry, 'it lies outside of the range that the header of its block states');
    if (last && compareEntries(last, entry) >= 0) throw bad(entry, `it does not come after event ${last.seq}`);
    lasts.set(producer, entry);
    let context = contexts.get(producer);
    if (!context) {
      // A player that joined in this block: it has neither a state nor a vocabulary of its own yet.
      const record = identity.producers.get(producer) ?? known.producers.get(producer);
      if (!record) throw bad(entry, `producer ${producer} is not declared`);
      context = new ProducerContext(identity.profile, record);
      contexts.set(producer, context);
    }
    if (pseq > 0 && pseq <= context.pseq) throw bad(entry, `its number ${pseq} is not a new one`);
    if (context.advance(entry, 'DAMAGED', compression.crc32).event) events++;
  }
  for (const producer of identity.producers.values()) known.producers.set(producer.index, producer);
  return { content, events, contexts };
}

function load(
  header: BlockHeader,
  stored: Uint8Array,
  known: KnownRecording,
  compression: Compression,
): { content: EventBlock; identity: RecordingIdentity } {
  // Of its own, so that a block that turns out bad teaches nothing.
  const identity = new RecordingIdentity();
  identity.meta = known.meta;
  const content = readEventBlock(header, stored, identity, compression);
  for (const producer of identity.producers.values()) refuseOther(producer, known.producers.get(producer.index));
  return { content, identity };
}

/** True if the states are those that a checkpoint has the hashes of, as far as `contexts` knows them (R4). */
export function hasHashes(
  { hashes }: Pick<CheckpointRecord, 'hashes'>,
  contexts: ReadonlyMap<number, ProducerContext>,
  { crc32 }: Compression,
): boolean {
  return hashes.every(([producer, hash]) => {
    const context = contexts.get(producer);
    return context !== undefined && context.state.hash(crc32) === hash;
  });
}

function isInside({ seq, time }: TimelineEntry, header: BlockHeader): boolean {
  return seq >= header.firstSeq && seq <= header.lastSeq && time >= header.firstTime && time <= header.lastTime;
}

function refuseOther(producer: ProducerRecord, known: ProducerRecord | undefined): void {
  if (!known || (known.player === producer.player && known.instance === producer.instance)) return;
  const message = `the block declares producer ${producer.index} as another than the blocks before`;
  throw new GametapeError('DAMAGED', message);
}

function bad({ seq }: TimelineEntry, what: string): GametapeError {
  return new GametapeError('DAMAGED', `event ${seq}: ${what}`);
}
