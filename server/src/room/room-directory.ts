import {
  type Compression,
  GametapeError,
  type Hello,
  isId,
  makeRecordingId,
  profileNamed,
  type SessionSummary,
} from '@gametape/shared';
import { type LingeringEmbargo, LingeringRooms } from '../audience/lingering-rooms.ts';
import type { Journal } from '../journal/journal.ts';
import type { RelayOptions } from '../options.ts';
import { noSuchRecording, recordingOf } from '../recording/checkpoint-origin.ts';
import { dueTimeMs } from '../recording/due-time.ts';
import type { Embargo } from '../recording/embargo.ts';
import { RoomClock } from '../timeline/clock.ts';
import { FinishingRooms, type FinishingRoomsOptions } from './finishing-rooms.ts';
import { Flusher } from './flusher.ts';
import { LiveRoom } from './live-room.ts';
import { ReturningRooms } from './returning-rooms.ts';
import { Room } from './room.ts';
import { type FindOrigin, type Preparation, RoomOrigins } from './room-origins.ts';
import { newRoomStart, type RoomStart } from './room-start.ts';
import { SealBacklog } from './seal-backlog.ts';
import type { Trouble } from './trouble.ts';

/** Longest wait for the journal when the relay stops (J7). */
const CLOSE_MS = 4_000;

export interface RoomDirectoryOptions extends FinishingRoomsOptions {
  readonly options: RelayOptions;
  readonly journal: Journal;
  readonly compression: Compression;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly origin: FindOrigin;
  /** Recordings that nobody is shown yet (V2). */
  readonly embargo: LingeringEmbargo & Pick<Embargo, 'beginUntil' | 'holds'>;
}

/** Finds, opens and retires rooms. */
export class RoomDirectory {
  readonly #deps: RoomDirectoryOptions;
  readonly #flusher: Flusher;
  readonly #backlog = new SealBacklog();
  /** Rooms that can be joined, by name. */
  readonly #rooms = new Map<string, LiveRoom>();
  readonly #finishing: FinishingRooms;
  readonly #origins: RoomOrigins;
  readonly #lingering: LingeringRooms;
  readonly #returning: ReturningRooms;
  /** Names of rooms that a fault has closed: nobody opens another of that name before they can be brought back (S4). */
  readonly #quarantined = new Set<string>();
  #isClosed = false;

  constructor(deps: RoomDirectoryOptions) {
    this.#deps = deps;
    this.#flusher = new Flusher(deps.options.flushMs);
    this.#finishing = new FinishingRooms(deps);
    this.#origins = new RoomOrigins(deps.origin, deps.log);
    this.#lingering = new LingeringRooms(deps.embargo);
    const open = (start: RoomStart) => this.#open(start);
    this.#returning = new ReturningRooms({ ...deps, finishing: this.#finishing, origins: this.#origins, open });
  }

  get rooms(): Iterable<LiveRoom> {
    return this.#rooms.values();
  }

  /** @throws GametapeError `JOURNAL_FAILED` for one that cannot be recorded for now */
  room(name: string): LiveRoom | undefined {
    this.#checkRecorded(name);
    return this.#rooms.get(name);
  }

