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
import { NO_ACKS, type Receiver } from '../room/receiver.ts';
import type { RoomDirectory } from '../room/room-directory.ts';
import type { Seat } from '../room/seat.ts';
import type { Peer, PeerReceiver } from '../transport/transport.ts';
import { ClockProbing } from './clock-probing.ts';
import { HeldMessages } from './held-messages.ts';
import { NO_PROBE } from './probes.ts';

/**
 * What a session is; a field exists only in the state that has it.
 *
 *     awaiting hello --hello--> joining --welcome--> playing | watching --> closed
 */
type SessionState =
  | { readonly kind: 'awaiting-hello' }
  | { readonly kind: 'joining' }
  | { readonly kind: 'playing'; readonly live: LiveRoom; readonly seat: Seat; readonly probing: ClockProbing }
  | { readonly kind: 'watching'; readonly live: LiveRoom; readonly receiver: Receiver }
  | { readonly kind: 'closed' };

type Playing = Extract<SessionState, { kind: 'playing' }>;

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
  readonly #held = new HeldMessages((messages) => this.#handleHeld(messages));
  #state: SessionState = { kind: 'awaiting-hello' };
  /** The room that it has turned to, in whatever state it is. */
  #live: LiveRoom | undefined;
  #heardAt = performance.now();

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
      this.#handle(decodeUpMessage(bytes), bytes.length);
    } catch (error) {
      this.#refuse(error);
    }
  }

  closed(): void {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    clearTimeout(this.#handshakeTimer);
    this.#held.drop();
    if (state.kind === 'playing') state.probing.stop();
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

  /** Heartbeat with acks (W10); a peer that has long been silent is dropped, unless nobody has listened for that long. */
  beat(now: number, listensSince: number): void {
    if (this.#state.kind !== 'playing' && this.#state.kind !== 'watching') return;
    if (now - Math.max(this.#heardAt, listensSince) > this.#deps.options.silenceMs) {
      this.#peer.close(CloseCode.SILENT, `TIMED_OUT: nothing heard for ${this.#deps.options.silenceMs} ms`);
      return;
    }
    const { accepted, stable } = this.#state.kind === 'playing' ? this.#state.seat : NO_ACKS;
    this.#peer.send(encodeMessage({ kind: 'ping', id: NO_PROBE, acks: { accepted, stable } }));
    if (this.#state.kind === 'watching') this.#state.live.room.audience.beat(this.#state.receiver);
  }

  #handle(message: UpMessage, bytes: number): void {
    if (message.kind === 'chunk') {
      const whole = this.#chunks.add(message);
      if (whole) this.#takeInTurn(decodeUpMessage(whole), whole.length);
      return;
    }
    this.#takeInTurn(message, bytes);
  }

  #takeInTurn(message: UpMessage, bytes: number): void {
    const isAboutClock = message.kind === 'pong' || message.kind === 'clock-jump';
    if (this.#held.isHolding && !isAboutClock) this.#held.add(message, bytes);
    else this.#handleWhole(message);
  }

  #handleHeld(messages: readonly UpMessage[]): void {
    try {
      for (const message of messages) this.#handleWhole(message);
    } catch (error) {
      this.#refuse(error);
    }
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
        this.#handlePlaying(message, state);
        return;
      case 'watching':
        if (message.kind === 'pong' || message.kind === 'clock-jump') return;
        throw new GametapeError('NOT_ALLOWED', `a spectator may not send ${message.kind}`);
      case 'joining':
        throw new GametapeError('BAD_MESSAGE', `${message.kind} before the welcome`);
      case 'closed':
    }
  }

  #handlePlaying(message: Exclude<UpMessage, { kind: 'chunk' }>, { live, seat, probing }: Playing): void {
    switch (message.kind) {
      case 'events-up':
        live.room.accept(seat, message);
        probing.follow();
        return;
      case 'gap':
        live.room.acceptGap(seat, message);
        return;
      case 'pong':
        probing.answer(message, this.#heardAt);
        return;
      case 'clock-jump':
        seat.estimate.report({ pseq: message.pseq, jumpUs: message.jump, clock: message.clock }, live.room.clock.now());
        this.#held.hold();
        probing.follow();
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
      else {
        const onKnown = () => this.#held.isHolding && this.#held.release();
        const { clock } = live.room;
        const probing = new ClockProbing({ peer: this.#peer, seat, clock, log: this.#deps.log, onKnown });
        this.#state = { kind: 'playing', live, seat, probing };
        if (hello.resume) this.#held.hold();
        probing.start();
      }
    }
  }

  /** Whoever asks for the end of a session that is over gets it; who watches, when that is due (V2). */
  async #tellEnd(recordingId: string, isWatching: boolean): Promise<void> {
    const { directory } = this.#deps;
    const checkDue = async () => {
      if (!isWatching || !(await directory.isHeld(recordingId))) return;
      throw new GametapeError('ROOM_ELSEWHERE', 'nothing more of this room is due yet: ask again');
    };
    await checkDue();
    const summary = await directory.finished(recordingId);
    // Another relay may have finished it just now: before, there was no file that says when it is due.
    await checkDue();
    if (summary) this.#peer.send(encodeMessage({ kind: 'ended', summary }));
  }

  get #isClosed(): boolean {
    return this.#state.kind === 'closed';
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
