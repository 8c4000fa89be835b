import {
  GametapeError,
  type LiveState,
  type Profile,
  profileNamed,
  RecordingReader,
  type StartedFrom,
} from '@gametape/shared';
import { FileSource } from '../file-source.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import type { RecordingStore } from './recording-store.ts';

/** What a new room starts from: a checkpoint of a finished recording. */
export interface RoomOrigin {
  /** The room that was recorded. */
  readonly room: string;
  readonly profile: Profile;
  readonly startedFrom: StartedFrom;
  /** By player id. */
  readonly states: ReadonlyMap<string, LiveState>;
}

/**
 * The states of a checkpoint named `RECORDING#CHECKPOINT`.
 *
 * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED`
 */
export async function checkpointOrigin(store: RecordingStore, from: string): Promise<RoomOrigin> {
  const at = from.indexOf('#');
  if (at < 0) throw new GametapeError('BAD_ID', `${from}: expected RECORDING#CHECKPOINT`);
  const [recordingId, name] = [from.slice(0, at), from.slice(at + 1)];
  const source = await FileSource.open(store.path(recordingId));
  try {
    const reader = await RecordingReader.open(source, NODE_COMPRESSION);
    const found = reader.checkpoints.findLast((checkpoint) => checkpoint.name === name);
    if (!found) {
      const names = [...new Set(reader.checkpoints.map((checkpoint) => checkpoint.name))].slice(0, 20).join(', ');
      throw new GametapeError('NOT_FOUND', `${from}: there is no such checkpoint; there are ${names || 'none'}`);
    }
    const states = new Map<string, LiveState>();
    const first = reader.blocks.findLastIndex(({ firstTime }) => firstTime < found.time);
    // Earlier blocks are not needed: each opens with the keyframes of all.
    for await (const { entry, contexts } of stepsFrom(reader, Math.max(0, first))) {
      if (entry.seq !== found.seq) continue;
      for (const [producer, hash] of found.hashes) {
        const context = contexts.get(producer);
        if (!context || context.state.hash(NODE_COMPRESSION.crc32) !== hash) {
          throw new GametapeError('DAMAGED', `${from}: the state of producer ${producer} is not what it was`);
        }
        states.set(context.player, context.state);
      }
      const { room, profile } = reader.meta;
      return { room, profile: profileNamed(profile), startedFrom: { recordingId, checkpoint: name }, states };
    }
    throw new GametapeError('DAMAGED', `${from}: the event of the checkpoint is not there`);
  } finally {
    await source.close();
  }
}

async function* stepsFrom(reader: RecordingReader, block: number) {
  for await (const replay of reader.replayBlocks(block)) {
    for (const { entry } of replay.steps()) yield { entry, contexts: replay.contexts };
  }
}
