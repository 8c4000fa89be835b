import {
  CloseCode,
  type DownMessage,
  GametapeError,
  isGametapeError,
  PROTOCOL_VERSIONS,
  type SessionSummary,
  type Welcome,
} from '@gametape/shared';
import type {
  ConnectionStatus,
  Live,
  LiveCheckpoint,
  LiveEvents,
  Playhead,
  PlayheadEvents,
  SpectateFrom,
  SpectateOptions,
} from './api.ts';
import { checkFrom, checkId, timeoutOf } from './check-options.ts';
import { tickOf } from './clock-watch.ts';
import { Connection } from './connection.ts';
import { DelegatedPlayhead } from './delegated-playhead.ts';
import { Emitter } from './emitter.ts';
import { LiveEdge } from './live-edge.ts';
import { httpUrlOf, LiveReel } from './live-reel.ts';
import type { Platform } from './platform/platform.ts';
import type { Reel } from './reel.ts';
import { Replay } from './replay.ts';

/** What a playhead tells, and a spectator passes on as it is. */
const PASSED_ON = [
  'change',
  'timeupdate',
  'durationchange',
  'seeking',
  'seeked',
  'ratechange',
  'play',
  'pause',
  'ended',
  'error',
] as const satisfies (keyof PlayheadEvents)[];

/**
 * Joins a room to watch it. When it resolves, `states` holds every player's right state (V1, W5), as of where it begins.
 *
 * @throws GametapeError `UNREACHABLE`, `TIMED_OUT`, `NOT_FOUND` when there is no such room or checkpoint, `ROOM_ENDED` when
 * it ends meanwhile, and what the relay refuses with
 * @throws TypeError for options that make no sense
 */
export async function spectateOn(platform: Platform, options: SpectateOptions): Promise<Live> {
  const from = options.from ?? 'live';
  checkFrom(from);
  const live = new Spectator(platform, options);
  await live.opened;
  try {
    await live.begin(from);
  } catch (error) {
    live.close();
    throw error;
  }
  return live;
}

/** The live edge over a socket, the past over HTTP, and one playhead over both. */
class Spectator extends DelegatedPlayhead implements Live {
  readonly room: string;
  readonly opened: Promise<void>;
  readonly #platform: Platform;
  readonly #options: SpectateOptions;
  readonly #id: string;
  /** Where the past is asked for. */
  readonly #baseUrl: string;
  readonly #connection: Connection;
  readonly #edge: LiveEdge;
  readonly #emitter = new Emitter<LiveEvents>();
  #reel: LiveReel | undefined;
  #replay: Replay | undefined;
  #recordingId = '';
  #delayMs = 0;
  #summary: SessionSummary | undefined;
  #settle: { resolve: () => void; reject: (error: GametapeError) => void } | undefined;

