import {
  ChunkAssembler,
  CloseCode,
  decodeUpMessage,
  type ErrorCode,
  encodeMessage,
  GametapeError,
  type Hello,
  isGametapeError,
  PROTOCOL_VERSIONS,
  type UpMessage,
} from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import type { LiveRoom } from '../room/live-room.ts';
import { noticeOf } from '../room/notice.ts';
import type { Receiver } from '../room/receiver.ts';
import type { RoomDirectory } from '../room/room-directory.ts';
import type { Seat } from '../room/seat.ts';
import type { Peer, PeerReceiver } from '../transport/transport.ts';
import { NO_PROBE, Probes } from './probes.ts';

/**
 * What a session is; a field exists only in the state that has it.
 *
 *     awaiting hello --hello--> joining --welcome--> playing | watching --> closed
 */
type SessionState =
  | { readonly kind: 'awaiting-hello' }
  | { readonly kind: 'joining' }
  | { readonly kind: 'playing'; readonly live: LiveRoom; readonly seat: Seat }
  | { readonly kind: 'watching'; readonly live: LiveRoom; readonly receiver: Receiver }
  | { readonly kind: 'closed' };

export interface SessionOptions {
  readonly directory: RoomDirectory;
  readonly options: RelayOptions;
  readonly log: Logger;
  readonly onClosed: (session: Session) => void;
}

/** One peer: decodes what it sends, shakes hands, and hands its events to its room. What it gets wrong closes it alone (S4). */
export class Session implements PeerReceiver {
  readonly #peer: Peer;
  readonly #deps: SessionOptions;
  readonly #chunks = new ChunkAssembler();
  readonly #handshakeTimer: NodeJS.Timeout;
  readonly #probes = new Probes();
  #state: SessionState = { kind: 'awaiting-hello' };
  /** The room that it has turned to, in whatever state it is. */
  #live: LiveRoom | undefined;
  #heardAt = performance.now();
  #probeTimer: NodeJS.Timeout | undefined;

