import {
  type Compression,
  type EndRecord,
  GametapeError,
  type Hello,
  isId,
  makeRecordingId,
  PlayClock,
  profileNamed,
  type SessionSummary,
} from '@gametape/shared';
import type { Journal } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import { RoomClock } from '../timeline/clock.ts';
import { Flusher } from './flusher.ts';
import { LiveRoom } from './live-room.ts';
import { Room } from './room.ts';
import { recoverRoom } from './room-recovery.ts';
import type { RoomStart } from './room-start.ts';

export interface RoomDirectoryOptions {
  readonly options: RelayOptions;
  readonly journal: Journal;
  readonly compression: Compression;
  readonly log: Logger;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Makes the finished recording of a room that has ended, from what its journal has. */
  readonly finish: (room: { recordingId: string; room: string }, end: EndRecord) => Promise<SessionSummary>;
  /** The summary of a recording that is finished already, undefined if there is none. */
  readonly finished: (recordingId: string) => Promise<SessionSummary | undefined>;
}

/** Finds, opens and retires rooms. */
export class RoomDirectory {
  readonly #deps: RoomDirectoryOptions;
  readonly #flusher: Flusher;
  /** Rooms that can be joined, by name. */
  readonly #rooms = new Map<string, LiveRoom>();
  /** Rooms that have ended and whose recording is not finished yet, by recording id. */
  readonly #finishing = new Map<string, LiveRoom>();
  /** The same for rooms that had ended when the process stopped. */
  readonly #finishingAgain = new Map<string, Promise<SessionSummary | undefined>>();
  readonly #afterFinish = new Set<Promise<void>>();
  #isClosed = false;

  constructor(deps: RoomDirectoryOptions) {
    this.#deps = deps;
    this.#flusher = new Flusher(deps.options.flushMs);
  }

  get rooms(): Iterable<LiveRoom> {
    return this.#rooms.values();
  }

  room(name: string): LiveRoom | undefined {
    return this.#rooms.get(name);
  }

  /**
   * The room that a hello is for: a player opens it, a spectator has to find it there. What ended meanwhile says so.
   *
   * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `ROOM_ENDED`, `ROOM_FULL`
   */
  roomFor(hello: Hello): LiveRoom {
    for (const id of [hello.room, hello.player, hello.instance]) {
      const shown = JSON.stringify(id.slice(0, 80));
      if (!isId(id)) throw new GametapeError('BAD_ID', `hello: ${shown} is no id`);
    }
    const known = this.#rooms.get(hello.room);
    if (hello.resume && known?.room.recordingId !== hello.resume.recordingId) {
      const finishing = this.#finishing.get(hello.resume.recordingId);
      if (finishing) return finishing;
      throw new GametapeError('ROOM_ENDED', `room ${hello.room}: the session that this client was part of is over`);
    }
    if (known) return known;
    if (hello.role === 'spectator') throw new GametapeError('NOT_FOUND', `room ${hello.room}: nobody plays there`);
    if (this.#isClosed || this.#rooms.size >= this.#deps.options.maxRooms) {
      throw new GametapeError('ROOM_FULL', `this relay takes no more rooms, it has ${this.#rooms.size}`);
    }
    return this.#open(this.#newRoom(hello));
  }

  /** The summary of a recording whose room is over, once it is finished. */
  async finished(recordingId: string): Promise<SessionSummary | undefined> {
    return (await this.#finishingAgain.get(recordingId)) ?? (await this.#deps.finished(recordingId));
  }

  /** Brings back every room that was not finished when the process stopped (J3). */
  async recover(): Promise<void> {
    const { journal, compression, log } = this.#deps;
    for (const recordingId of await journal.unfinished()) {
      try {
        const { start, end, cut } = await recoverRoom(journal, recordingId, compression);
        if (cut.length > 0) log.warn({ recordingId, players: cut }, 'events after a hole in the journal are left out');
        if (end) {
          this.#finishAgain(start, end);
          continue;
        }
        const live = this.#open(start);
        await live.room.seal();
        live.awaitReturns();
        log.info({ room: start.meta.room, recordingId, events: start.events }, 'room is back');
      } catch (error) {
        // One recording that cannot be read takes no other with it (S4). Its blocks stay where they are.
        log.error({ recordingId, reason: (error as Error).message }, 'recording cannot be recovered');
      }
    }
  }

  /** Stops every room with everything stable and sealed (J7); they come back with `recover`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const open = [...this.#rooms.values()];
    await Promise.allSettled(open.filter(({ isEnding }) => !isEnding).map(({ room }) => room.seal()));
    for (const live of open) live.stop();
    await Promise.allSettled(this.#afterFinish);
  }

  #newRoom(hello: Hello): RoomStart {
    const profile = profileNamed(hello.profile);
    const createdMs = Date.now();
    const recordingId = makeRecordingId(createdMs, this.#deps.randomBytes(10));
    return {
      meta: { recordingId, room: hello.room, profile: profile.name, createdAt: createdMs / 1_000 },
      profile,
      epoch: 1,
      clock: new RoomClock(0),
      journal: { journal: this.#deps.journal, lastSealed: undefined, sealing: undefined },
      headSeq: 0,
      recent: [],
      epochEnds: new Map(),
      producers: [],
      checkpoints: new Map(),
      playClock: new PlayClock(),
      events: 0,
    };
  }

  #open(start: RoomStart): LiveRoom {
    const { options, compression, log } = this.#deps;
    const onFailure = (error: GametapeError) => {
      log.error({ room: start.meta.room, reason: error.message }, 'room is read-only');
      live.fail(error);
    };
    const room = new Room(start, { options, compression, log, flusher: this.#flusher, onFailure });
    let release = () => {};
    const live: LiveRoom = new LiveRoom(room, options, {
      finish: ({ meta }, end) => this.#deps.finish(meta, end),
      ended: () => {
        this.#forget(live);
        this.#finishing.set(room.recordingId, live);
        this.#track(
          new Promise((resolve) => {
            release = resolve;
          }),
        );
      },
      over: () => {
        this.#forget(live);
        this.#finishing.delete(room.recordingId);
        release();
      },
    });
    this.#rooms.set(room.name, live);
    return live;
  }

  #forget(live: LiveRoom): void {
    if (this.#rooms.get(live.room.name) === live) this.#rooms.delete(live.room.name);
  }

  #finishAgain({ meta }: RoomStart, end: EndRecord): void {
    const { recordingId } = meta;
    const finished = this.#deps.finish(meta, end).catch((error: unknown) => {
      this.#deps.log.error({ recordingId, reason: (error as Error).message }, 'finishing failed');
      return undefined;
    });
    this.#finishingAgain.set(recordingId, finished);
    this.#track(finished.then(() => void this.#finishingAgain.delete(recordingId)));
  }

  #track(work: Promise<void>): void {
    this.#afterFinish.add(work);
    void work.finally(() => this.#afterFinish.delete(work));
  }
}