  constructor(platform: Platform, options: SpectateOptions) {
    super();
    this.#platform = platform;
    this.#options = options;
    this.room = options.room;
    this.#id =
      options.spectator ?? `spectator-${[...platform.randomBytes(6)].map((byte) => byte.toString(16)).join('')}`;
    checkId('room', options.room);
    checkId('spectator', this.#id);
    const timeoutMs = timeoutOf(options.timeoutMs);
    this.#baseUrl = httpUrlOf(options.url);
    const onOutOfStep = ({ code }: GametapeError) => this.#connection.restart(CloseCode.OUT_OF_STEP, code);
    this.#edge = new LiveEdge(platform.crc32, () => platform.now(), onOutOfStep);
    this.#connection = new Connection(options.url, platform, {
      hello: () => this.#hello(),
      clock: () => Math.round(platform.now()),
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.#receive(message),
      status: (status) => {
        if (status !== 'live') this.#edge.pauseTime();
        this.#emitter.emit('status', status);
      },
      outOfStep: () => this.#edge.giveUpPosition(),
      over: (error) => this.#over(error),
    });
    this.opened = this.#open(timeoutMs);
  }

  get recordingId(): string {
    return this.#recordingId;
  }

  get status(): ConnectionStatus {
    return this.#summary ? 'ended' : this.#connection.status;
  }

  get delay(): number {
    return this.#delayMs / 1_000;
  }

  get players(): Live['players'] {
    return this.#edge.playerViews;
  }

  get reel(): Reel {
    return this.#known.reel;
  }

  checkpoints(): Promise<readonly LiveCheckpoint[]> {
    return this.#known.reel.checkpoints();
  }

  on<Name extends keyof LiveEvents>(name: Name, listener: (event: LiveEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  close(): void {
    this.#connection.close();
    this.#replay?.close();
    this.#edge.stop();
    void this.#reel?.close();
  }

  /** Goes where watching is to begin, and plays. @throws GametapeError `NOT_FOUND`, and what keeps the past from being read */
  async begin(from: SpectateFrom): Promise<void> {
    const { replay } = this.#known;
    if (from === 'live') return replay.goLive();
    replay.pause();
    const time = from === 'start' ? Number.NEGATIVE_INFINITY : await this.#timeOf(from);
    await replay.seek(time);
    if (replay.error !== undefined) throw replay.error;
    replay.play();
  }

  async #timeOf(from: Exclude<SpectateFrom, string>): Promise<number> {
    if ('time' in from) return from.time;
    const checkpoints = await this.checkpoints();
    const found = checkpoints.findLast(({ name }) => name === from.checkpoint);
    if (found) return found.time;
    const names = [...new Set(checkpoints.map(({ name }) => name))].join(', ') || 'none';
    throw new GametapeError('NOT_FOUND', `checkpoint ${from.checkpoint}: not there; the checkpoints are ${names}`);
  }

  protected get playhead(): Playhead {
    return this.#known.replay;
  }

  /** There is none before the first snapshot; nobody has this object before that. */
  get #known(): { reel: LiveReel; replay: Replay } {
    if (!this.#reel || !this.#replay) throw new GametapeError('SESSION_CLOSED', `not watching ${this.room} yet`);
    return { reel: this.#reel, replay: this.#replay };
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
        resume: { recordingId: this.#recordingId, epoch: this.#edge.epoch, seq: this.#edge.seq },
      }),
      state: new Uint8Array(0),
    };
  }

  #welcome(welcome: Welcome): void {
    if (this.#recordingId !== '' && welcome.recordingId !== this.#recordingId) {
      // What plays is the past of another session, and that is over.
      this.#connection.close(new GametapeError('ROOM_ENDED', `${this.room}: another session has begun there`));
      return;
    }
    this.#recordingId = welcome.recordingId;
    this.#delayMs = welcome.delayMs;
    this.#edge.welcome(welcome);
    if (welcome.resumption === 'resumed') this.#ready();
  }

  #receive(message: DownMessage): void {
    switch (message.kind) {
      case 'snapshot':
        this.#edge.snapshot(message.records);
        this.#ready();
        return;
      case 'clocks':
        this.#edge.clocks(message);
        return;
      case 'producer':
        this.#edge.producer(message);
        return;
      case 'events-down':
        this.#edge.arrived(message.events, message.upTo);
        return;
      case 'clock':
        this.#edge.timeIs(message.time, message.holdMs);
        return;
      case 'notice':
        this.#emitter.emit('error', new GametapeError(message.code, message.message));
        return;
      case 'ended':
        this.#summary = message.summary;
        // Who comes back to a room that is over hears of that alone, and not of what else there was.
        this.#reel?.end(message.summary.durationS, message.seq !== undefined && this.#edge.seq >= message.seq);
        this.#emitter.emit('end', message.summary);
        this.#connection.close(this.#endError(message.summary));
    }
  }

  /** What a spectator that is not in yet is told of the end: there is nothing to watch any more. */
  #endError({ recordingId }: SessionSummary): GametapeError | undefined {
    if (!this.#settle) return undefined;
    return new GametapeError('ROOM_ENDED', `${this.room}: the room has ended; its recording is ${recordingId}`);
  }

  #ready(): void {
    if (!this.#replay) this.#makePlayhead();
    this.#settle?.resolve();
    this.#settle = undefined;
  }

  #makePlayhead(): void {
    const { room, token } = this.#options;
    this.#reel = new LiveReel({
      edge: this.#edge,
      baseUrl: this.#baseUrl,
      room,
      recordingId: this.#recordingId,
      token,
      compression: () => this.#platform.compression(),
    });
    const replay = new Replay(this.#reel);
    this.#replay = replay;
    for (const name of PASSED_ON) replay.on(name, (value) => this.#emitter.emit(name, value as never));
    replay.on('event', (event) => {
      const epoch = this.#edge.epoch;
      this.#emitter.emit(
        'event',
        Object.defineProperty(event as LiveEvents['event'], 'epoch', { value: epoch, enumerable: true }),
      );
    });
    replay.goLive();
  }

  #over(error: GametapeError | undefined): void {
    this.#edge.stop();
    const reason = error ?? new GametapeError('SESSION_CLOSED', `no longer watching ${this.room}`);
    if (this.#settle) this.#settle.reject(reason);
    else if (error && !this.#summary) {
      if (isGametapeError(error, 'ROOM_ENDED')) this.#reel?.finish();
      this.#emitter.emit('error', error);
    }
    this.#settle = undefined;
  }
}
