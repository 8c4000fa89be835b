import {
  type CheckpointPlace,
  CloseCode,
  type EndRecord,
  GametapeError,
  type Hello,
  isGametapeError,
  type JsonObject,
  type SessionSummary,
} from '@gametape/shared';
import type { RelayOptions } from '../options.ts';
import type { Peer } from '../transport/transport.ts';
import { Ending } from './ending.ts';
import { Membership } from './membership.ts';
import type { Receiver } from './receiver.ts';
import type { Room } from './room.ts';
import type { Seat } from './seat.ts';

/** What becomes of a room that has ended. */
export interface LiveRoomHandlers {
  /** Makes the finished recording. */
  finish(room: Room, end: EndRecord): Promise<SessionSummary>;
  /** No more joins from now on: the name is free for a new room. */
  ended(): void;
  /** Something in it threw that should not have: it is closed, and its journal kept as it is (S4). */
  quarantined(error: unknown): void;
  /** The recording is finished, or could not be. */
  over(): void;
  /** The player that would have opened the room was refused: there is nothing to record. */
  refused(): void;
}

/** A rewind writes every player's state into the recording. */
const MAX_REWINDS_WAITING = 4;

/** A room with its members, from its first player to its finished recording. */
export class LiveRoom {
  readonly room: Room;
  readonly membership: Membership;
  readonly #options: RelayOptions;
  readonly #handlers: LiveRoomHandlers;
  #ending: Ending | undefined;
  #isQuarantined = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #finished: Promise<SessionSummary> | undefined;
  #rewinding: Promise<unknown> = Promise.resolve();
  #rewindsWaiting = 0;

  constructor(room: Room, options: RelayOptions, handlers: LiveRoomHandlers) {
    this.room = room;
    this.#options = options;
    this.#handlers = handlers;
    this.membership = new Membership(room, options, {
      onGone: (seat) => this.#playerIsGone(seat),
      guard: (work) => this.guard(work),
    });
  }

  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  async addPlayer(hello: Hello, peer: Peer): Promise<Seat> {
    clearTimeout(this.#idleTimer);
    try {
      const seat = await this.membership.addPlayer(hello, peer, { isEnding: this.isEnding });
      if (seat.receiver?.peer === peer) this.#ending?.ask(seat);
      return seat;
    } catch (error) {
      // A player that was refused leaves no trace: neither a room that it would have opened, nor one that never ends.
      if (this.room.seats.all.length === 0) {
        this.stop();
        this.#handlers.refused();
      } else if (this.membership.isEmpty) this.#finishWhenIdle();
      throw error;
    }
  }

  addSpectator(hello: Hello, peer: Peer): Promise<Receiver> {
    return this.membership.addSpectator(hello, peer);
  }

  lose(seat: Seat, peer: Peer): void {
    this.membership.lose(seat, peer);
  }

  /** The player goes for good, once everything it recorded is stable. */
  async leave(seat: Seat, lastPseq: number): Promise<void> {
    // Of a room that is over there is nothing left to leave: the end of the session is on its way.
    if (this.room.output.isOver) return;
    if (seat.context.pseq < lastPseq) {
      seat.receiver?.send({ kind: 'expect', pseq: seat.context.pseq + 1 });
      return;
    }
    this.membership.remove(seat, 'left');
    const { receiver } = seat;
    await this.room.output.stable();
    receiver?.peer.close(CloseCode.LEFT, 'left');
  }

  /**
   * Restores what every player had at a checkpoint (T8). One rewind at a time.
   *
   * @param seat of the player who asks; some player's if nobody does
   * @throws GametapeError `NOT_FOUND`, `DAMAGED`, `ROOM_ENDED`, `LIMIT_EXCEEDED`, `JOURNAL_FAILED`; then nothing is rewound
   */
  rewind(name: string, seat?: Seat): Promise<void> {
    if (this.#rewindsWaiting >= MAX_REWINDS_WAITING) {
      const message = `rewind to ${JSON.stringify(name)}: ${this.#rewindsWaiting} others wait`;
      return Promise.reject(new GametapeError('LIMIT_EXCEEDED', message));
    }
    this.#rewindsWaiting++;
    const done = this.#rewinding.then(() => this.#rewind(name, seat));
    this.#rewinding = done.catch(() => undefined).finally(() => this.#rewindsWaiting--);
    return done;
  }

  async #rewind(name: string, seat: Seat | undefined): Promise<void> {
    const { room } = this;
    const states = await room.statesAt(room.recording.checkpoints.get(name));
    this.#checkOpen();
    room.relayEvents.rewind(seat ?? room.seats.any(), name, states);
    await room.output.flushed();
  }

