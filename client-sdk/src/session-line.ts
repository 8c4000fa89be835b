import {
  type DownMessage,
  GametapeError,
  type Hello,
  type Notice,
  PROTOCOL_VERSIONS,
  type Profile,
  profileNamed,
  type Welcome,
} from '@gametape/shared';
import type { ConnectionStatus, ConnectOptions, SessionEvents, SessionStatus } from './api.ts';
import { timeoutOf } from './check-options.ts';
import { Connection } from './connection.ts';
import { Departure, type DepartureRequest } from './departure.ts';
import type { Emitter } from './emitter.ts';
import { OwnTrack } from './own-track.ts';
import type { Platform } from './platform/platform.ts';
import { Rewinds } from './rewinds.ts';
import { RoomNews } from './room-news.ts';
import type { SpoolHead } from './spool/spool-records.ts';
import type { Spooling } from './spool/spooled-connect.ts';
import { Waiters } from './waiters.ts';

const DEFAULT_FLUSH_MS = 16;

export interface SessionLineOptions {
  readonly platform: Platform;
  readonly connect: ConnectOptions;
  readonly instance: string;
  readonly spooling: Spooling | undefined;
  readonly emitter: Emitter<SessionEvents>;
}

/**
 * The line of a session to its relay, over all its connections: what is said and heard on it, and who is told. What the player
 * does is in `OwnTrack`, what it is shown in `RoomNews`.
 */
