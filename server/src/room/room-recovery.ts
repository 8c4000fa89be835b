import {
  BlockBuilder,
  type BlockLink,
  type CheckpointRecord,
  type Compression,
  type EndRecord,
  EventType,
  linkOf,
  PlayClock,
  ProducerContext,
  RecordingIdentity,
  readEventBlock,
  type TimelineEntry,
} from '@gametape/shared';
import type { Journal } from '../journal/journal.ts';
import { RoomClock } from '../timeline/clock.ts';
import type { RestoredProducer, RoomStart } from './room.ts';

/** What a journal has of a recording that was not finished. */
export interface RecoveredRoom {
  readonly start: RoomStart;
  /** The room had ended: only finishing is left. */
  readonly end: EndRecord | undefined;
}

/** Puts a room together again from its blocks: keyframes first, then what came after them (J3, J4). */
export async function recoverRoom(journal: Journal, recordingId: string, compression: Compression): Promise<RecoveredRoom> {
  const identity = new RecordingIdentity();
  const contexts = new Map<number, ProducerContext>();
  const checkpoints = new Map<string, CheckpointRecord>();
  const epochEnds = new Map<number, number>();
  const playClock = new PlayClock();
  const present = new Set<number>();
  const firstSeqs = new Map<number, number>();
  const expected = new Map<number, number>();
  const restarts = new Set<number>();
  const needKeyframe = new Set<number>();
  let end: EndRecord | undefined;
  let lastSealed: BlockLink | undefined;
  /** What is not in the recording's own file yet goes into its next block, which opens with what was known by then. */
  let sealing: BlockBuilder | undefined;
  let recent: { entry: TimelineEntry; restarts: boolean }[] = [];
  let [headSeq, events, lastTime] = [0, 0, 0];
  const contextOf = (producer: number): ProducerContext => {
    const known = contexts.get(producer);
    if (known) return known;
    const declared = identity.producers.get(producer) ?? { index: producer, player: `unknown-${producer}`, instance: '' };
    const context = new ProducerContext(identity.profile, declared);
    contexts.set(producer, context);
    return context;
  };
  const skip = (producer: number): void => {
    restarts.add(producer);
    needKeyframe.add(producer);
  };
  const openSealing = (): BlockBuilder => {
    const epoch = Math.max(0, ...epochEnds.keys()) + 1;
    const builder = new BlockBuilder(recordingId, epoch, compression);
    if (!lastSealed) builder.meta(identity.meta);
    builder.open(latestOfEachPlayer(contexts.values()));
    return builder;
  };
  for await (const { header, stored, sealed } of journal.recover(recordingId)) {
    const declared = identity.producers.size;
    const block = readEventBlock(header, stored, identity, compression);
    if (!sealed) {
      sealing ??= openSealing();
      for (const producer of [...identity.producers.values()].slice(declared)) sealing.producer(producer);
      for (const gap of block.gaps) sealing.gap(gap);
      for (const checkpoint of block.checkpoints) sealing.checkpoint(checkpoint);
    } else {
      lastSealed = linkOf(header);
      // A sealed block opens with what is known by then: after a damaged one it is all there is to go on from.
      for (const keyframe of block.keyframes) contexts.set(keyframe.index, keyframe);
      recent = [];
    }
    for (const entry of block.entries) {
      if (entry.seq <= headSeq) continue;
      const { producer } = entry;
      const context = contextOf(producer);
      if (entry.pseq > context.pseq + 1) skip(producer);
      const { event, change } = context.advance(entry, 'DAMAGED', compression.crc32);
      if (!sealed) sealing?.add(entry);
      // Entries are found by counting: what lies before a hole is of no use to anybody.
      if (entry.seq > headSeq + 1) recent = [];
      headSeq = entry.seq;
      lastTime = Math.max(lastTime, entry.time);
      const isOwn = entry.stamp !== null;
      recent.push({ entry, restarts: isOwn && restarts.delete(producer) });
      if (isOwn && change) needKeyframe.delete(producer);
      if (!firstSeqs.has(producer)) firstSeqs.set(producer, entry.seq);
      if (!event) continue;
      events++;
      playClock.observe(entry.time, context.player, event);
      if (isOwn) continue;
      if (event.type === EventType.PLAYER_JOIN) present.add(producer);
      if (event.type === EventType.PLAYER_LEAVE) present.delete(producer);
      if (event.type === EventType.PLAYER_LEAVE && event.data.reason === 'left') expected.set(producer, context.pseq);
      else expected.delete(producer);
    }
    for (const { producer, lastPseq } of block.gaps) {
      if (lastPseq > contextOf(producer).pseq) skip(producer);
      contextOf(producer).skipTo(lastPseq);
    }
    for (const checkpoint of block.checkpoints) checkpoints.set(checkpoint.name, checkpoint);
    epochEnds.set(header.epoch, headSeq);
    end ??= block.end;
  }
  const { meta, profile } = identity;
  const sinceCreatedUs = (Date.now() / 1_000 - meta.createdAt) * 1_000_000;
  const count = Math.max(-1, ...identity.producers.keys()) + 1;
  const producers = Array.from({ length: count }, (_, index): RestoredProducer => {
    return {
      context: contextOf(index),
      isPresent: present.has(index),
      firstSeq: firstSeqs.get(index) ?? headSeq + 1,
      expected: expected.get(index) ?? null,
      restarts: restarts.has(index),
      needsKeyframe: needKeyframe.has(index),
    };
  });
  const start: RoomStart = {
    meta,
    profile,
    epoch: Math.max(0, ...epochEnds.keys()) + 1,
    // The wall clock may have been set back meanwhile: room time goes on all the same.
    clock: new RoomClock(Math.max(lastTime + 1, sinceCreatedUs)),
    journal: { journal, lastSealed, sealing: sealing ?? openSealing() },
    headSeq,
    recent,
    epochEnds,
    producers,
    checkpoints,
    playClock,
    events,
  };
  return { start, end };
}

function latestOfEachPlayer(contexts: Iterable<ProducerContext>): Iterable<ProducerContext> {
  return new Map(Array.from(contexts, (context) => [context.player, context])).values();
}
