import {
  type DownMessage,
  EventType,
  GametapeError,
  type Hello,
  type Json,
  type JsonObject,
  type Notice,
  PROTOCOL_VERSIONS,
  type Profile,
  profileNamed,
  type SessionSummary,
  type SpectatorCount,
  type State,
  type TextChange,
  type Welcome,
} from '@gametape/shared';
import type { ConnectionStatus, ConnectOptions, EventInput, Session, SessionEvents, SessionStatus } from './api.ts';
import { Connection } from './connection.ts';
import { Departure, type DepartureRequest } from './departure.ts';
import { Emitter } from './emitter.ts';
import { OwnTrack } from './own-track.ts';
import type { Platform } from './platform/platform.ts';
import { Rewinds } from './rewinds.ts';
import { RoomNews } from './room-news.ts';
import type { SpoolHead } from './spool/spool-records.ts';
import type { Spooling } from './spool/spooled-connect.ts';
import { Waiters } from './waiters.ts';

const DEFAULT_FLUSH_MS = 16;
const DEFAULT_TIMEOUT_MS = 10_000;

/** Joins a room as a player. @throws GametapeError `UNREACHABLE`, `TIMED_OUT`, `BAD_ID`, and whatever the relay refuses with */
export async function connectOn(platform: Platform, options: ConnectOptions): Promise<Session> {
  const instance = hex(platform.randomBytes(8));
  const spooling = options.spool ? await openSpooling(platform, options, instance) : undefined;
  const session = new LiveSession(platform, options, instance, spooling);
  await session.opened;
  return session;
}

/** Loaded by those who use it. */
async function openSpooling(platform: Platform, options: ConnectOptions, instance: string): Promise<Spooling> {
  return await (await import('./spool/spooled-connect.ts')).openSpooling(platform, options, instance);
}

/**
 * A player's session: what it does is in `OwnTrack`, what it is shown in `RoomNews`. Here is what both need, how it joins and how it
 * ends.
 */
class LiveSession implements Session {
  readonly room: string;
  readonly player: string;
  readonly opened: Promise<void>;
  readonly #options: ConnectOptions;
  readonly #profile: Profile;
  readonly #connection: Connection;
  readonly #track: OwnTrack;
  readonly #news: RoomNews;
  readonly #emitter = new Emitter<SessionEvents>();
  readonly #waiters = new Waiters();
  readonly #departure: Departure;
  readonly #rewinds = new Rewinds((name) => this.#askToRewind(name));
  readonly #instance: string;
  #recordingId = '';
  #durability = '';
  /** Resolves when nothing is kept any more that need not be. */
  #spoolEnded: Promise<void> | undefined;