export class SessionLine {
  readonly opened: Promise<void>;
  readonly track: OwnTrack;
  readonly news: RoomNews;
  readonly waiters = new Waiters();
  readonly departure: Departure;
  readonly rewinds = new Rewinds((name) => this.#askToRewind(name));
  readonly #options: SessionLineOptions;
  readonly #profile: Profile;
  readonly #connection: Connection;
  readonly #emitter: Emitter<SessionEvents>;
  #recordingId = '';
  #durability = '';
  #spoolEnded: Promise<void> | undefined;

  constructor(options: SessionLineOptions) {
    const { platform, connect, instance, spooling, emitter } = options;
    const { room, player } = connect;
    this.#options = options;
    this.#emitter = emitter;
    this.departure = new Departure(room, player);
    this.#profile = profileNamed(connect.profile ?? 'lmsp');
    this.#connection = new Connection(connect.url, platform, {
      hello: () => this.#hello(),
      clock: () => this.track.clock(),
      checkClock: () => this.track.checkClock(),
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.#receive(message),
      status: (status) => this.#connectionStatus(status),
      outOfStep: () => this.news.view.giveUpPosition(),
      over: (error) => this.#over(error),
    });
    this.track = new OwnTrack({
      platform,
      profile: this.#profile,
      state: connect.state ?? this.#profile.initialState?.(player),
      connection: this.#connection,
      flushMs: connect.flushMs ?? DEFAULT_FLUSH_MS,
      spooling,
      spoolHead: () => this.#spoolHead(),
      shown: () => this.news.view.seq,
      onAllSent: () => this.#sayLast(),
      onLost: (lastPseq, error) => this.#lose(lastPseq, error),
      onSpoolFailure: (error) => emitter.emit('error', error),
    });
    const shared = { track: this.track, rewinds: this.rewinds, emitter };
    this.news = new RoomNews({ crc32: platform.crc32, player, instance, ...shared });
    this.opened = this.#open(timeoutOf(connect.timeoutMs), spooling);
  }

  get recordingId(): string {
    return this.#recordingId;
  }

  get status(): SessionStatus {
    const { recorded, accepted, stable, lost, pendingBytes } = this.track.outbox;
    const { clockErrorS } = this.news;
    const { spoolStatus: spool } = this.track;
    return {
      connection: this.departure.summary ? 'ended' : this.#connection.status,
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

  /** Resolves when nothing is kept any more that need not be. */
  get spoolEnded(): Promise<void> | undefined {
    return this.#spoolEnded;
  }

  /** Says so as soon as all events are sent. */
  ask(request: DepartureRequest): void {
    this.departure.ask(request);
    this.track.outbox.flush();
  }

  #open(timeoutMs: number, spooling: Spooling | undefined): Promise<void> {
    const opened = this.waiters.opened();
    const timer = setTimeout(() => {
      this.#connection.close(
        new GametapeError('TIMED_OUT', `${this.#options.connect.url}: no welcome after ${timeoutMs} ms`),
      );
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
    const { connect, instance } = this.#options;
    const { room, player, name } = connect;
    const identity = { room, player, instance, profile: this.#profile.name };
    return { ...identity, recordingId: this.#recordingId, ...(name !== undefined && { name }) };
  }

  #hello(): Hello {
    const { connect, instance } = this.#options;
    const { room, player, name, token } = connect;
    const position = { recordingId: this.#recordingId, epoch: this.news.view.epoch, seq: this.news.view.seq };
    return {
      kind: 'hello',
      protocols: PROTOCOL_VERSIONS,
      room,
      player,
      role: 'player',
      profile: this.#profile.name,
      instance,
      clock: this.track.clock(),
      tick: this.track.tickUs,
      ...(name !== undefined && { name }),
      ...(token !== undefined && { token }),
      ...(this.#recordingId !== '' && { resume: position }),
      state: this.track.helloState,
    };
  }

  #welcome(welcome: Welcome): void {
    this.#recordingId = welcome.recordingId;
    this.#durability = welcome.durability;
    this.news.welcome(welcome);
    this.track.welcomed(welcome);
    this.waiters.accept(this.track.outbox.accepted);
    this.departure.welcomed();
    if (welcome.resumption === 'resumed') this.waiters.open();
  }

  #receive(message: DownMessage): void {
    switch (message.kind) {
      case 'snapshot':
        this.news.snapshot(message.records);
        // Only now everything is as it is: what the relay knew better, too.
        this.waiters.open();
        return;
      case 'producer':
        this.news.view.producer(message);
        return;
      case 'clocks':
        this.news.view.clocks(message);
        return;
      case 'events-down':
        this.news.events(message);
        this.#acks(message.acks);
        return;
      case 'ack':
      case 'ping':
        this.#acks(message.acks);
        return;
      case 'expect':
        this.departure.askAgain();
        this.track.outbox.resendAfter(message.pseq - 1);
        return;
      case 'need-keyframe':
        this.track.outbox.giveUp(message.pseq - 1, 'the relay has another state');
        return;
      case 'notice':
        this.#refused(message);
        return;
      case 'spectators':
        this.news.watched(message);
        return;
      case 'ending':
        this.departure.askedForRest();
        this.track.outbox.flush();
        return;
      case 'ended':
        this.departure.ended(message.summary);
        this.track.outbox.stop();
        this.waiters.end(message.summary);
        this.#connection.close();
    }
  }

  #refused({ code, message, retryAfterS, rewind, pseq }: Notice): void {
    const error = new GametapeError(code, message, retryAfterS === undefined ? {} : { retryAfterS });
    if (rewind !== undefined) this.rewinds.refused(rewind, error);
    else if (!this.waiters.refuse(pseq, error)) this.#emitter.emit('error', error);
  }

  #askToRewind(name: string): boolean {
    if (this.#connection.status !== 'live') return false;
    this.#connection.send({ kind: 'rewind', name });
    return true;
  }

  #acks(acks: { accepted: number; stable: number }): void {
    this.track.outbox.acknowledge(acks);
    this.waiters.accept(this.track.outbox.accepted);
    this.waiters.stabilize(this.track.outbox.stable);
    if (this.#emitter.has('status')) this.#emitter.emit('status', this.status);
  }

  #lose(lastPseq: number, error: GametapeError): void {
    this.waiters.lose(lastPseq, error);
    this.#emitter.emit('error', error);
  }

  #sayLast(): void {
    for (const message of this.departure.takeLast(this.track.outbox.recorded)) this.#connection.send(message);
  }

  #connectionStatus(status: ConnectionStatus): void {
    if (status === 'live') {
      this.track.outbox.send();
      this.rewinds.sendAll();
    } else {
      this.rewinds.lost();
      this.track.lost();
    }
    this.#emitter.emit('status', this.status);
  }

  #over(error: GametapeError | undefined): void {
    this.track.stop();
    const closed = this.departure.over(error);
    this.waiters.close(closed);
    this.rewinds.close(closed);
    this.#spoolEnded = this.track.endSpool(this.departure.summary !== undefined);
    if (error && !this.departure.summary) this.#emitter.emit('error', error);
  }
}
