import {
  ChunkAssembler,
  CloseCode,
  chunked,
  closeAction,
  type DownMessage,
  decodeDownMessage,
  ERROR_HINTS,
  type ErrorCode,
  encodeMessage,
  GametapeError,
  type Hello,
  isGametapeError,
  LIMITS,
  SUBPROTOCOL,
  type UpMessage,
  type Welcome,
} from '@gametape/shared';
import type { ConnectionStatus } from './api.ts';
import { backoffMs } from './backoff.ts';
import type { Platform, Socket } from './platform/platform.ts';

/** A connection that lived this long starts its backoff over. */
const STABLE_UPTIME_MS = 5_000;
/** One that was at least welcomed waits no longer than at this attempt: a relay that starts anew may be back already. */
const ATTEMPT_AFTER_WELCOME = 2;
/** A relay that has said that it stops is looked for at least so often, for so long: its next life is on its way (J7). */
const AFTER_DRAINING = { longestMs: 1_000, forMs: 60_000 };
const DEFAULT_SILENCE_MS = 15_000;
/** Bytes the socket may hold back before nothing more is given to it. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** Longest message of a relay: a snapshot holds the states of all players of a room. */
const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

export interface ConnectionHandlers {
  /** The hello of the next attempt: it names where to go on from. */
  hello(): Hello;
  /** The producer's clock, in whole microseconds: stamps and probes are of the same one. */
  clock(): number;
  welcome(welcome: Welcome): void;
  message(message: DownMessage): void;
  status(status: ConnectionStatus): void;
  /** What was shown so far is of no use any more: the next hello must not go on from it. */
  outOfStep(): void;
  /** The connection is over for good; `error` says why, undefined if it was meant. */
  over(error: GametapeError | undefined): void;
}

/**
 * One peer's connection over any number of sockets.
 *
 *     connecting --welcome--> live --socket lost--> reconnecting --welcome--> live
 *         |                    |                         |
 *         +--- refused --------+------ 40xx, close() ----+--> closed
 *
 * Each socket has its own generation: what an old one still says is not heard (W9).
 */
export class Connection {
  readonly #url: string;
  readonly #platform: Platform;
  readonly #handlers: ConnectionHandlers;
  #chunks = new ChunkAssembler(MAX_MESSAGE_BYTES);
  #socket: Socket | undefined;
  #status: ConnectionStatus = 'connecting';
  #attempt = 0;
  #silenceMs = DEFAULT_SILENCE_MS;
  #liveSince = 0;
  /** Until then the backoff stays short, in microseconds of the platform's clock. */
  #hurriesUntil = Number.NEGATIVE_INFINITY;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, platform: Platform, handlers: ConnectionHandlers) {
    this.#url = url;
    this.#platform = platform;
    this.#handlers = handlers;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** False while the socket is away or has more than enough to send. */
  get isWritable(): boolean {
    return this.#status === 'live' && (this.#socket?.bufferedAmount ?? 0) < MAX_BUFFERED_BYTES;
  }

