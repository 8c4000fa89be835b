import {
  type Compression,
  type EndRecord,
  GametapeError,
  type Hello,
  isId,
  makeRecordingId,
  profileNamed,
  type SessionSummary,
} from '@gametape/shared';
import type { Claim, Journal } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import type { RoomOrigin } from '../recording/checkpoint-origin.ts';
import { RoomClock } from '../timeline/clock.ts';
import { Flusher } from './flusher.ts';
import { LiveRoom } from './live-room.ts';
import { Room } from './room.ts';
import { recoverRoom } from './room-recovery.ts';
import { newRoomStart, type RoomStart } from './room-start.ts';

/** Longest wait for the journal when the relay stops (J7). */
const CLOSE_MS = 4_000;

/** Each holds the states of a checkpoint until somebody plays there. */
const MAX_ORIGINS = 64;

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
  /** What a room may start from: `RECORDING#CHECKPOINT`. @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED` */
  readonly origin: (from: string) => Promise<RoomOrigin>;
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
  /** What the next session of a room starts from, by its name. */
  readonly #origins = new Map<string, RoomOrigin>();
  /** Names of rooms that a fault has closed: nobody opens another of that name before they can be brought back (S4). */
  readonly #quarantined = new Set<string>();
  readonly #afterFinish = new Set<Promise<void>>();
  /** Claims that are being made, by room: hellos of the same time share one. */
  readonly #claiming = new Map<string, Promise<Claim>>();
  #recovering: Promise<void> = Promise.resolve();
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
   * The room that a hello is for: a player opens it, a spectator has to find it there. What ended meanwhile says so; what
   * another relay left comes back.
   *
   * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `ROOM_ENDED`, `ROOM_FULL`, `ROOM_ELSEWHERE`, `JOURNAL_FAILED`
   */
  async roomFor(hello: Hello): Promise<LiveRoom> {
    for (const id of [hello.room, hello.player, hello.instance]) {
      const shown = JSON.stringify(id.slice(0, 80));
      if (!isId(id)) throw new GametapeError('BAD_ID', `hello: ${shown} is no id`);
    }
    const here = this.#find(hello);
    if (here) return here;
    if (hello.role === 'spectator' && !(await this.#deps.journal.knows(hello.room))) throw nobodyPlays(hello.room);
    if (!hello.resume) this.#checkRoomLeft();
    const { epoch } = await this.#claim(hello.room);
    const claimed = this.#find(hello);
    if (claimed) return claimed;
    if (hello.resume) throw sessionIsOver(hello.room);
    if (hello.role === 'spectator') throw nobodyPlays(hello.room);
    this.#checkRoomLeft();
    return this.#open(this.#newRoom(hello, epoch));
  }

  /** The room if it is here; for a client that resumes, the one that has the recording it was part of. */
  #find(hello: Hello): LiveRoom | undefined {
    if (this.#quarantined.has(hello.room)) {
      throw new GametapeError('ROOM_QUARANTINED', `room ${hello.room}: a fault of the relay has closed it`);
    }
    const known = this.#rooms.get(hello.room);
    if (hello.resume && known?.room.recordingId !== hello.resume.recordingId) {
      const finishing = this.#finishing.get(hello.resume.recordingId);
      if (finishing) return finishing;
      if (known) throw sessionIsOver(hello.room);
    }
    return known;
  }

  #checkRoomLeft(): void {
    if (!this.#isClosed && this.#rooms.size < this.#deps.options.maxRooms) return;
    throw new GametapeError('ROOM_FULL', `this relay takes no more rooms, it has ${this.#rooms.size}`);
  }

  /** Makes the room this relay's own and brings back what is unfinished of it. */
  #claim(name: string): Promise<Claim> {
    const known = this.#claiming.get(name);
    if (known) return known;
    const claiming = this.#makeClaim(name).finally(() => this.#claiming.delete(name));
    this.#claiming.set(name, claiming);
    return claiming;
  }

  async #makeClaim(name: string): Promise<Claim> {
    // A room that is being taken over is claimed before it is back.
    await this.#recovering;
    const claim = await this.#deps.journal.claim(name);
    await this.#bringBack(claim);
    return claim;
  }

  /** Another relay has the room: what is here of it stops without another word to the journal. */
  lose(name: string, error: GametapeError): void {
    const live = this.#rooms.get(name);
    if (!live) return;
    this.#deps.log.warn({ room: name, reason: error.message }, 'room is lost to another relay');
    this.#forget(live);
    live.stop();
    live.fail(error);
  }

  /**
   * The next session in a room starts from a checkpoint of a finished recording; without a name, in that recording's own room.
   *
   * @returns the name of the room
   * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED`; `NAME_TAKEN` for a room that is live; `ROOM_FULL`
   */
  async startFrom(from: string, room?: string): Promise<string> {
    const origin = await this.#deps.origin(from);
    const name = room ?? origin.room;
    const shown = JSON.stringify(name.slice(0, 80));
    if (!isId(name)) throw new GametapeError('BAD_ID', `room ${shown}: a name is 1 to 64 letters, digits, "_" or "-"`);
    if (this.#rooms.has(name)) throw new GametapeError('NAME_TAKEN', `room ${name}: somebody plays there already`);
    if (this.#origins.size >= MAX_ORIGINS && !this.#origins.has(name)) {
      throw new GametapeError(
        'ROOM_FULL',
        `this relay keeps ${MAX_ORIGINS} rooms that nobody has opened yet, and no more`,
      );
    }
    this.#origins.set(name, origin);
    return name;
  }

  /** The summary of a recording whose room is over, once it is finished. */
  async finished(recordingId: string): Promise<SessionSummary | undefined> {
    return (await this.#finishingAgain.get(recordingId)) ?? (await this.#deps.finished(recordingId));
  }

  /** Brings back every room that is not finished and that nobody has (J3). */
  recover(): Promise<void> {
    this.#recovering = this.#recovering.then(() => this.#takeOver());
    return this.#recovering;
  }

  async #takeOver(): Promise<void> {
    try {
      for (const claim of await this.#deps.journal.takeOver()) await this.#bringBack(claim);
    } catch (error) {
      this.#deps.log.error({ reason: (error as Error).message }, 'taking over rooms failed');
    }
  }

  async #bringBack({ epoch, unfinished }: Claim): Promise<void> {
    const { journal, compression, log } = this.#deps;
    for (const recordingId of unfinished) {
      if (this.#isClosed) return;
      try {
        const { start, end, cut } = await recoverRoom(journal, recordingId, compression, epoch);
        const { room } = start.meta;
        if (cut.length > 0)
          log.warn({ room, recordingId, players: cut }, 'events after a hole in the log are left out');
        if (end) {
          this.#finishAgain(start, end);
          continue;
        }
        const live = this.#open({ ...start, startStates: await this.#startStates(start) });
        await live.room.output.seal();
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
    const sealed = Promise.allSettled(
      open.filter(({ isEnding }) => !isEnding).map(async ({ room }) => (await room.output.seal()).stable),
    );
    await this.#atMost(CLOSE_MS, sealed);
    for (const live of open) live.stop();
    await Promise.allSettled(this.#afterFinish);
  }

  /** A room that comes back still has players to come. */
  async #startStates({ meta }: RoomStart): Promise<RoomOrigin['states']> {
    const { startedFrom } = meta;
    if (!startedFrom) return new Map();
    try {
      return (await this.#deps.origin(`${startedFrom.recordingId}#${startedFrom.checkpoint}`)).states;
    } catch (error) {
      const details = { room: meta.room, startedFrom, reason: (error as Error).message };
      this.#deps.log.warn(details, 'what the room started from is gone');
      return new Map();
    }
  }

  #newRoom(hello: Hello, claimEpoch: number): RoomStart {
    const origin = this.#origins.get(hello.room);
    const profile = origin?.profile ?? profileNamed(hello.profile);
    const createdMs = Date.now();
    const recordingId = makeRecordingId(createdMs, this.#deps.randomBytes(10));
    this.#deps.journal.begin(hello.room, recordingId);
    const meta = {
      recordingId,
      room: hello.room,
      profile: profile.name,
      createdAt: createdMs / 1_000,
      ...(origin && { startedFrom: origin.startedFrom }),
    };
    const opening = { meta, profile, epoch: Math.max(1, claimEpoch), clock: new RoomClock(0) };
    return { ...newRoomStart(opening, this.#deps.journal), ...(origin && { startStates: origin.states }) };
  }

  #open(start: RoomStart): LiveRoom {
    const { options, compression, log } = this.#deps;
    const onFailure = (error: GametapeError) => {
      if (error.code === 'ROOM_ELSEWHERE') {
        this.lose(start.meta.room, error);
        return;
      }
      log.error({ room: start.meta.room, reason: error.message }, 'room is read-only');
      live.fail(error);
    };
    const onFault = (error: unknown) => live.quarantine(error);
    const room = new Room(start, { options, compression, log, flusher: this.#flusher, onFailure, onFault });
    let release = () => {};
    const live: LiveRoom = new LiveRoom(room, options, {
      finish: ({ meta }, end) => this.#deps.finish(meta, end),
      ended: () => {
        this.#origins.delete(room.name);
        this.#forget(live);
        this.#finishing.set(room.recordingId, live);
        this.#track(
          new Promise((resolve) => {
            release = resolve;
          }),
        );
      },
      quarantined: (error) => {
        const details = {
          room: room.name,
          recordingId: room.recordingId,
          error: String((error as Error).stack ?? error),
        };
        log.error(details, 'room is quarantined');
        this.#quarantined.add(room.name);
      },
      over: () => {
        this.#forget(live);
        this.#finishing.delete(room.recordingId);
        release();
      },
      refused: () => {
        this.#forget(live);
        this.#deps.journal.discard(room.recordingId).catch((error: unknown) => {
          log.warn(
            { room: room.name, reason: (error as Error).message },
            'a room that nobody opened is still in the journal',
          );
        });
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

  /** A journal that does not answer keeps nobody from stopping: what it has not got, clients send again. */
  async #atMost(limitMs: number, work: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([work, late]);
    clearTimeout(timer);
  }

  #track(work: Promise<void>): void {
    this.#afterFinish.add(work);
    void work.finally(() => this.#afterFinish.delete(work));
  }
}

function nobodyPlays(room: string): GametapeError {
  return new GametapeError('NOT_FOUND', `room ${room}: nobody plays there`);
}

function sessionIsOver(room: string): GametapeError {
  return new GametapeError('ROOM_ENDED', `room ${room}: the session that this client was part of is over`);
}
