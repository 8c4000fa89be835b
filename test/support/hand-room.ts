import {
  FileJournal,
  type Files,
  type Journal,
  type JournalDamage,
  NODE_COMPRESSION,
  NODE_FILES,
} from '@gametape/server';
import {
  BodyEncoder,
  type GametapeError,
  JSON_PROFILE,
  type RecordingMeta,
  type RewindBase,
  type State,
} from '@gametape/shared';
import { SILENT } from '../../server/dist/log.js';
import { DEFAULT_RELAY_OPTIONS } from '../../server/dist/options.js';
import { Flusher } from '../../server/dist/room/flusher.js';
import { Room } from '../../server/dist/room/room.js';
import { type RecoveredRoom, recoverRoom } from '../../server/dist/room/room-recovery.js';
import { newRoomStart, type RoomStart } from '../../server/dist/room/room-start.js';
import { SealBacklog } from '../../server/dist/room/seal-backlog.js';
import type { Seat } from '../../server/dist/room/seat.js';
import { RoomClock } from '../../server/dist/timeline/clock.js';
import { recordingId } from './typed-session.ts';

function fail(error: unknown): never {
  throw error;
}

class HandClock extends RoomClock {
  nowUs = 0;

  override now(): number {
    return this.nowUs;
  }
}

/** A player of it: what its SDK would make. */
class HandPlayer {
  seat: Seat;
  #room: Room;
  #base: RewindBase | undefined;
  readonly #bodies = new BodyEncoder(JSON_PROFILE, NODE_COMPRESSION.crc32);
  #pseq = 0;

  constructor(room: Room, seat: Seat) {
    this.#room = room;
    this.seat = seat;
  }

  get pseq(): number {
    return this.#pseq;
  }

  /** Records an event, with the state after it. */
  record(type: string, data: Record<string, string | number> = {}, state?: State): void {
    if (state) this.#bodies.replaceState(state, 0);
    this.#accept(this.#bodies.encode({ type, data }, 0));
  }

  /** It is shown the rewind that has put it where `state` is. */
  follow(seq: number, state: State): void {
    this.#bodies.rebase(Object.entries(state), 0);
    this.#base = { seq, firstPseq: this.#pseq + 1 };
  }

  /** It goes on in the room as it has come back. */
  returnTo({ room }: HandRoom): void {
    this.#room = room;
    this.seat = room.seats.all[this.seat.context.index] as Seat;
  }

  /** So many of its events will not come. */
  skip(count: number): void {
    this.#pseq += count;
    this.#bodies.restart();
  }

  /** Types at the end of the text. */
  type(text: string): void {
    const at = String(this.#bodies.state.get('text') ?? '').length;
    this.#bodies.change([{ op: 'splice', key: 'text', at, remove: 0, insert: text }], 0);
    this.#accept(this.#bodies.encode({ type: 'typed', data: { text } }, 0));
  }

  #accept(body: Uint8Array): void {
    const stampDelta = this.#room.clock.now() - this.seat.context.stamp;
    const base = this.#base && { base: this.#base };
    this.#room.accept(this.seat, {
      kind: 'events-up',
      firstPseq: ++this.#pseq,
      ...base,
      events: [{ stampDelta, body }],
    });
  }
}

/** A room in a file journal, without sockets, whose time is moved by hand. */
export class HandRoom {
  readonly clock = new HandClock(0);
  readonly backlog = new SealBacklog();
  /** Why it is read-only. */
  readonly failures: GametapeError[] = [];
  readonly journal: Journal;
  readonly room: Room;

  private constructor(journal: Journal, more: Pick<RecordingMeta, 'spectatorDelayMs'> = {}, recovered?: RoomStart) {
    this.journal = journal;
    const createdAt = Math.floor(Date.now() / 1_000) - 7_200;
    const meta = { recordingId: recordingId(1), room: 'arena', profile: 'json', createdAt, ...more };
    const start = recovered ?? newRoomStart({ meta, profile: JSON_PROFILE, epoch: 1, clock: this.clock }, journal);
    this.room = new Room(start, {
      options: DEFAULT_RELAY_OPTIONS,
      compression: NODE_COMPRESSION,
      log: SILENT,
      flusher: new Flusher(60_000),
      backlog: this.backlog,
      onFailure: (error) => void this.failures.push(error),
      onFault: fail,
    });
  }

  static async open(
    dataDir: string,
    files?: Files,
    more: Pick<RecordingMeta, 'spectatorDelayMs'> = {},
  ): Promise<HandRoom> {
    return new HandRoom(await openJournal(dataDir, [], files), more);
  }

  /** The room as it comes back. */
  static async recover(dataDir: string, files?: Files): Promise<HandRoom> {
    const journal = await openJournal(dataDir, [], files);
    return new HandRoom(journal, {}, (await recoverRoom(journal, recordingId(1), NODE_COMPRESSION, 0)).start);
  }

  join(name: string, text?: string): HandPlayer {
    const seat = this.room.addSeat(name, `${name}-1`, undefined);
    seat.estimate.greet(this.clock.now(), 0);
    this.room.relayEvents.join(seat, { name });
    const player = new HandPlayer(this.room, seat);
    if (text !== undefined) player.record('began', {}, { text });
    return player;
  }

  /** Moves the clock on and seals everything so far. */
  async seal(afterS = 30): Promise<void> {
    this.clock.nowUs += afterS * 1_000_000;
    await this.room.output.seal();
  }
}

export function openJournal(
  dataDir: string,
  damage: JournalDamage[] = [],
  files: Files = NODE_FILES,
): Promise<FileJournal> {
  return FileJournal.open(dataDir, { compression: NODE_COMPRESSION, onDamage: (one) => damage.push(one), files });
}

/** What a relay that starts now makes of the journal. */
export async function recoverHere(dataDir: string, damage: JournalDamage[] = []): Promise<RecoveredRoom> {
  const journal = await openJournal(dataDir, damage);
  try {
    return await recoverRoom(journal, recordingId(1), NODE_COMPRESSION, 0);
  } finally {
    await journal.close();
  }
}
