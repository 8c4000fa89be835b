import type { GametapeError, Json, Profile, State, TextChange, Welcome } from '@gametape/shared';
import type { EventInput, SpoolStatus } from './api.ts';
import { ClockJumps } from './clock-jumps.ts';
import { ClockWatch, tickOf } from './clock-watch.ts';
import type { Connection } from './connection.ts';
import { Outbox } from './outbox.ts';
import type { Platform } from './platform/platform.ts';
import { Producer, stampOf } from './producer.ts';
import type { SessionSpool } from './spool/session-spool.ts';
import type { SpoolHead } from './spool/spool-records.ts';
import type { Spooling } from './spool/spooled-connect.ts';

export interface OwnTrackOptions {
  readonly platform: Platform;
  readonly profile: Profile;
  /** State to begin with, if there is one. */
  readonly state: State | undefined;
  readonly connection: Pick<Connection, 'isWritable' | 'sendBytes' | 'send'>;
  readonly flushMs: number;
  readonly spooling: Spooling | undefined;
  readonly spoolHead: () => SpoolHead;
  /** Last seq that the player has been shown (T4). */
  readonly shown: () => number;
  /** Everything that was recorded has been sent. */
  readonly onAllSent: () => void;
  /** Events up to `lastPseq` are lost: the recording states the gap. */
  readonly onLost: (lastPseq: number, error: GametapeError) => void;
  readonly onSpoolFailure: (error: GametapeError) => void;
}

/** What one player does: stamped by its own clock (T1), made into bodies, and kept in the outbox until it is stable (W3). */
export class OwnTrack {
  readonly outbox: Outbox;
  /** The state to begin with, as a body; empty where there is none. */
  readonly helloState: Uint8Array;
  /** Shortest step of the clock, in microseconds. */
  readonly tickUs: number;
  readonly #platform: Platform;
  readonly #producer: Producer;
  readonly #startedAt: number;
  readonly #jumps: ClockJumps;
  readonly #stopWatching: (() => void) | undefined;
  readonly #spooling: Spooling | undefined;
  readonly #spool: SessionSpool | undefined;

  constructor(options: OwnTrackOptions) {
    const { platform, profile, state, connection, flushMs, spooling, spoolHead, shown, onAllSent, onLost } = options;
    this.#platform = platform;
    this.#startedAt = platform.now();
    this.tickUs = tickOf(platform.now);
    this.#producer = new Producer(profile, platform.crc32);
    if (state) this.#producer.begin(state);
    this.helloState = state ? this.#producer.encode(undefined, 0) : new Uint8Array(0);
    this.#spooling = spooling;
    this.#spool = spooling?.begin({
      head: spoolHead,
      helloState: this.helloState,
      context: () => this.#producer.context(this.outbox.recorded, this.outbox.lastStamp),
      clock: () => this.clock(),
      onFailure: options.onSpoolFailure,
    });
    this.outbox = new Outbox({
      spool: this.#spool,
      connection,
      flushMs,
      now: () => platform.now(),
      shown,
      recordPending: () => this.#recordPending(),
      onAllSent,
      onLost: (lastPseq, error) => {
        this.#producer.restart();
        onLost(lastPseq, error);
      },
    });
    this.#jumps = new ClockJumps({
      watch: new ClockWatch(platform.now, platform.wallNow),
      nextPseq: () => this.outbox.recorded + 1,
      clock: () => this.clock(),
      send: (jump) => connection.send(jump),
    });
    this.#stopWatching = platform.onWake?.(() => this.#jumps.check());
  }

  get state(): State {
    return this.#producer.state;
  }

  /** Undefined without a spool. */
  get spoolStatus(): SpoolStatus | undefined {
    if (!this.#spooling) return undefined;
    const { recovered, kept } = this.#spooling;
    const { isKept = false, bytes = 0 } = this.#spool ?? {};
    return { isKept, bytes, recovered, kept };
  }

  /** Whole microseconds since this instance started. */
  clock(): number {
    return Math.round(this.#platform.now() - this.#startedAt);
  }

  /** The clock as events are stamped with it; never goes back. */
  stamp(): number {
    this.#jumps.check();
    return Math.max(this.outbox.lastStamp, stampOf(this.clock()));
  }

  checkClock(): void {
    this.#jumps.check();
  }

  record(stamp: number, event: EventInput, nextState?: State): void {
    const checked = this.#producer.checkEvent(event);
    if (nextState !== undefined) this.#producer.setState(nextState);
    this.outbox.add(this.#producer.encode(checked, stamp), stamp);
  }

  setState(next: State): void {
    this.#producer.setState(next);
    this.outbox.scheduleFlush();
  }

  set(key: string, value: Json): void {
    this.#producer.set(key, value);
    this.outbox.scheduleFlush();
  }

  edit(key: string, change: TextChange): void {
    this.#producer.edit(key, change);
    this.outbox.scheduleFlush();
  }

  /** Whether keys of the state that follow the clock do so from that stamp on (D5). */
  followClock(follow: boolean, stamp: number): void {
    this.#producer.followClock(follow, stamp);
  }

  /** The same, as the relay has it: what that changes is recorded at once. */
  followClockNow(follow: boolean): void {
    const stamp = this.stamp();
    this.followClock(follow, stamp);
    this.#recordPendingAt(stamp);
  }

  /** The relay has given it another state, at that seq (T8). */
  rebase(seq: number, entries: Iterable<readonly [key: string, value: Json]>): void {
    this.outbox.rebase(seq);
    const stamp = this.stamp();
    this.#producer.rebase(entries, stamp);
    this.#spool?.restart();
    this.#recordPendingAt(stamp);
  }

  /** What the journal has is accepted, whatever acks were lost on the way; everything after it is sent again (W2). */
  welcomed({ lastPseq, takesJumps = false }: Welcome): void {
    this.#jumps.welcomed(lastPseq, takesJumps);
    this.outbox.resume(lastPseq);
  }

  /** The connection is away. */
  lost(): void {
    this.#jumps.lost();
  }

  stop(): void {
    this.outbox.stop();
    this.#stopWatching?.();
  }

  /**
   * A finished recording has what it accepted; what it did not is kept for the next session to tell. Resolves when nothing is kept
   * any more that need not be.
   */
  async endSpool(isFinished: boolean): Promise<void> {
    const { recorded, accepted, stable } = this.outbox;
    const isDone = recorded <= (isFinished ? accepted : stable);
    // Nobody is left to tell.
    await this.#spooling?.end(this.#spool, isDone).catch(() => undefined);
  }

  #recordPending(): void {
    if (this.#producer.hasPending) this.#recordPendingAt(this.stamp());
  }

  #recordPendingAt(stamp: number): void {
    if (this.#producer.hasPending) this.outbox.add(this.#producer.encode(undefined, stamp), stamp);
  }
}
