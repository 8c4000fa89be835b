import {
  type CheckpointPlace,
  CloseCode,
  type Ended,
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
import { Rewinds } from './rewinds.ts';
import type { Room } from './room.ts';
import type { Seat } from './seat.ts';

/** What becomes of a room that has ended. */
export interface LiveRoomHandlers {
  /** Makes the finished recording. */
  finish(room: Room, end: EndRecord): Promise<SessionSummary>;
  /** Spectators have been shown the end of it, which was due later than the players'; or are not shown anything any more. */
  shown(isShown: boolean): void;
  /** No more joins from now on: the name is free for a new room. */
  ended(): void;
  /** Something in it threw that should not have: it is closed, and its journal kept as it is (S4). */
  quarantined(error: unknown): void;
  /** The recording is finished, or could not be: then once more, when those who watch with a delay have been shown all there is. */
  over(): void;
  /** The player that would have opened the room was refused: there is nothing to record. */
  refused(): void;
}

/** A room with its members, from its first player to its finished recording. */
export class LiveRoom {
  readonly room: Room;
  readonly membership: Membership;
  readonly #rewinds: Rewinds;
  readonly #options: RelayOptions;
  readonly #handlers: LiveRoomHandlers;
  #ending: Ending | undefined;
  #isQuarantined = false;
  /** It is over for its players, and not for those who watch it with a delay. */
  #isLingering = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #finished: Promise<SessionSummary> | undefined;

  constructor(room: Room, options: RelayOptions, handlers: LiveRoomHandlers) {
    this.room = room;
    this.#options = options;
    this.#handlers = handlers;
    this.membership = new Membership(room, options, {
      onGone: (seat) => this.#playerIsGone(seat),
      guard: (work) => this.guard(work),
    });
    this.#rewinds = new Rewinds(room, options, () => this.#checkOpen());
  }

  get isLingering(): boolean {
    return this.#isLingering;
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

  /** Restores what every player had at a checkpoint (T8): see `Rewinds.rewind`. */
  rewind(name: string, seat?: Seat): Promise<void> {
    return this.#rewinds.rewind(name, seat);
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
    this.#ending?.fail(error);
    this.#closeAll(...failure(error));
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
    this.stopShowing();
    this.#handlers.quarantined(error);
    this.#handlers.over();
  }

  /** Everybody who was here when the room came back gets the time to return. */
  awaitReturns(): void {
    this.membership.expectReturns();
    if (this.membership.isEmpty) this.#finishWhenIdle();
  }

  stop(): void {
    clearTimeout(this.#idleTimer);
    this.#ending?.abandon();
    this.membership.stop();
    this.room.output.stop();
    if (!this.#isLingering) this.room.audience.stop();
  }

  /** The same for good: whoever watches comes back to a recording, when that is due. */
  stopShowing(): void {
    this.stop();
    this.room.audience.stop();
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
    let isOver = false;
    try {
      const end = await ending.complete(this.#options.endTimeoutMs);
      isOver = true;
      this.#handlers.ended();
      const summary = await this.#handlers.finish(this.room, end);
      const ended: Ended = { kind: 'ended', summary, seq: this.room.recording.headSeq };
      const reason = `ROOM_ENDED: ${summary.recordingId}`;
      for (const receiver of this.#players()) receiver.send(ended);
      this.#closePlayers(CloseCode.ROOM_ENDED, reason);
      await this.#showEnd(ended, CloseCode.ROOM_ENDED, reason);
      return summary;
    } catch (error) {
      const [code, reason] = closeOf(error);
      this.#closePlayers(code, reason);
      // Of a room that is over those who watch may not learn that before it is due (V2); of one that comes back there is nothing to hide.
      if (isOver && this.room.audience.isDelayed) await this.#showEnd(undefined, code, reason);
      else this.room.audience.closeAll(code, reason);
      throw error;
    } finally {
      this.stop();
      this.#handlers.over();
    }
  }

  /** Those who watch are shown the end when it is due: nobody else waits for that (V2). */
  async #showEnd(message: Ended | undefined, code: CloseCode, reason: string): Promise<void> {
    const { audience } = this.room;
    this.#isLingering = audience.isDelayed;
    const shown = this.#awaitShown(audience.end(message, code, reason), message !== undefined);
    if (!this.#isLingering) await shown;
    else shown.catch((error: unknown) => this.#handlers.quarantined(error));
  }

  async #awaitShown(ended: Promise<boolean>, isRecorded: boolean): Promise<void> {
    let isShown = false;
    try {
      isShown = await ended;
    } finally {
      this.room.audience.stop();
      if (isRecorded) this.#handlers.shown(isShown);
      else this.#giveUp();
    }
  }

  /** No recording could be made, and nobody is shown it any more: the journal keeps it for the next start. */
  #giveUp(): void {
    this.#isLingering = false;
    this.#handlers.over();
  }

  #closePlayers(code: number, reason: string): void {
    for (const { peer } of this.#players()) peer.close(code, reason);
  }

  #closeAll(code: number, reason: string): void {
    this.#closePlayers(code, reason);
    this.room.audience.closeAll(code, reason);
  }

  *#players(): Generator<Receiver> {
    for (const { receiver } of this.room.seats.all) if (receiver) yield receiver;
  }
}

/** What everybody is told when the room cannot be finished. */
function closeOf(error: unknown): [code: CloseCode, reason: string] {
  const isJournal = isGametapeError(error, 'ROOM_ELSEWHERE') || isGametapeError(error, 'JOURNAL_FAILED');
  return isJournal ? failure(error) : [CloseCode.SERVER_ERROR, `finishing failed: ${(error as Error).message}`];
}

/** The same when its journal takes nothing more. */
function failure({ code, message }: GametapeError): [code: CloseCode, reason: string] {
  return [code === 'ROOM_ELSEWHERE' ? CloseCode.MOVED : CloseCode.JOURNAL_FAILED, `${code}: ${message}`];
}
