import {
  type DownMessage,
  type EventDown,
  EventType,
  GametapeError,
  type Hello,
  type Json,
  type JsonObject,
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
import { Emitter } from './emitter.ts';
import { Outbox } from './outbox.ts';
import type { Platform } from './platform/platform.ts';
import { Producer, stampOf } from './producer.ts';
import { Rewinds } from './rewinds.ts';
import { RoomView, type Shown } from './room-view.ts';
import type { SessionSpool } from './spool/session-spool.ts';
import type { SpoolHead } from './spool/spool-records.ts';
import type { Spooling } from './spool/spooled-connect.ts';
import { Waiters } from './waiters.ts';

const DEFAULT_FLUSH_MS = 16;
const DEFAULT_TIMEOUT_MS = 10_000;

/** What ends a session. */
type Request = { readonly kind: 'leave' } | { readonly kind: 'end'; readonly outcome: JsonObject };

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

class LiveSession implements Session {
  readonly room: string;
  readonly player: string;
  readonly opened: Promise<void>;
  readonly #platform: Platform;
  readonly #options: ConnectOptions;
  readonly #profile: Profile;
  readonly #producer: Producer;
  readonly #connection: Connection;
  readonly #view: RoomView;
  readonly #emitter = new Emitter<SessionEvents>();
  readonly #outbox: Outbox;
  readonly #waiters = new Waiters();
  readonly #rewinds = new Rewinds((name) => this.#askToRewind(name));
  readonly #instance: string;
  readonly #spooling: Spooling | undefined;
  readonly #spool: SessionSpool | undefined;
  readonly #startedAt: number;
  readonly #helloState: Uint8Array;
  #recordingId = '';
  #spectators: SpectatorCount = { count: 0, ids: [] };
  #durability = '';
  /** Index of its producer in the room, and seq of the last rewind of it that the welcome knew of. */
  #index = -1;
  #rewound = 0;
  /** What has been asked of the relay and is asked again after a reconnection. */
  #request: Request | undefined;
  /** What is to be said once all events are sent: it names the last of them. */
  #saysRequest = false;
  #saysFinal = false;
  /** The relay has asked for what is left: nothing more is recorded (W6). */
  #isEnding = false;
  #closed: GametapeError | undefined;
  /** Why the connection is over, if nobody meant it to be. */
  #refusal: GametapeError | undefined;
  #summary: SessionSummary | undefined;
  /** Resolves when nothing is kept any more that need not be. */
  #spoolEnded: Promise<void> | undefined;

  constructor(platform: Platform, options: ConnectOptions, instance: string, spooling: Spooling | undefined) {
    this.#platform = platform;
    this.#options = options;
    this.room = options.room;
    this.player = options.player;
    this.#profile = profileNamed(options.profile ?? 'lmsp');
    this.#startedAt = platform.now();
    this.#instance = instance;
    this.#spooling = spooling;
    this.#producer = new Producer(this.#profile, platform.crc32);
    const state = options.state ?? this.#profile.initialState?.(options.player);
    if (state) this.#producer.begin(state);
    this.#helloState = state ? this.#producer.encode(undefined, 0) : new Uint8Array(0);
    this.#view = new RoomView(platform.crc32);
    this.#connection = new Connection(options.url, platform, {
      hello: () => this.#hello(),
      clock: () => this.#clock(),
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.#receive(message),
      status: (status) => this.#connectionStatus(status),
      outOfStep: () => this.#view.giveUpPosition(),
      over: (error) => this.#over(error),
    });
    this.#spool = spooling?.begin({
      head: () => this.#spoolHead(),
      helloState: this.#helloState,
      context: () => this.#producer.context(this.#outbox.recorded, this.#outbox.lastStamp),
      clock: () => this.#clock(),
      onFailure: (error) => this.#emitter.emit('error', error),
    });
    this.#outbox = new Outbox({
      spool: this.#spool,
      connection: this.#connection,
      flushMs: options.flushMs ?? DEFAULT_FLUSH_MS,
      now: () => platform.now(),
      shown: () => this.#view.seq,
      recordPending: () => this.#recordPending(),
      onAllSent: () => this.#sayLast(),
      onLost: (lastPseq, error) => this.#lose(lastPseq, error),
    });
    this.opened = this.#open(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  }

  get recordingId(): string {
    return this.#recordingId;
  }

  get state(): State {
    return this.#producer.state;
  }

  get players(): Session['players'] {
    return this.#view.players;
  }

  get states(): ReadonlyMap<string, State> {
    return this.#view.states;
  }

  get spectators(): SpectatorCount {
    return this.#spectators;
  }

  get status(): SessionStatus {
    const { recorded, accepted, stable, lost, pendingBytes } = this.#outbox;
    const connection = this.#summary ? 'ended' : this.#connection.status;
    const status = { connection, recorded, accepted, stable, lost, pendingBytes, durability: this.#durability };
    if (!this.#spooling) return status;
    const { recovered, kept } = this.#spooling;
    const { isKept = false, bytes = 0 } = this.#spool ?? {};
    return { ...status, spool: { isKept, bytes, recovered, kept } };
  }

  record(event: EventInput, nextState?: State): void {
    // T1: stamped before anything else takes time.
    this.#recordAt(this.#stamp(), event, nextState);
  }

  setState(next: State): void {
    this.#checkOpen();
    this.#producer.setState(next);
    this.#outbox.scheduleFlush();
  }

  set(key: string, value: Json): void {
    this.#checkOpen();
    this.#producer.set(key, value);
    this.#outbox.scheduleFlush();
  }

  edit(key: string, change: TextChange): void {
    this.#checkOpen();
    this.#producer.edit(key, change);
    this.#outbox.scheduleFlush();
  }

  say(message: string): void {
    this.record({ type: EventType.PLAYER_MESSAGE, data: { message } });
  }

  async checkpoint(name: string): Promise<void> {
    if (typeof name !== 'string' || name === '') throw new TypeError('checkpoint: expected a name');
    this.record({ type: EventType.CHECKPOINT, data: { name } });
    await this.#waiters.accepted(this.#outbox.recorded, this.#outbox.accepted);
  }

  async rewind(name: string): Promise<void> {
    if (typeof name !== 'string' || name === '') throw new TypeError('rewind: expected the name of a checkpoint');
    this.#checkOpen();
    this.#outbox.flush();
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
    this.#checkOpen();
    const stamp = this.#stamp();
    this.#producer.followClock(speed > 0, stamp);
    this.#recordAt(stamp, { type: EventType.SPEED_CHANGE, data: { speed } });
    this.#view.observeOwn(stamp, this.player, { type: EventType.SPEED_CHANGE, data: { speed } });
  }

  async stable(): Promise<void> {
    this.#checkOpen();
    this.#outbox.flush();
    await this.#waiters.stable(this.#outbox.recorded, this.#outbox.stable);
  }

  async leave(): Promise<void> {
    if (this.#closed || this.#summary) return;
    await this.stable();
    this.#checkOpen();
    const left = this.#waiters.closed();
    this.#ask({ kind: 'leave' });
    await left;
    await this.#spoolEnded;
    // Superseded, say, before all of it was stable: whoever waits for that has waited in vain.
    if (this.#refusal && !this.#summary) throw this.#refusal;
  }

  async end(outcome: JsonObject = {}): Promise<SessionSummary> {
    if (this.#summary) return this.#summary;
    if (!this.#isEnding) this.#checkOpen();
    const ended = this.#waiters.ended();
    this.#ask({ kind: 'end', outcome });
    const summary = await ended;
    await this.#spoolEnded;
    return summary;
  }

  on<Name extends keyof SessionEvents>(name: Name, listener: (event: SessionEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  #open(timeoutMs: number): Promise<void> {
    const opened = this.#waiters.opened();
    const timer = setTimeout(() => {
      this.#connection.close(new GametapeError('TIMED_OUT', `${this.#options.url}: no welcome after ${timeoutMs} ms`));
    }, timeoutMs);
    this.#connection.open();
    return opened.then(() => this.#tellLater()).finally(() => clearTimeout(timer));
  }

  /** What went wrong before there was a session: whoever waits for it listens as soon as it is there. */
  #tellLater(): void {
    if (!this.#spooling) return;
    const { errors } = this.#spooling;
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
    const position = { recordingId: this.#recordingId, epoch: this.#view.epoch, seq: this.#view.seq };
    return {
      kind: 'hello',
      protocols: PROTOCOL_VERSIONS,
      room: this.room,
      player: this.player,
      role: 'player',
      profile: this.#profile.name,
      instance: this.#instance,
      clock: this.#clock(),
      ...(name !== undefined && { name }),
      ...(token !== undefined && { token }),
      ...(this.#recordingId !== '' && { resume: position }),
      state: this.#helloState,
    };
  }

  #welcome(welcome: Welcome): void {
    this.#recordingId = welcome.recordingId;
    this.#durability = welcome.durability;
    this.#index = welcome.producer;
    this.#showSpectators(welcome.spectators);
    this.#rewound = welcome.rewound ?? 0;
    this.#view.welcome(welcome, this.#clock());
    // What the journal has is accepted, whatever acks were lost on the way; everything after it is sent again (W2).
    this.#outbox.resume(welcome.lastPseq);
    this.#waiters.accept(this.#outbox.accepted);
    // A relay that was started anew does not know that the room was to end.
    this.#isEnding = false;
    this.#saysFinal = false;
    this.#saysRequest = this.#request !== undefined;
    if (welcome.resumption === 'resumed') this.#waiters.open();
  }

  #receive(message: DownMessage): void {
    switch (message.kind) {
      case 'snapshot': {
        const own = this.#view.snapshot(message.records, this.#index);
        if (own && this.#rewound > this.#outbox.base) {
          const entries = [...own.state.entries()].map(({ key, value }) => [key, value] as const);
          this.#rebase(this.#rewound, entries);
        }
        // Only now everything is as it is: what the relay knew better, too.
        this.#waiters.open();
        return;
      }
      case 'producer':
        this.#view.producer(message);
        return;
      case 'events-down':
        for (const event of message.events) {
          if (event.producer === this.#index) this.#showOwn(event);
          else this.#show(this.#view.apply(event));
        }
        this.#view.advanceTo(message.upTo);
        this.#acks(message.acks);
        return;
      case 'ack':
      case 'ping':
        this.#acks(message.acks);
        return;
      case 'expect':
        this.#saysRequest = this.#request !== undefined;
        this.#outbox.resendAfter(message.pseq - 1);
        return;
      case 'need-keyframe':
        this.#outbox.giveUp(message.pseq - 1, 'the relay has another state');
        return;
      case 'notice': {
        const { retryAfterS } = message;
        const error = new GametapeError(
          message.code,
          message.message,
          retryAfterS === undefined ? {} : { retryAfterS },
        );
        if (message.rewind !== undefined) this.#rewinds.refused(message.rewind, error);
        else if (!this.#waiters.refuse(message.pseq, error)) this.#emitter.emit('error', error);
        return;
      }
      case 'spectators':
        this.#showSpectators(message);
        return;
      case 'ending':
        this.#isEnding = true;
        this.#saysFinal = true;
        this.#outbox.flush();
        return;
      case 'ended':
        this.#summary = message.summary;
        this.#outbox.stop();
        this.#waiters.end(message.summary);
        this.#connection.close();
    }
  }

  #showSpectators({ count, ids }: SpectatorCount): void {
    const isNews = count !== this.#spectators.count || ids.join() !== this.#spectators.ids.join();
    this.#spectators = { count, ids };
    if (isNews) this.#emitter.emit('spectators', this.#spectators);
  }

  /** What the relay made of this player: it is taken over before anybody hears of it (T8). */
  #showOwn(event: EventDown): void {
    const own = { index: this.#index, player: this.player, instance: this.#instance };
    const body = this.#view.readOwn(event, own);
    if (body.change?.form === 'keyframe') this.#rebase(event.seq, body.change.entries);
    if (body.event?.type === EventType.SPEED_CHANGE) this.#followClock(body.event.data.speed !== 0);
    this.#show(this.#view.showOwn(event, this.player, body.event, () => this.state));
  }

  #rebase(seq: number, entries: Iterable<readonly [key: string, value: Json]>): void {
    this.#outbox.rebase(seq);
    const stamp = this.#stamp();
    this.#producer.rebase(entries, stamp);
    this.#spool?.restart();
    if (this.#producer.hasPending) this.#outbox.add(this.#producer.encode(undefined, stamp), stamp);
  }

  #followClock(follow: boolean): void {
    const stamp = this.#stamp();
    this.#producer.followClock(follow, stamp);
    if (this.#producer.hasPending) this.#outbox.add(this.#producer.encode(undefined, stamp), stamp);
  }

  #askToRewind(name: string): boolean {
    if (this.#connection.status !== 'live') return false;
    this.#connection.send({ kind: 'rewind', name });
    return true;
  }

  #show({ event: live }: Shown): void {
    if (!live) return;
    // What others have asked for says nothing about what this one still waits for: that would take back what follows.
    if (live.type === EventType.REWIND && live.player === this.player) this.#rewinds.happened(live.data.name);
    this.#emitter.emit('event', live);
    const { type } = live;
    if (type === 'player_join' || type === 'player_leave' || type === 'player_message' || type === 'rewind') {
      this.#emitter.emit(type, live);
    }
  }

  #acks(acks: { accepted: number; stable: number }): void {
    this.#outbox.acknowledge(acks);
    this.#waiters.accept(this.#outbox.accepted);
    this.#waiters.stabilize(this.#outbox.stable);
    if (this.#emitter.has('status')) this.#emitter.emit('status', this.status);
  }

  #recordAt(stamp: number, event: EventInput, nextState?: State): void {
    this.#checkOpen();
    const checked = this.#producer.checkEvent(event);
    if (nextState !== undefined) this.#producer.setState(nextState);
    this.#outbox.add(this.#producer.encode(checked, stamp), stamp);
  }

  #recordPending(): void {
    if (!this.#producer.hasPending) return;
    const stamp = this.#stamp();
    this.#outbox.add(this.#producer.encode(undefined, stamp), stamp);
  }

  #lose(lastPseq: number, error: GametapeError): void {
    this.#producer.restart();
    this.#waiters.lose(lastPseq, error);
    this.#emitter.emit('error', error);
  }

  #ask(request: Request): void {
    this.#request = request;
    this.#saysRequest = true;
    this.#outbox.flush();
  }

  /** All events are sent: what has waited for that names the last of them. */
  #sayLast(): void {
    const lastPseq = this.#outbox.recorded;
    if (this.#saysFinal) this.#connection.send({ kind: 'final', lastPseq });
    this.#saysFinal = false;
    if (this.#saysRequest && this.#request) this.#connection.send({ ...this.#request, lastPseq });
    this.#saysRequest = false;
  }

  #connectionStatus(status: ConnectionStatus): void {
    if (status === 'live') {
      this.#outbox.send();
      this.#rewinds.sendAll();
    } else this.#rewinds.lost();
    this.#emitter.emit('status', this.status);
  }

  #over(error: GametapeError | undefined): void {
    this.#outbox.stop();
    this.#refusal = error;
    this.#closed =
      error ?? new GametapeError('SESSION_CLOSED', `the session of ${this.player} in ${this.room} is closed`);
    this.#waiters.close(this.#closed);
    this.#rewinds.close(this.#closed);
    this.#spoolEnded = this.#endSpool();
    if (error && !this.#summary) this.#emitter.emit('error', error);
  }

  /** A finished recording has what it accepted; what it did not is kept for the next session to tell. */
  async #endSpool(): Promise<void> {
    const { recorded, accepted, stable } = this.#outbox;
    const isDone = recorded <= (this.#summary ? accepted : stable);
    // Nobody is left to tell.
    await this.#spooling?.end(this.#spool, isDone).catch(() => undefined);
  }

  #checkOpen(): void {
    if (this.#summary) throw new GametapeError('SESSION_CLOSED', `room ${this.room} has ended`);
    if (this.#closed) throw new GametapeError('SESSION_CLOSED', this.#closed.message, { cause: this.#closed });
    if (this.#request)
      throw new GametapeError('SESSION_CLOSED', `the session of ${this.player} is about to ${this.#request.kind}`);
    if (this.#isEnding) throw new GametapeError('SESSION_CLOSED', `room ${this.room} is about to end`);
  }

  /** Whole microseconds since this instance started. */
  #clock(): number {
    return Math.round(this.#platform.now() - this.#startedAt);
  }

  /** The clock as events are stamped with it; never goes back. */
  #stamp(): number {
    return Math.max(this.#outbox.lastStamp, stampOf(this.#clock()));
  }
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