  constructor(platform: Platform, options: ConnectOptions, instance: string, spooling: Spooling | undefined) {
    const { room, player } = options;
    this.#options = options;
    this.room = room;
    this.player = player;
    this.#departure = new Departure(room, player);
    this.#profile = profileNamed(options.profile ?? 'lmsp');
    this.#instance = instance;
    this.#connection = new Connection(options.url, platform, {
      hello: () => this.#hello(),
      clock: () => this.#track.clock(),
      checkClock: () => this.#track.checkClock(),
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.#receive(message),
      status: (status) => this.#connectionStatus(status),
      outOfStep: () => this.#news.view.giveUpPosition(),
      over: (error) => this.#over(error),
    });
    this.#track = new OwnTrack({
      platform,
      profile: this.#profile,
      state: options.state ?? this.#profile.initialState?.(player),
      connection: this.#connection,
      flushMs: options.flushMs ?? DEFAULT_FLUSH_MS,
      spooling,
      spoolHead: () => this.#spoolHead(),
      shown: () => this.#news.view.seq,
      onAllSent: () => this.#sayLast(),
      onLost: (lastPseq, error) => this.#lose(lastPseq, error),
      onSpoolFailure: (error) => this.#emitter.emit('error', error),
    });
    const shared = { track: this.#track, rewinds: this.#rewinds, emitter: this.#emitter };
    this.#news = new RoomNews({ crc32: platform.crc32, player, instance, ...shared });
    this.opened = this.#open(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, spooling);
  }

  get recordingId(): string {
    return this.#recordingId;
  }

  get state(): State {
    return this.#track.state;
  }

  get players(): Session['players'] {
    return this.#news.view.players;
  }

  get states(): ReadonlyMap<string, State> {
    return this.#news.view.states;
  }

  get spectators(): SpectatorCount {
    return this.#news.spectators;
  }

  get status(): SessionStatus {
    const { recorded, accepted, stable, lost, pendingBytes } = this.#track.outbox;
    const { clockErrorS } = this.#news;
    const { spoolStatus: spool } = this.#track;
    return {
      connection: this.#departure.summary ? 'ended' : this.#connection.status,
      recorded,
      accepted,
      stable,
      lost,
      pendingBytes,
      durability: this.#durability,
      ...(clockErrorS !== undefined && { clockErrorS }),
      ...(spool && { spool }),
    };
  }

  record(event: EventInput, nextState?: State): void {
    // T1: stamped before anything else takes time.
    this.#recordAt(this.#track.stamp(), event, nextState);
  }

  setState(next: State): void {
    this.#departure.checkOpen();
    this.#track.setState(next);
  }

  set(key: string, value: Json): void {
    this.#departure.checkOpen();
    this.#track.set(key, value);
  }

  edit(key: string, change: TextChange): void {
    this.#departure.checkOpen();
    this.#track.edit(key, change);
  }

  say(message: string): void {
    this.record({ type: EventType.PLAYER_MESSAGE, data: { message } });
  }

  async checkpoint(name: string): Promise<void> {
    if (typeof name !== 'string' || name === '') throw new TypeError('checkpoint: expected a name');
    this.record({ type: EventType.CHECKPOINT, data: { name } });
    await this.#waiters.accepted(this.#track.outbox.recorded, this.#track.outbox.accepted);
  }

  async rewind(name: string): Promise<void> {
    if (typeof name !== 'string' || name === '') throw new TypeError('rewind: expected the name of a checkpoint');
    this.#departure.checkOpen();
    this.#track.outbox.flush();
    await this.#rewinds.ask(name);
  }

  pause(): void {
    this.setSpeed(0);
  }

  resume(): void {
    this.setSpeed(1);
  }

  setSpeed(speed: number): void {
    if (!Number.isFinite(speed) || speed < 0) throw new TypeError(`speed: expected a number from 0, found ${speed}`);
    this.#departure.checkOpen();
    const stamp = this.#track.stamp();
    const event = { type: EventType.SPEED_CHANGE, data: { speed } };
    this.#track.followClock(speed > 0, stamp);
    this.#recordAt(stamp, event);
    this.#news.view.observeOwn(stamp, this.player, event);
  }

  async stable(): Promise<void> {
    this.#departure.checkOpen();
    this.#track.outbox.flush();
    await this.#waiters.stable(this.#track.outbox.recorded, this.#track.outbox.stable);
  }

  async leave(): Promise<void> {
    if (this.#departure.isOver) return;
    await this.stable();
    this.#departure.checkOpen();
    const left = this.#waiters.closed();
    this.#ask({ kind: 'leave' });
    await left;
    await this.#spoolEnded;
    // Superseded, say, before all of it was stable: whoever waits for that has waited in vain.
    const { refusal, summary } = this.#departure;
    if (refusal && !summary) throw refusal;
  }

  async end(outcome: JsonObject = {}): Promise<SessionSummary> {
    if (this.#departure.summary) return this.#departure.summary;
    if (!this.#departure.isEnding || this.#departure.isOver) this.#departure.checkOpen();
    const ended = this.#waiters.ended();
    this.#ask({ kind: 'end', outcome });
    const summary = await ended;
    await this.#spoolEnded;
    return summary;
  }

  on<Name extends keyof SessionEvents>(name: Name, listener: (event: SessionEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  #open(timeoutMs: number, spooling: Spooling | undefined): Promise<void> {
    const opened = this.#waiters.opened();
    const timer = setTimeout(() => {
      this.#connection.close(new GametapeError('TIMED_OUT', `${this.#options.url}: no welcome after ${timeoutMs} ms`));
    }, timeoutMs);
    this.#connection.open();
    return opened.then(() => spooling && this.#tellLater(spooling)).finally(() => clearTimeout(timer));
  }

  /** What went wrong before there was a session: whoever waits for it listens as soon as it is there. */
  #tellLater({ errors }: Spooling): void {
    setTimeout(() => {
      for (const error of errors) this.#emitter.emit('error', error);
    });
  }

  #spoolHead(): SpoolHead {
    const { name } = this.#options;
    const { room, player } = this;
    const identity = { room, player, instance: this.#instance, profile: this.#profile.name };
    return { ...identity, recordingId: this.#recordingId, ...(name !== undefined && { name }) };
  }

  #hello(): Hello {
    const { name, token } = this.#options;
    const position = { recordingId: this.#recordingId, epoch: this.#news.view.epoch, seq: this.#news.view.seq };
    return {
      kind: 'hello',
      protocols: PROTOCOL_VERSIONS,
      room: this.room,
      player: this.player,
      role: 'player',
      profile: this.#profile.name,
      instance: this.#instance,
      clock: this.#track.clock(),
      tick: this.#track.tickUs,
      ...(name !== undefined && { name }),
      ...(token !== undefined && { token }),
      ...(this.#recordingId !== '' && { resume: position }),
      state: this.#track.helloState,
    };
  }

  #welcome(welcome: Welcome): void {
    this.#recordingId = welcome.recordingId;
    this.#durability = welcome.durability;
    this.#news.welcome(welcome);
    this.#track.welcomed(welcome);
    this.#waiters.accept(this.#track.outbox.accepted);
    this.#departure.welcomed();
    if (welcome.resumption === 'resumed') this.#waiters.open();
  }

  #receive(message: DownMessage): void {
    switch (message.kind) {
      case 'snapshot':
        this.#news.snapshot(message.records);
        // Only now everything is as it is: what the relay knew better, too.
        this.#waiters.open();
        return;
      case 'producer':
        this.#news.view.producer(message);
        return;
      case 'clocks':
        this.#news.view.clocks(message);
        return;
      case 'events-down':
        this.#news.events(message);
        this.#acks(message.acks);
        return;
      case 'ack':
      case 'ping':
        this.#acks(message.acks);
        return;
      case 'expect':
        this.#departure.askAgain();
        this.#track.outbox.resendAfter(message.pseq - 1);
        return;
      case 'need-keyframe':
        this.#track.outbox.giveUp(message.pseq - 1, 'the relay has another state');
        return;
      case 'notice':
        this.#refused(message);
        return;
      case 'spectators':
        this.#news.watched(message);
        return;
      case 'ending':
        this.#departure.askedForRest();
        this.#track.outbox.flush();
        return;
      case 'ended':
        this.#departure.ended(message.summary);
        this.#track.outbox.stop();
        this.#waiters.end(message.summary);
        this.#connection.close();
    }
  }

  #refused({ code, message, retryAfterS, rewind, pseq }: Notice): void {
    const error = new GametapeError(code, message, retryAfterS === undefined ? {} : { retryAfterS });
    if (rewind !== undefined) this.#rewinds.refused(rewind, error);
    else if (!this.#waiters.refuse(pseq, error)) this.#emitter.emit('error', error);
  }

  #askToRewind(name: string): boolean {
    if (this.#connection.status !== 'live') return false;
    this.#connection.send({ kind: 'rewind', name });
    return true;
  }

  #acks(acks: { accepted: number; stable: number }): void {
    this.#track.outbox.acknowledge(acks);
    this.#waiters.accept(this.#track.outbox.accepted);
    this.#waiters.stabilize(this.#track.outbox.stable);
    if (this.#emitter.has('status')) this.#emitter.emit('status', this.status);
  }

  #recordAt(stamp: number, event: EventInput, nextState?: State): void {
    this.#departure.checkOpen();
    this.#track.record(stamp, event, nextState);
  }

  #lose(lastPseq: number, error: GametapeError): void {
    this.#waiters.lose(lastPseq, error);
    this.#emitter.emit('error', error);
  }

  #ask(request: DepartureRequest): void {
    this.#departure.ask(request);
    this.#track.outbox.flush();
  }

  #sayLast(): void {
    for (const message of this.#departure.takeLast(this.#track.outbox.recorded)) this.#connection.send(message);
  }

  #connectionStatus(status: ConnectionStatus): void {
    if (status === 'live') {
      this.#track.outbox.send();
      this.#rewinds.sendAll();
    } else {
      this.#rewinds.lost();
      this.#track.lost();
    }
    this.#emitter.emit('status', this.status);
  }

  #over(error: GametapeError | undefined): void {
    this.#track.stop();
    const closed = this.#departure.over(error);
    this.#waiters.close(closed);
    this.#rewinds.close(closed);
    this.#spoolEnded = this.#track.endSpool(this.#departure.summary !== undefined);
    if (error && !this.#departure.summary) this.#emitter.emit('error', error);
  }
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