  constructor(peer: Peer, deps: SessionOptions) {
    this.#peer = peer;
    this.#deps = deps;
    this.#handshakeTimer = setTimeout(() => {
      this.#refuse(new GametapeError('TIMED_OUT', `no hello after ${deps.options.handshakeMs} ms`));
    }, deps.options.handshakeMs);
  }

  get address(): string {
    return this.#peer.address;
  }

  /** Stop of the walk: one message of this peer. Never throws. */
  receive(bytes: Uint8Array): void {
    this.#heardAt = performance.now();
    try {
      this.#handle(decodeUpMessage(bytes));
    } catch (error) {
      this.#refuse(error);
    }
  }

  closed(): void {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#probeTimer);
    if (state.kind === 'playing') state.live.guard(() => state.live.lose(state.seat, this.#peer));
    if (state.kind === 'watching') state.live.room.audience.leave(state.receiver);
    this.#deps.onClosed(this);
  }

  /** What its welcome said is not so any more. */
  welcomeAgain(reason: string): void {
    if (this.#state.kind === 'playing' || this.#state.kind === 'watching') {
      this.#peer.close(CloseCode.WELCOME_CHANGED, reason);
    }
  }

  /** Heartbeat, clock probe and acks in one (W10); a peer that has long been silent is dropped. */
  beat(now: number): void {
    if (this.#state.kind !== 'playing' && this.#state.kind !== 'watching') return;
    if (now - this.#heardAt > this.#deps.options.silenceMs) {
      this.#peer.close(CloseCode.SILENT, `TIMED_OUT: nothing heard for ${this.#deps.options.silenceMs} ms`);
      return;
    }
    this.#probe();
    if (this.#state.kind === 'watching') this.#state.live.room.audience.beat(this.#state.receiver);
  }

  #handle(message: UpMessage): void {
    if (message.kind === 'chunk') {
      const whole = this.#chunks.add(message);
      if (whole) this.#handleWhole(decodeUpMessage(whole));
      return;
    }
    this.#handleWhole(message);
  }

  #handleWhole(message: UpMessage): void {
    // Chunks of chunks of chunks would be as deep as they are long.
    if (message.kind === 'chunk') throw new GametapeError('BAD_MESSAGE', 'a chunk inside of a chunk');
    const state = this.#state;
    switch (state.kind) {
      case 'awaiting-hello':
        if (message.kind !== 'hello')
          throw new GametapeError('BAD_MESSAGE', `expected a hello first, found ${message.kind}`);
        this.#greet(message);
        return;
      case 'playing':
        this.#handlePlaying(message, state.live, state.seat);
        return;
      case 'watching':
        if (message.kind === 'pong') return;
        throw new GametapeError('NOT_ALLOWED', `a spectator may not send ${message.kind}`);
      case 'joining':
        throw new GametapeError('BAD_MESSAGE', `${message.kind} before the welcome`);
      case 'closed':
    }
  }

  #handlePlaying(message: Exclude<UpMessage, { kind: 'chunk' }>, live: LiveRoom, seat: Seat): void {
    switch (message.kind) {
      case 'events-up':
        live.room.accept(seat, message);
        return;
      case 'gap':
        live.room.acceptGap(seat, message);
        return;
      case 'pong':
        this.#takePong(message, live, seat);
        return;
      case 'leave':
        this.#run(live.leave(seat, message.lastPseq));
        return;
      case 'end':
        void live.end(message.outcome);
        live.answer(seat, message.lastPseq);
        return;
      case 'rewind':
        this.#rewind(live, seat, message.name);
        return;
      case 'final':
        live.answer(seat, message.lastPseq);
        return;
      case 'hello':
        throw new GametapeError('BAD_MESSAGE', 'a second hello');
    }
  }

  /** What cannot be rewound to is answered; the player plays on. */
  #rewind(live: LiveRoom, seat: Seat, name: string): void {
    const refused = live.rewind(name, seat).catch((error: unknown) => {
      if (!isGametapeError(error)) throw error;
      this.#peer.send(encodeMessage({ ...noticeOf(error, 0), rewind: name }));
    });
    this.#run(refused);
  }

  #greet(hello: Hello): void {
    const protocols = PROTOCOL_VERSIONS.filter((version) => hello.protocols.includes(version));
    if (protocols.length === 0) {
      const found = `versions ${hello.protocols.slice(0, 8).join(', ') || 'none'}`;
      throw new GametapeError(
        'VERSION_UNKNOWN',
        `this relay knows version ${PROTOCOL_VERSIONS.join(', ')}, the client ${found}`,
      );
    }
    clearTimeout(this.#handshakeTimer);
    this.#state = { kind: 'joining' };
    this.#run(this.#join(hello));
  }

  async #join(hello: Hello): Promise<void> {
    let live: LiveRoom;
    try {
      live = await this.#deps.directory.roomFor(hello);
    } catch (error) {
      const isWatching = hello.role === 'spectator';
      const isOver = isGametapeError(error, 'ROOM_ENDED') || (isWatching && isGametapeError(error, 'NOT_FOUND'));
      if (isOver && hello.resume) await this.#tellEnd(hello.resume.recordingId, isWatching);
      throw error;
    }
    this.#live = live;
    if (hello.role === 'spectator') {
      const receiver = await live.addSpectator(hello, this.#peer);
      if (this.#isClosed) live.room.audience.leave(receiver);
      else this.#state = { kind: 'watching', live, receiver };
    } else {
      const seat = await live.addPlayer(hello, this.#peer);
      if (this.#isClosed) live.lose(seat, this.#peer);
      else this.#state = { kind: 'playing', live, seat };
    }
    if (!this.#isClosed) this.#probe();
  }

  /** Whoever asks for the end of a session that is over gets it; who watches, when that is due (V2). */
  async #tellEnd(recordingId: string, isWatching: boolean): Promise<void> {
    if (isWatching && (await this.#deps.directory.isHeld(recordingId))) {
      throw new GametapeError('ROOM_ELSEWHERE', 'nothing more of this room is due yet: ask again');
    }
    const summary = await this.#deps.directory.finished(recordingId);
    if (summary) this.#peer.send(encodeMessage({ kind: 'ended', summary }));
  }

  get #isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  #probe(): void {
    clearTimeout(this.#probeTimer);
    if (this.#state.kind !== 'playing' && this.#state.kind !== 'watching') return;
    const { accepted = 0, stable = 0 } = this.#state.kind === 'playing' ? this.#state.seat : {};
    // A probe that waits behind other bytes would measure them, not the network: then it only asks for a sign of life.
    const isProbe = this.#peer.bufferedBytes === 0 || this.#probes.isNew;
    const id = isProbe ? this.#probes.next(this.#state.live.room.clock.now()) : NO_PROBE;
    this.#peer.send(encodeMessage({ kind: 'ping', id, acks: { accepted, stable } }));
  }

  #takePong(pong: Extract<UpMessage, { kind: 'pong' }>, live: LiveRoom, seat: Seat): void {
    const sentAt = this.#probes.answer(pong.id);
    if (sentAt === undefined) return;
    const { received: clientReceived, sent: clientSent } = pong;
    seat.estimate.add({ sentAt, answeredAt: live.room.clock.now(), clientReceived, clientSent });
    // A burst at the start, so that the first events find a good estimate.
    const waitMs = this.#probes.burstWaitMs;
    if (waitMs !== undefined) this.#probeTimer = setTimeout(() => this.#probe(), waitMs);
  }

  #run(work: Promise<void>): void {
    work.catch((error: unknown) => this.#refuse(error));
  }

  #refuse(error: unknown): void {
    if (isGametapeError(error)) {
      this.#peer.close(CLOSE_CODES[error.code] ?? CloseCode.BAD_MESSAGE, `${error.code}: ${error.message}`);
      this.#deps.log.info({ address: this.#peer.address, code: error.code, reason: error.message }, 'peer refused');
    } else {
      this.#peer.close(CloseCode.SERVER_ERROR, 'the relay has a fault');
      const { kind } = this.#state;
      const details = { address: this.#peer.address, state: kind, error: String((error as Error).stack ?? error) };
      this.#deps.log.error(details, 'session failed');
      // What its room was in the middle of is not known: nobody goes on with it (S4).
      if (this.#live) this.#live.quarantine(error);
    }
  }
}

/** What a refused peer is told to do; anything else it sent is its own mistake. */
const CLOSE_CODES: Partial<Record<ErrorCode, CloseCode>> = {
  NOT_ALLOWED: CloseCode.NOT_ALLOWED,
  NOT_FOUND: CloseCode.ROOM_ENDED,
  ROOM_ENDED: CloseCode.ROOM_ENDED,
  ROOM_ELSEWHERE: CloseCode.MOVED,
  ROOM_FULL: CloseCode.ROOM_FULL,
  SUPERSEDED: CloseCode.SUPERSEDED,
  VERSION_UNKNOWN: CloseCode.VERSION_UNKNOWN,
  JOURNAL_FAILED: CloseCode.JOURNAL_FAILED,
  TIMED_OUT: CloseCode.SILENT,
  ROOM_QUARANTINED: CloseCode.SERVER_ERROR,
};
