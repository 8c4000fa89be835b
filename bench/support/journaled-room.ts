import { type Journal, NODE_COMPRESSION } from '@gametape/server';
import {
  type CheckpointPlace,
  LMSP_PROFILE,
  makeRecordingId,
  ProducerContext,
  type ProducerRecord,
  type TimelineEntry,
} from '@gametape/shared';
import type { Timeline } from './offline-room.ts';
import { RoomJournal } from './private-parts.ts';

const EPOCH = 1;
/** As many entries as 8 typists make in a flush interval, at the most. */
const FLUSH_ENTRIES = 8;

export interface JournaledRoom {
  readonly room: string;
  readonly events: number;
  /** Canonical hashes of the states, by player. */
  readonly hashes: ReadonlyMap<string, number>;
}

/**
 * Leaves the journal of a room as a relay does that is killed when the last entry was accepted: what a room writes, by the
 * times that the entries tell. Closes it.
 */
export async function journalRoom(
  journal: Journal,
  room: string,
  { entries, checkpoints }: Timeline,
  producers: readonly ProducerRecord[],
): Promise<JournaledRoom> {
  const lastTime = entries.at(-1)?.time ?? 0;
  const createdMs = Date.now() - lastTime / 1_000;
  const recordingId = makeRecordingId(createdMs, new Uint8Array(10).fill(3));
  const meta = { recordingId, room, profile: LMSP_PROFILE.name, createdAt: createdMs / 1_000 };
  const contexts = producers.map((producer) => new ProducerContext(LMSP_PROFILE, producer));
  const firstSeqs = new Map<number, number>();
  const kept: CheckpointPlace[] = [];
  let events = 0;
  let last: TimelineEntry | undefined;
  const opening = () => {
    const headSeq = last?.seq ?? 0;
    const standings = contexts.map(({ player, instance, index }) => {
      const firstSeq = firstSeqs.get(index) ?? 0;
      return {
        player,
        instance,
        firstSeq,
        isPresent: true,
        expected: null,
        restarts: false,
        needsKeyframe: false,
        rewoundAt: 0,
        leftOut: 0,
      };
    });
    const epochEnds = [[EPOCH, headSeq]] as const;
    const time = last?.time ?? 0;
    const rest = { pauses: [], paused: undefined, changes: [], producers: standings };
    return { contexts, room: { headSeq, time, events, gaps: 0, epochEnds, checkpoints: kept, ...rest } };
  };
  await journal.claim(room);
  journal.begin(room, recordingId);
  const options = { journal, meta, epoch: EPOCH, headSeq: 0, compression: NODE_COMPRESSION, opening };
  const patience = { backlog: { bytes: 0, isFull: false }, onTrouble: fail };
  const output = new RoomJournal({ ...options, ...patience, lastSealed: undefined, sealing: undefined });
  for (const context of contexts) output.addProducer(context);
  let accepted: Promise<void> = Promise.resolve();
  for (const [place, entry] of entries.entries()) {
    const { event } = (contexts[entry.producer] as ProducerContext).advance(entry, 'DAMAGED');
    if (event) events++;
    if (!firstSeqs.has(entry.producer)) firstSeqs.set(entry.producer, entry.seq);
    last = entry;
    output.add(entry);
    const name = checkpoints.get(entry.seq);
    if (name !== undefined) {
      const hashes = contexts.map(({ index, state }) => [index, state.hash(NODE_COMPRESSION.crc32)] as const);
      kept.push({ name, seq: entry.seq, time: entry.time });
      output.addCheckpoint({ name, seq: entry.seq, eventIndex: 0, time: entry.time, hashes });
    }
    if (place % FLUSH_ENTRIES > 0 && place < entries.length - 1) continue;
    accepted = output.flush().accepted;
    await output.sealIfDue(entry.time);
  }
  await accepted;
  const hashes = new Map(contexts.map(({ player, state }) => [player, state.hash(NODE_COMPRESSION.crc32)]));
  await journal.close();
  return { room, events, hashes };
}

function fail(error: Error): never {
  throw error;
}
