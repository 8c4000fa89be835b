import {
  type CheckpointPlace,
  type CheckpointRecord,
  type Compression,
  GametapeError,
  type LiveState,
  ProducerContext,
  RecordingIdentity,
  type RecordingMeta,
  readEventBlock,
} from '@gametape/shared';
import type { Journal, RecoveredBlock } from '../journal/journal.ts';

export interface CheckpointSearch {
  readonly journal: Journal;
  readonly meta: RecordingMeta;
  /** Every producer of the room: a block declares only those that come new. */
  readonly producers: Iterable<{ readonly index: number; readonly player: string; readonly instance: string }>;
  readonly compression: Compression;
}

/**
 * Every player's state at a checkpoint of a live room, from its journal: from the sealed block before it on, its entries are
 * replayed up to the checkpoint's, and the states compared with the hashes that were noted then (T8, R4).
 *
 * @throws GametapeError `DAMAGED` where the journal does not have those states any more
 */
export async function statesAtCheckpoint(
  { journal, meta, producers, compression }: CheckpointSearch,
  { name, seq }: CheckpointPlace,
): Promise<ReadonlyMap<string, LiveState>> {
  const identity = new RecordingIdentity();
  identity.meta = meta;
  for (const { index, player, instance } of producers) identity.producers.set(index, { index, player, instance });
  const contexts = new Map<number, ProducerContext>();
  let record: CheckpointRecord | undefined;
  let isReached = false;
  let lastSeq = 0;
  const isBefore = ({ header }: RecoveredBlock) => header.events > 0 && header.firstSeq <= seq;
  for await (const { header, stored, sealed } of journal.recover(meta.recordingId, isBefore)) {
    const block = readEventBlock(header, stored, identity, compression);
    if (!isReached && sealed) for (const keyframe of block.keyframes()) contexts.set(keyframe.index, keyframe);
    for (const entry of isReached ? [] : block.entries) {
      if (entry.seq > seq) break;
      if (entry.seq <= lastSeq) continue;
      lastSeq = entry.seq;
      let context = contexts.get(entry.producer);
      if (!context) {
        const producer = identity.producers.get(entry.producer);
        if (!producer) throw damaged(name, `event ${entry.seq} is of an unknown producer`);
        context = new ProducerContext(identity.profile, producer);
        contexts.set(entry.producer, context);
      }
      context.advance(entry, 'DAMAGED', compression.crc32);
      isReached = entry.seq === seq;
    }
    record = block.checkpoints.find((checkpoint) => checkpoint.name === name) ?? record;
    if (isReached && record) break;
  }
  if (!isReached || !record) throw damaged(name, 'the journal does not have it any more');
  const states = new Map<string, LiveState>();
  for (const [producer, hash] of record.hashes) {
    const context = contexts.get(producer);
    if (!context || context.state.hash(compression.crc32) !== hash) {
      throw damaged(name, `the state of ${context?.player ?? `producer ${producer}`} is not what it was`);
    }
    states.set(context.player, context.state);
  }
  return states;
}

function damaged(name: string, what: string): GametapeError {
  return new GametapeError('DAMAGED', `checkpoint ${JSON.stringify(name)}: ${what}`);
}
