import {
  type DownMessage,
  GametapeError,
  isId,
  PROTOCOL_VERSIONS,
  type SessionSummary,
  type State,
} from '@gametape/shared';
import type { ConnectionStatus, Live, LiveEvents, SpectateOptions } from './api.ts';
import { tickOf } from './clock-watch.ts';
import { Connection } from './connection.ts';
import { Emitter } from './emitter.ts';
import type { Platform } from './platform/platform.ts';
import { RoomView } from './room-view.ts';

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Joins a room to watch it. When it resolves, `states` holds every player's right state (V1, W5).
 *
 * @throws GametapeError `UNREACHABLE`, `TIMED_OUT`, `NOT_FOUND` when there is no such room, and what the relay refuses with
 */
export async function spectateOn(platform: Platform, options: SpectateOptions): Promise<Live> {
  const live = new Spectator(platform, options);
  await live.opened;
  return live;
}

class Spectator implements Live {
  readonly room: string;
  readonly opened: Promise<void>;
  readonly #platform: Platform;
  readonly #options: SpectateOptions;
  readonly #id: string;
  readonly #connection: Connection;
  readonly #view: RoomView;
  readonly #emitter = new Emitter<LiveEvents>();
  #recordingId = '';
  #summary: SessionSummary | undefined;
  #settle: { resolve: () => void; reject: (error: GametapeError) => void } | undefined;

  constructor(platform: Platform, options: SpectateOptions) {
    this.#platform = platform;
    this.#options = options;
    this.room = options.room;
    this.#id =
      options.spectator ?? `spectator-${[...platform.randomBytes(6)].map((byte) => byte.toString(16)).join('')}`;
    if (!isId(this.#id)) throw new GametapeError('BAD_ID', `spectator: ${JSON.stringify(this.#id)} is no id`);
    this.#view = new RoomView(platform.crc32);
    this.#connection = new Connection(options.url, platform, {
      hello: () => this.#hello(),
      clock: () => Math.round(platform.now()),
      welcome: (welcome) => {
        this.#recordingId = welcome.recordingId;
        this.#view.welcome(welcome, platform.now());
        if (welcome.resumption === 'resumed') this.#ready();
      },
      message: (message) => this.#receive(message),
      status: (status) => this.#emitter.emit('status', status),
      outOfStep: () => this.#view.giveUpPosition(),
      over: (error) => this.#over(error),
    });
    this.opened = this.#open(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  }

  get recordingId(): string {
    return this.#recordingId;
  }

  get status(): ConnectionStatus {
    return this.#summary ? 'ended' : this.#connection.status;
  }

  get currentTime(): number {
    return this.#view.currentTime;
  }

  get players(): Live['players'] {
    return this.#view.players;
  }

  get states(): ReadonlyMap<string, State> {
    return this.#view.states;
  }

  on<Name extends keyof LiveEvents>(name: Name, listener: (event: LiveEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  close(): void {
    this.#connection.close();
  }

  #open(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `${this.#options.url}: no snapshot of ${this.room} after ${timeoutMs} ms`;
        this.#connection.close(new GametapeError('TIMED_OUT', message));
      }, timeoutMs);
      const done = () => clearTimeout(timer);
      this.#settle = {
        resolve: () => [done(), resolve()],
        reject: (error) => [done(), reject(error)],
      };
      this.#connection.open();
    });
  }

  #hello(): Parameters<Connection['send']>[0] & { kind: 'hello' } {
    const { token } = this.#options;
    return {
      kind: 'hello',
      protocols: PROTOCOL_VERSIONS,
      room: this.room,
      player: this.#id,
      role: 'spectator',
      // The room has a profile already: a spectator takes what it finds.
      profile: '',
      instance: this.#id,
      clock: Math.round(this.#platform.now()),
      tick: tickOf(this.#platform.now),
      ...(token !== undefined && { token }),
      ...(this.#recordingId !== '' && {
        resume: { recordingId: this.#recordingId, epoch: this.#view.epoch, seq: this.#view.seq },
      }),
      state: new Uint8Array(0),
    };
  }

  #receive(message: DownMessage): void {
    switch (message.kind) {
      case 'snapshot':
        this.#view.snapshot(message.records);
        this.#ready();
        return;
      case 'clocks':
        this.#view.clocks(message);
        return;
      case 'producer':
        this.#view.producer(message);
        return;
      case 'events-down':
        for (const event of message.events) {
          const { player, time, event: live } = this.#view.apply(event);
          if (live) this.#emitter.emit('event', live);
          this.#emitter.emit('change', { player, time });
        }
        this.#view.advanceTo(message.upTo);
        return;
      case 'notice':
        this.#emitter.emit('error', new GametapeError(message.code, message.message));
        return;
      case 'ended':
        this.#summary = message.summary;
        this.#emitter.emit('end', message.summary);
        this.#connection.close();
    }
  }

  #ready(): void {
    this.#settle?.resolve();
    this.#settle = undefined;
  }

  #over(error: GametapeError | undefined): void {
    const reason = error ?? new GametapeError('SESSION_CLOSED', `no longer watching ${this.room}`);
    if (this.#settle) this.#settle.reject(reason);
    else if (error && !this.#summary) this.#emitter.emit('error', error);
    this.#settle = undefined;
  }
}
