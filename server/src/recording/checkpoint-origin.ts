import {
  GametapeError,
  isGametapeError,
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

/** The recording of `RECORDING#CHECKPOINT`. */
export function recordingOf(from: string): string {
  return from.slice(0, Math.max(0, from.indexOf('#')));
}

/**
 * The states of a checkpoint named `RECORDING#CHECKPOINT`.
 *
 * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED`
 */
export async function checkpointOrigin(store: RecordingStore, from: string): Promise<RoomOrigin> {
  const at = from.indexOf('#');
  if (at < 0) throw new GametapeError('BAD_ID', `${from}: expected RECORDING#CHECKPOINT`);
  const [recordingId, name] = [recordingOf(from), from.slice(at + 1)];
  const source = await open(store.path(recordingId), from);
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

/** What is said of a recording that is not there, and of one that is not due yet: they cannot be told apart (V2). */
export function noSuchRecording(from: string): GametapeError {
  const hint =
    'Check the id. What was recorded of a room with a delay is there once its spectators have been shown the end.';
  return new GametapeError('NOT_FOUND', `${from}: there is no such recording`, { hint });
}

async function open(path: string, from: string): Promise<FileSource> {
  try {
    return await FileSource.open(path);
  } catch (error) {
    throw isGametapeError(error, 'NOT_FOUND') ? noSuchRecording(from) : error;
  }
}

async function* stepsFrom(reader: RecordingReader, block: number) {
  for await (const replay of reader.replayBlocks(block)) {
    for (const { entry } of replay.steps()) yield { entry, contexts: replay.contexts };
  }
}
