import type { EventInput, Session, SessionStatus } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import {
  BytesSink,
  compareEntries,
  EventType,
  type Json,
  LMSP_PROFILE,
  makeRecordingId,
  ProducerContext,
  type ProducerRecord,
  RecordingWriter,
  type State,
  type TextChange,
  type TimelineEntry,
} from '@gametape/shared';
import { Producer, relayBody, stampOf } from './private-parts.ts';

const META = {
  recordingId: makeRecordingId(1_700_000_000_000, new Uint8Array(10).fill(7)),
  room: 'bench',
  profile: LMSP_PROFILE.name,
  createdAt: 1_700_000_000,
};

/** What a typist needs of a session. */
type TypedSession = Pick<
  Session,
  'room' | 'player' | 'status' | 'edit' | 'set' | 'record' | 'say' | 'checkpoint' | 'on'
>;

/** What a recording is written from. */
export interface Timeline {
  readonly entries: readonly TimelineEntry[];
  /** Names of those that are checkpoints, by their seq. */
  readonly checkpoints: ReadonlyMap<number, string>;
}

/**
 * A room without relay or wall clock: what its players make, with the bodies that the SDK makes and the times that a trace
 * tells, as the relay of a quiet network would place it.
 */
export class OfflineRoom {
  readonly #players: OfflinePlayer[] = [];
  readonly #entries: TimelineEntry[] = [];
  readonly #checkpoints = new Map<TimelineEntry, string>();

  join(player: string, state: State): OfflinePlayer {
    const joined = new OfflinePlayer(this.#players.length, player, state, (entry, checkpoint) => {
      this.#entries.push(entry);
      if (checkpoint !== undefined) this.#checkpoints.set(entry, checkpoint);
    });
    this.#players.push(joined);
    return joined;
  }

  /** All entries in timeline order. */
  timeline(): Timeline {
    const checkpoints = new Map<number, string>();
    const entries = this.#entries.toSorted(compareEntries).map((made, index) => {
      const name = this.#checkpoints.get(made);
      if (name !== undefined) checkpoints.set(index + 1, name);
      return { ...made, seq: index + 1 };
    });
    return { entries, checkpoints };
  }

  get players(): readonly ProducerRecord[] {
    return this.#players;
  }

  async toBytes(): Promise<Uint8Array> {
    return await writeTimeline(this.timeline(), this.#players);
  }
}

export async function writeTimeline(
  { entries, checkpoints }: Timeline,
  producers: Iterable<ProducerRecord>,
): Promise<Uint8Array> {
  const sink = new BytesSink();
  const writer = new RecordingWriter(sink, META, { compression: NODE_COMPRESSION });
  for (const { index, player, instance } of producers) writer.addProducer({ index, player, instance });
  for (const entry of entries) {
    await writer.add(entry);
    const name = checkpoints.get(entry.seq);
    if (name !== undefined) writer.addCheckpoint(name, entry);
  }
  await writer.finish();
  return sink.bytes();
}

/** One player of it. `nowUs` is its clock, moved by whoever makes it play. */
class OfflinePlayer implements TypedSession {
  readonly room = META.room;
  readonly index: number;
  readonly player: string;
  readonly instance: string;
  readonly status: SessionStatus = {
    connection: 'live',
    recorded: 0,
    accepted: 0,
    stable: 0,
    lost: 0,
    pendingBytes: 0,
    durability: 'memory',
  };
  nowUs = 0;
  readonly #producer = new Producer(LMSP_PROFILE, NODE_COMPRESSION.crc32);
  readonly #made: (entry: TimelineEntry, checkpoint?: string) => void;
  #pseq = 0;
  #last = { time: 0, hlc: 0 };

  constructor(index: number, player: string, state: State, made: (entry: TimelineEntry, checkpoint?: string) => void) {
    this.index = index;
    this.player = player;
    this.instance = `0123456789abcde${index.toString(16)}`;
    this.#made = made;
    const { vocabulary } = new ProducerContext(LMSP_PROFILE, this);
    this.#producer.begin(state);
    const joined = this.#producer.encode(undefined, 0);
    const body = relayBody(vocabulary, EventType.PLAYER_JOIN, { name: player }, joined);
    made({ seq: 0, producer: index, pseq: 0, time: 0, hlc: 0, stamp: null, body });
  }

  edit(key: string, change: TextChange): void {
    this.#producer.edit(key, change);
  }

  set(key: string, value: Json): void {
    this.#producer.set(key, value);
  }

  record(event: EventInput): void {
    this.#record(event);
  }

  say(message: string): void {
    this.#record({ type: EventType.PLAYER_MESSAGE, data: { message } });
  }

  async checkpoint(name: string): Promise<void> {
    this.#record({ type: EventType.CHECKPOINT, data: { name } }, name);
  }

  on(): () => void {
    return () => {};
  }

  #record(event: EventInput, checkpoint?: string): void {
    const stamp = Math.max(this.#last.time, stampOf(this.nowUs));
    const body = this.#producer.encode(this.#producer.checkEvent(event), stamp);
    const hlc = stamp === this.#last.time ? this.#last.hlc + 1 : 0;
    this.#last = { time: stamp, hlc };
    this.#made({ seq: 0, producer: this.index, pseq: ++this.#pseq, time: stamp, hlc, stamp, body }, checkpoint);
  }
}
