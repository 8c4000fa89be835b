import {
  type CheckpointPlace,
  type CheckpointRecord,
  type Compression,
  type EventBlock,
  GametapeError,
  type LiveState,
  ProducerContext,
  type ProducerRecord,
  RecordingIdentity,
  type RecordingMeta,
  readEventBlock,
  type TimelineEntry,
} from '@gametape/shared';
import type { Journal } from '../journal/journal.ts';

export interface CheckpointSearch {
  readonly journal: Journal;
  readonly meta: RecordingMeta;
  /** Every producer of the room: a block declares only those that come new. */
  readonly producers: Iterable<ProducerRecord>;
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
  place: CheckpointPlace,
): Promise<ReadonlyMap<string, LiveState>> {
  const identity = new RecordingIdentity();
  identity.meta = meta;
  for (const { index, player, instance } of producers) identity.producers.set(index, { index, player, instance });
  const search = new Search(identity, compression, place);
  const blocks = journal.recover(meta.recordingId, ({ header }) => header.events > 0 && header.firstSeq <= place.seq);
  for await (const { header, stored, sealed } of blocks) {
    search.take(readEventBlock(header, stored, identity, compression), sealed);
    if (search.isDone) break;
  }
  return search.states();
}

class Search {
  readonly #identity: RecordingIdentity;
  readonly #compression: Compression;
  readonly #place: CheckpointPlace;
  readonly #contexts = new Map<number, ProducerContext>();
  #record: CheckpointRecord | undefined;
  #lastSeq = 0;

  constructor(identity: RecordingIdentity, compression: Compression, place: CheckpointPlace) {
    this.#identity = identity;
    this.#compression = compression;
    this.#place = place;
  }

  get isDone(): boolean {
    return this.#isReached && this.#record !== undefined;
  }

  take(block: EventBlock, sealed: boolean): void {
    if (!this.#isReached) {
      if (sealed) for (const keyframe of block.keyframes()) this.#contexts.set(keyframe.index, keyframe);
      for (const entry of block.entries) this.#advance(entry);
    }
    // The record follows its entry, sometimes in the next block.
    this.#record ??= block.checkpoints.find(({ name, seq }) => name === this.#place.name && seq === this.#place.seq);
  }

  /** @throws GametapeError `DAMAGED` */
  states(): ReadonlyMap<string, LiveState> {
    if (!this.#isReached || !this.#record) throw this.#damaged('the journal does not have it any more');
    const states = new Map<string, LiveState>();
    for (const [producer, hash] of this.#record.hashes) {
      const context = this.#contexts.get(producer);
      if (!context || context.state.hash(this.#compression.crc32) !== hash) {
        throw this.#damaged(`the state of ${context?.player ?? `producer ${producer}`} is not what it was`);
      }
      states.set(context.player, context.state);
    }
    return states;
  }

  get #isReached(): boolean {
    return this.#lastSeq === this.#place.seq;
  }

  #advance(entry: TimelineEntry): void {
    if (entry.seq <= this.#lastSeq || entry.seq > this.#place.seq) return;
    let context = this.#contexts.get(entry.producer);
    if (!context) {
      const producer = this.#identity.producers.get(entry.producer);
      if (!producer) throw this.#damaged(`event ${entry.seq} is of an unknown producer`);
      context = new ProducerContext(this.#identity.profile, producer);
      this.#contexts.set(entry.producer, context);
    }
    context.advance(entry, 'DAMAGED', this.#compression.crc32);
    this.#lastSeq = entry.seq;
  }

  #damaged(what: string): GametapeError {
    return new GametapeError('DAMAGED', `checkpoint ${JSON.stringify(this.#place.name)}: ${what}`);
  }
}