  open(): void {
    let socket: Socket;
    try {
      socket = this.#platform.openSocket(this.#url, SUBPROTOCOL);
    } catch (cause) {
      this.#finish(new GametapeError('UNREACHABLE', `${this.#url}: not an address of a relay`, { cause }));
      return;
    }
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#chunks = new ChunkAssembler(MAX_MESSAGE_BYTES);
    this.#watch();
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#write(encodeMessage(this.#handlers.hello()));
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(code, reason);
    };
    // Every error is followed by a close, which says what to do.
    socket.onerror = () => {};
  }

  /** Sends one message's bytes, in chunks if it is long. The bytes must not change afterwards. */
  sendBytes(bytes: Uint8Array): void {
    this.#write(bytes);
  }

  send(message: UpMessage): void {
    this.#write(encodeMessage(message));
  }

  /** Gives this socket up and connects again at once. */
  restart(code: number, reason: string): void {
    this.#socket?.close(code, reason);
    this.#lost(code, reason);
  }

  /** Closes for good. `reason` is what whoever still waits is told. */
  close(reason?: GametapeError): void {
    const socket = this.#socket;
    this.#finish(reason);
    socket?.close(1000);
  }

  #receive(data: unknown): void {
    this.#watch();
    try {
      if (!(data instanceof ArrayBuffer))
        throw new GametapeError('BAD_MESSAGE', 'expected a binary message, found text');
      this.#handle(decodeDownMessage(new Uint8Array(data)));
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      this.restart(CloseCode.OUT_OF_STEP, error.code);
    }
  }

  #handle(message: DownMessage): void {
    if (message.kind === 'chunk') {
      const whole = this.#chunks.add(message);
      if (whole) this.#handleWhole(decodeDownMessage(whole));
      return;
    }
    this.#handleWhole(message);
  }

  #handleWhole(message: DownMessage): void {
    if (message.kind === 'chunk') throw new GametapeError('BAD_MESSAGE', 'a chunk inside of a chunk');
    if (message.kind === 'ping') {
      const received = this.#handlers.clock();
      this.send({ kind: 'pong', id: message.id, received, sent: this.#handlers.clock() });
    }
    if (message.kind === 'welcome') {
      this.#silenceMs = message.silenceMs;
      this.#liveSince = this.#platform.now();
      this.#handlers.welcome(message);
      this.#setStatus('live');
    } else this.#handlers.message(message);
  }

  #write(bytes: Uint8Array): void {
    for (const part of bytes.length > LIMITS.messageBytes ? chunked(bytes) : [bytes]) {
      this.#socket?.send(part as Uint8Array<ArrayBuffer>);
    }
  }

  /** W10: a socket that says nothing for that long is dead, whatever its state claims. */
  #watch(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.restart(CloseCode.SILENT, 'the relay is silent'), this.#silenceMs);
  }

  #lost(code: number, reason: string): void {
    const wasFirst = this.#status === 'connecting';
    this.#drop();
    const action = closeAction(code);
    if (action === 'stop') {
      this.#finish(stopError(code, reason));
      return;
    }
    if (code === CloseCode.OUT_OF_STEP || action === 'join afresh') this.#handlers.outOfStep();
    // A relay that stops, or that has not got the room, is not the last word: the caller's own timeout is.
    if (wasFirst && action !== 'resume now') {
      const why = reason === '' ? 'no relay answers there' : reason;
      this.#finish(new GametapeError('UNREACHABLE', `${this.#url}: ${why} (close code ${code})`));
      return;
    }
    const now = this.#platform.now();
    const uptimeMs = (now - this.#liveSince) / 1_000;
    if (code === CloseCode.DRAINING) this.#hurriesUntil = now + AFTER_DRAINING.forMs * 1_000;
    if (this.#status === 'live')
      this.#attempt = uptimeMs > STABLE_UPTIME_MS ? 0 : Math.min(this.#attempt, ATTEMPT_AFTER_WELCOME);
    this.#setStatus('reconnecting');
    const soon = action === 'resume now' && this.#attempt === 0;
    const random = (this.#platform.randomBytes(1)[0] as number) / 256;
    const longestMs = now < this.#hurriesUntil ? AFTER_DRAINING.longestMs : undefined;
    this.#retry = setTimeout(() => this.open(), soon ? 0 : backoffMs(this.#attempt, random, longestMs));
    this.#attempt++;
  }

  #finish(error: GametapeError | undefined): void {
    if (this.#status === 'closed') return;
    this.#drop();
    clearTimeout(this.#retry);
    this.#setStatus('closed');
    this.#handlers.over(error);
  }

  #drop(): void {
    clearTimeout(this.#watchdog);
    this.#socket = undefined;
  }

  #setStatus(status: ConnectionStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#handlers.status(status);
  }
}

const STOP_ERRORS: Readonly<Record<number, ErrorCode>> = {
  [CloseCode.BAD_TOKEN]: 'NOT_ALLOWED',
  [CloseCode.NOT_ALLOWED]: 'NOT_ALLOWED',
  [CloseCode.ROOM_ENDED]: 'ROOM_ENDED',
  [CloseCode.VERSION_UNKNOWN]: 'VERSION_UNKNOWN',
  [CloseCode.ROOM_FULL]: 'ROOM_FULL',
  [CloseCode.SUPERSEDED]: 'SUPERSEDED',
  [CloseCode.BAD_MESSAGE]: 'BAD_MESSAGE',
};

function stopError(code: number, reason: string): GametapeError | undefined {
  if (code === CloseCode.LEFT) return undefined;
  // The relay puts the code of what it refused in front of its reason.
  const named = /^([A-Z_]+): (.*)$/s.exec(reason);
  const fallback = STOP_ERRORS[code] ?? 'SESSION_CLOSED';
  const errorCode = named && isErrorCode(named[1] as string) ? (named[1] as ErrorCode) : fallback;
  return new GametapeError(errorCode, named ? (named[2] as string) : reason || `closed with code ${code}`);
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_HINTS, text);
}