  /** Every room as those who watch are told of it: one that is over for its players may not be for them (V2). */
  get shownRooms(): LiveRoom[] {
    const names = new Set([...this.#rooms.keys(), ...this.#lingering.all.map(({ room }) => room.name)]);
    return [...names].flatMap((name) => this.shownRoom(name) ?? []);
  }

  /** The one that those who watch see under that name. @throws GametapeError `JOURNAL_FAILED` as `room` does */
  shownRoom(name: string): LiveRoom | undefined {
    return this.#lingering.named(name) ?? this.room(name);
  }

  /** The same, and one that is only being finished: its past is not in a file yet. */
  pastOf(name: string): LiveRoom | undefined {
    return this.shownRoom(name) ?? this.#finishing.named(name);
  }

  /** The room of an unfinished recording. */
  withRecording(recordingId: string): LiveRoom | undefined {
    const here = this.#lingering.find(recordingId) ?? this.#finishing.find(recordingId);
    return here ?? [...this.#rooms.values()].find(({ room }) => room.recordingId === recordingId);
  }

  /** What a room that is over has left, if that is known. */
  lastRecordingOf(name: string): string | undefined {
    return this.#lingering.lastRecordingOf(name);
  }

  /** What cannot be recorded, sealed or finished for now (J5). */
  *troubles(): Generator<Trouble> {
    yield* this.#returning.suspended.all;
    for (const { room } of this.#rooms.values()) {
      const { sealFault } = room.output;
      if (sealFault) yield { room: room.name, error: sealFault };
    }
    yield* this.#finishing.troubles;
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
    this.#checkStays(hello.room);
    if (hello.role === 'spectator' && !(await this.#deps.journal.knows(hello.room))) throw nobodyPlays(hello.room);
    if (!hello.resume) this.#checkRoomLeft();
    const { epoch } = await this.#returning.claim(hello.room);
    const claimed = this.#find(hello);
    if (claimed) return claimed;
    this.#checkStays(hello.room);
    if (hello.resume) throw sessionIsOver(hello.room);
    if (hello.role === 'spectator') throw nobodyPlays(hello.room);
    this.#checkRoomLeft();
    return this.#open(this.#newRoom(hello, epoch));
  }

  /** The room if it is here; for a client that resumes, the one that has the recording it was part of. */
  #find(hello: Hello): LiveRoom | undefined {
    // What keeps the room from being joined has nothing to do with a session that was over before.
    const over = this.#findOver(hello);
    if (over) return over;
    if (this.#quarantined.has(hello.room)) {
      throw new GametapeError('ROOM_QUARANTINED', `room ${hello.room}: a fault of the relay has closed it`);
    }
    this.#checkRecorded(hello.room);
    const known = this.#rooms.get(hello.room);
    if (known && hello.resume && known.room.recordingId !== hello.resume.recordingId) throw sessionIsOver(hello.room);
    return known;
  }

  #findOver({ role, room, resume }: Hello): LiveRoom | undefined {
    if (!resume) return role === 'spectator' ? this.#lingering.named(room) : undefined;
    const lingering = role === 'spectator' ? this.#lingering.find(resume.recordingId) : undefined;
    return lingering ?? this.#finishing.find(resume.recordingId);
  }

  /** A room that is not here may be wherever this relay's next life is: nobody is told that it is over (J7). */
  #checkStays(name: string): void {
    if (this.#isClosed) throw new GametapeError('ROOM_ELSEWHERE', `room ${name}: this relay stops`);
  }

  #checkRecorded(name: string): void {
    const suspended = this.#returning.suspended.find(name);
    if (suspended) throw new GametapeError('JOURNAL_FAILED', suspended.error.message, { cause: suspended.error });
  }

  /** Those that are over count as long as they are finished, or shown with a delay: they are in memory. */
  #checkRoomLeft(): void {
    const { maxRooms } = this.#deps.options;
    const over = new Set([...this.#lingering.all, ...this.#finishing.all]).size;
    if (this.#rooms.size + over < maxRooms) return;
    const what = `${this.#rooms.size} that are live, ${over} that are not finished or not shown to their end`;
    throw new GametapeError('ROOM_FULL', `this relay takes no more than ${maxRooms} rooms: it has ${what}`);
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
   * Or those who watch are shown it with a delay that is not the relay's own; or both.
   *
   * @returns the name of the room
   * @throws GametapeError `BAD_ID`, `NOT_FOUND`, `DAMAGED`; `NAME_TAKEN` for a room that is live; `ROOM_FULL`
   */
  async prepare(preparation: Preparation): Promise<string> {
    const { from } = preparation;
    // Whoever watches the next session would be shown the states that this one had, before they are due (V2).
    if (from !== undefined && (await this.isHeld(recordingOf(from)))) throw noSuchRecording(from);
    return await this.#origins.add(preparation, (name) => this.#isTaken(name));
  }

  /** Somebody plays there, or goes on to as soon as the room is back. */
  #isTaken(name: string): boolean {
    return this.#rooms.has(name) || this.#quarantined.has(name) || this.#returning.suspended.find(name) !== undefined;
  }

  /** Those who watched it have not been shown the end of that recording (V2). */
  isHeld(recordingId: string): Promise<boolean> {
    return this.#deps.embargo.holds(recordingId);
  }

  /** Whether a session is live that started from `RECORDING#CHECKPOINT`. */
  hasStartedFrom(from: string): boolean {
    return [...this.#rooms.values()].some(({ room: { meta } }) => {
      return meta.startedFrom && `${meta.startedFrom.recordingId}#${meta.startedFrom.checkpoint}` === from;
    });
  }

  /** The summary of a recording whose room is over, once it is finished. */
  finished(recordingId: string): Promise<SessionSummary | undefined> {
    return this.#finishing.summaryOf(recordingId);
  }

  /** Brings back every room that is not finished and that nobody has (J3). */
  recover(): Promise<void> {
    return this.#returning.recover();
  }

  /** The journal takes nothing of a room any more: it comes back by itself once that is over (J5). */
  #suspend(live: LiveRoom, error: GametapeError): void {
    const { name: room, recordingId } = live.room;
    this.#deps.log.error({ room, recordingId, reason: error.message }, 'room is read-only');
    this.#returning.suspended.add({ room, recordingId, error });
    this.#forget(live);
    live.stop();
    live.fail(error);
  }

  /** No room is opened or brought back any more; what is not back yet comes back with the next relay (J7). */
  drain(): void {
    this.#isClosed = true;
    this.#returning.drain();
  }

  /** Stops every room with everything stable and sealed (J7); they come back with `recover`. */
  async close(): Promise<void> {
    this.drain();
    const revived = this.#returning.suspended.stop();
    const open = [...this.#rooms.values()];
    const sealed = Promise.allSettled(
      open.filter(({ isEnding }) => !isEnding).map(async ({ room }) => (await room.output.seal()).stable),
    );
    await this.#atMost(CLOSE_MS, Promise.all([sealed, revived]));
    for (const live of this.#rooms.values()) live.stop();
    for (const live of this.#lingering.all) live.stopShowing();
    await this.#finishing.stop();
  }

  #newRoom(hello: Hello, claimEpoch: number): RoomStart {
    const origin = this.#origins.get(hello.room);
    const profile = origin?.profile ?? profileNamed(hello.profile);
    const spectatorDelayMs = this.#origins.delayOf(hello.room) ?? this.#deps.options.spectatorDelayMs;
    const createdMs = Date.now();
    const recordingId = makeRecordingId(createdMs, this.#deps.randomBytes(10));
    this.#deps.journal.begin(hello.room, recordingId);
    const meta = {
      recordingId,
      room: hello.room,
      profile: profile.name,
      createdAt: createdMs / 1_000,
      ...(origin && { startedFrom: origin.startedFrom }),
      ...(spectatorDelayMs > 0 && { spectatorDelayMs }),
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
      this.#suspend(live, error);
    };
    const onFault = (error: unknown) => live.quarantine(error);
    const shared = { options, compression, log, flusher: this.#flusher, backlog: this.#backlog };
    const room = new Room(start, { ...shared, onFailure, onFault });
    const live: LiveRoom = new LiveRoom(room, options, {
      // Until all of it is shown, its past is what the journal has.
      finish: ({ meta, audience }, end) => {
        this.#deps.embargo.beginUntil(meta.recordingId, dueTimeMs(meta, end));
        return this.#finishing.finish(meta, end, audience.isDelayed);
      },
      ended: () => {
        this.#origins.delete(room.name);
        this.#finishing.track(this.#lingering.add(live));
        this.#forget(live);
        this.#finishing.add(live);
      },
      quarantined: (error) => {
        const details = {
          room: room.name,
          recordingId: room.recordingId,
          error: String((error as Error).stack ?? error),
        };
        log.error(details, 'room is quarantined');
        // Of one that is over the name is free.
        if (this.#rooms.get(room.name) === live) this.#quarantined.add(room.name);
      },
      shown: (isShown) => {
        if (isShown) this.#lingering.remember(live);
        if (this.#lingering.delete(live, isShown)) void this.#discard(live).then(() => this.#lingering.release(live));
      },
      over: () => {
        this.#forget(live);
        this.#finishing.delete(live);
        if (live.isLingering) return;
        this.#lingering.delete(live, false);
        this.#lingering.release(live);
      },
      refused: () => {
        this.#forget(live);
        void this.#discard(live);
      },
    });
    this.#rooms.set(room.name, live);
    this.#lingering.forget(room.name);
    return live;
  }

  /** Nothing of it is needed any more. */
  async #discard({ room: { name, recordingId } }: LiveRoom): Promise<void> {
    try {
      await this.#deps.journal.discard(recordingId);
    } catch (error) {
      const details = { room: name, recordingId, reason: (error as Error).message };
      this.#deps.log.warn(details, 'a room that is not needed any more is still in the journal');
    }
  }

  #forget(live: LiveRoom): void {
    if (this.#rooms.get(live.room.name) === live) this.#rooms.delete(live.room.name);
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
}

function nobodyPlays(room: string): GametapeError {
  return new GametapeError('NOT_FOUND', `room ${room}: nobody plays there`);
}

function sessionIsOver(room: string): GametapeError {
  return new GametapeError('ROOM_ENDED', `room ${room}: the session that this client was part of is over`);
}