  /** Names this point (T8). @throws GametapeError `BAD_EVENT`, `NAME_TAKEN`, `LIMIT_EXCEEDED`, `ROOM_ENDED`, `NOT_FOUND` */
  async checkpoint(name: string): Promise<CheckpointPlace> {
    this.#checkOpen();
    const place = this.room.relayEvents.checkpoint(name);
    await this.room.output.flushed();
    return place;
  }

  /** Play time stands still or goes on, whoever had paused it (T7). @throws GametapeError `ROOM_ENDED`, `NOT_FOUND` */
  async setPaused(isPaused: boolean): Promise<void> {
    this.#checkOpen();
    this.room.relayEvents.setPaused(isPaused);
    await this.room.output.flushed();
  }

  /** Ends the room (W6). Asking again changes nothing. Resolves when the recording is finished; rejects when it cannot be. */
  end(outcome: JsonObject): Promise<SessionSummary> {
    clearTimeout(this.#idleTimer);
    this.#ending ??= new Ending(this.room, this.membership, outcome);
    this.#finished ??= this.#finish(this.#ending);
    // Whoever does not wait for it need not deal with its failure.
    this.#finished.catch(() => undefined);
    return this.#finished;
  }

  /** A player says how much it recorded, as it is asked when the room ends. */
  answer(seat: Seat, lastPseq: number): void {
    this.#ending?.answer(seat, lastPseq);
  }

  /** The journal has failed: nobody is told that anything was recorded, everybody may come back (J5). */
  fail(error: GametapeError): void {
    const code = error.code === 'ROOM_ELSEWHERE' ? CloseCode.MOVED : CloseCode.JOURNAL_FAILED;
    this.#closeAll(code, `${error.code}: ${error.message}`);
  }

  /** Does what may throw only by a fault of ours, which is then the end of this room alone (S4). */
  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.quarantine(error);
    }
  }

  /** Nothing more is recorded or shown. Clients keep what they have until the relay has been started again. */
  quarantine(error: unknown): void {
    if (this.#isQuarantined) return;
    this.#isQuarantined = true;
    this.room.output.abandon();
    this.#closeAll(CloseCode.SERVER_ERROR, 'ROOM_QUARANTINED: a fault of the relay');
    this.stop();
    this.#handlers.quarantined(error);
    this.#handlers.over();
  }

  /** Everybody who was here when the room came back gets the time to return. */
  awaitReturns(): void {
    for (const seat of this.room.seats.current) if (seat.presence === 'away') this.membership.expectReturn(seat);
    if (this.membership.isEmpty) this.#finishWhenIdle();
  }

  stop(): void {
    clearTimeout(this.#idleTimer);
    this.#ending?.abandon();
    this.membership.stop();
    this.room.output.stop();
  }

  #playerIsGone(seat: Seat): void {
    this.#ending?.settle(seat);
    if (this.membership.isEmpty) this.#finishWhenIdle();
  }

  #finishWhenIdle(): void {
    if (this.#ending) return;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => void this.end({}), this.#options.idleFinishMs);
  }

  #checkOpen(): void {
    if (!this.room.output.isOver && !this.isEnding) return;
    throw new GametapeError('ROOM_ENDED', `room ${this.room.name}: it is about to end`);
  }

  async #finish(ending: Ending): Promise<SessionSummary> {
    try {
      const end = await ending.complete(this.#options.endTimeoutMs);
      this.#handlers.ended();
      const summary = await this.#handlers.finish(this.room, end);
      for (const receiver of this.#receivers()) receiver.send({ kind: 'ended', summary });
      this.#closeAll(CloseCode.ROOM_ENDED, `ROOM_ENDED: ${summary.recordingId}`);
      return summary;
    } catch (error) {
      if (isGametapeError(error, 'ROOM_ELSEWHERE')) this.fail(error);
      else this.#closeAll(CloseCode.SERVER_ERROR, `JOURNAL_FAILED: ${(error as Error).message}`);
      throw error;
    } finally {
      this.stop();
      this.#handlers.over();
    }
  }

  #closeAll(code: number, reason: string): void {
    for (const receiver of this.#receivers()) receiver.peer.close(code, reason);
  }

  *#receivers(): Generator<Receiver> {
    for (const { receiver } of this.room.seats.all) if (receiver) yield receiver;
    yield* this.room.broadcast.spectators;
  }
}
