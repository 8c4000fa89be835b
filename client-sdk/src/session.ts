import {
  EventType,
  type Json,
  type JsonObject,
  type SessionSummary,
  type SpectatorCount,
  type State,
  type TextChange,
} from '@gametape/shared';
import type { ConnectOptions, EventInput, Session, SessionEvents, SessionStatus } from './api.ts';
import { checkId, timeoutOf } from './check-options.ts';
import { Emitter } from './emitter.ts';
import type { Platform } from './platform/platform.ts';
import { SessionLine } from './session-line.ts';
import type { Spooling } from './spool/spooled-connect.ts';

/**
 * Joins a room as a player. @throws GametapeError `UNREACHABLE`, `TIMED_OUT`, `BAD_ID`, and whatever the relay refuses with
 * @throws TypeError for a `timeoutMs` that makes no sense
 */
export async function connectOn(platform: Platform, options: ConnectOptions): Promise<Session> {
  checkId('room', options.room);
  checkId('player', options.player);
  timeoutOf(options.timeoutMs);
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

/** A player's session, as its game sees it: what may be done when. */
class LiveSession implements Session {
  readonly room: string;
  readonly player: string;
  readonly #emitter = new Emitter<SessionEvents>();
  readonly #line: SessionLine;

  constructor(platform: Platform, connect: ConnectOptions, instance: string, spooling: Spooling | undefined) {
    this.room = connect.room;
    this.player = connect.player;
    this.#line = new SessionLine({ platform, connect, instance, spooling, emitter: this.#emitter });
  }

  get opened(): Promise<void> {
    return this.#line.opened;
  }

  get recordingId(): string {
    return this.#line.recordingId;
  }

  get state(): State {
    return this.#line.track.state;
  }

  get players(): Session['players'] {
    return this.#line.news.view.players;
  }

  get states(): ReadonlyMap<string, State> {
    return this.#line.news.view.states;
  }

  get spectators(): SpectatorCount {
    return this.#line.news.spectators;
  }

  get status(): SessionStatus {
    return this.#line.status;
  }

  record(event: EventInput, nextState?: State): void {
    // T1: stamped before anything else takes time.
    this.#recordAt(this.#line.track.stamp(), event, nextState);
  }

  setState(next: State): void {
    this.#line.departure.checkOpen();
    this.#line.track.setState(next);
  }

  set(key: string, value: Json): void {
    this.#line.departure.checkOpen();
    this.#line.track.set(key, value);
  }

  edit(key: string, change: TextChange): void {
    this.#line.departure.checkOpen();
    this.#line.track.edit(key, change);
  }

  say(message: string): void {
    this.record({ type: EventType.PLAYER_MESSAGE, data: { message } });
  }

  async checkpoint(name: string): Promise<void> {
    const { track, waiters } = this.#line;
    if (typeof name !== 'string' || name === '') throw new TypeError('checkpoint: expected a name');
    this.record({ type: EventType.CHECKPOINT, data: { name } });
    await waiters.accepted(track.outbox.recorded, track.outbox.accepted);
  }

  async rewind(name: string): Promise<void> {
    const { track, departure, rewinds } = this.#line;
    if (typeof name !== 'string' || name === '') throw new TypeError('rewind: expected the name of a checkpoint');
    departure.checkOpen();
    track.outbox.flush();
    await rewinds.ask(name);
  }

  pause(): void {
    this.setSpeed(0);
  }

  resume(): void {
    this.setSpeed(1);
  }

  setSpeed(speed: number): void {
    const { track, news, departure } = this.#line;
    if (!Number.isFinite(speed) || speed < 0) throw new TypeError(`speed: expected a number from 0, found ${speed}`);
    departure.checkOpen();
    const stamp = track.stamp();
    const event = { type: EventType.SPEED_CHANGE, data: { speed } };
    track.followClock(speed > 0, stamp);
    this.#recordAt(stamp, event);
    news.view.observeOwn(stamp, this.player, event);
  }

  async stable(): Promise<void> {
    const { track, waiters, departure } = this.#line;
    departure.checkOpen();
    track.outbox.flush();
    await waiters.stable(track.outbox.recorded, track.outbox.stable);
  }

  async leave(): Promise<void> {
    const { waiters, departure } = this.#line;
    if (departure.isOver) return;
    await this.stable();
    departure.checkOpen();
    const left = waiters.closed();
    this.#line.ask({ kind: 'leave' });
    await left;
    await this.#line.spoolEnded;
    // Superseded, say, before all of it was stable: whoever waits for that has waited in vain.
    const { refusal, summary } = departure;
    if (refusal && !summary) throw refusal;
  }

  async end(outcome: JsonObject = {}): Promise<SessionSummary> {
    const { waiters, departure } = this.#line;
    if (departure.summary) return departure.summary;
    if (!departure.isEnding || departure.isOver) departure.checkOpen();
    const ended = waiters.ended();
    this.#line.ask({ kind: 'end', outcome });
    const summary = await ended;
    await this.#line.spoolEnded;
    return summary;
  }

  on<Name extends keyof SessionEvents>(name: Name, listener: (event: SessionEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  #recordAt(stamp: number, event: EventInput, nextState?: State): void {
    this.#line.departure.checkOpen();
    this.#line.track.record(stamp, event, nextState);
  }
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
