import { chunked } from '@gametape/shared';
import { batches, type FanOutOptions } from '../room/fan-out.ts';
import type { Receiver } from '../room/receiver.ts';
import type { RecentEntries } from '../room/recent-entries.ts';
import type { Seats } from '../room/seats.ts';
import type { RoomClock } from '../timeline/clock.ts';

/** A spectator that was behind for longer than this goes on from a snapshot, if that is shorter than what it missed (W8). */
const PATIENCE_US = 5_000_000;
/** Spectators that could not be shown everything are looked at again after this long. */
const RETRY_MS = 100;
/** Two showings lie apart by a millisecond for so many spectators, and by no more than the longest wait. */
const SPECTATORS_PER_MS = 20;
const LONGEST_WAIT_MS = 100;
/** Longest time that showing takes from one turn of the event loop: players are heard between them. */
const TURN_MS = 1;

/** What all spectators at one position are sent: encoded once, cut into messages once. */
interface SharedBatch {
  readonly parts: readonly Uint8Array[];
  readonly upTo: number;
}

/** One showing, which may take several turns of the event loop. */
interface Round extends Omit<FanOutOptions, 'now'> {
  readonly receivers: Iterator<Receiver>;
  /** By position, what comes after it. */
  readonly shared: Map<number, SharedBatch>;
  isAnybodyBehind: boolean;
}

export interface SpectatorFeedOptions {
  readonly spectators: ReadonlySet<Receiver>;
  readonly clock: RoomClock;
  readonly seats: Seats;
  readonly recent: RecentEntries;
  readonly guard: (work: () => void) => void;
  /** Bytes of the last snapshot. */
  readonly snapshotBytes: () => number;
  /** It is too far behind: it goes on from a snapshot, over the same connection. */
  readonly reset: (receiver: Receiver) => void;
}

/** Shows spectators what is due. Those who stand at the same position are sent the same bytes (W7). */
export class SpectatorFeed {
  readonly #options: SpectatorFeedOptions;
  #upTo: number;
  #shownAt = Number.NEGATIVE_INFINITY;
  #round: Round | undefined;
  #showTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** `upTo` is the last seq that may be shown. */
  constructor(upTo: number, options: SpectatorFeedOptions) {
    this.#upTo = upTo;
    this.#options = options;
  }

  /** Time between two showings: players come first, and viewers hold events back for longer. */
  get waitMs(): number {
    return Math.min(LONGEST_WAIT_MS, Math.floor(this.#options.spectators.size / SPECTATORS_PER_MS));
  }

  /** Everything up to that seq may be shown from now on. */
  showUpTo(seq: number): void {
    this.#upTo = seq;
    this.showSoon();
  }

  /** Shows it as soon as enough time has passed since the last time. */
  showSoon(): void {
    if (this.#showTimer !== undefined || this.#options.spectators.size === 0) return;
    const waitMs = this.#shownAt + this.waitMs - performance.now();
    if (waitMs <= 0 && !this.#round) this.#show(TURN_MS);
    else this.#showTimer = this.#later(Math.max(0, waitMs));
  }

  /** Shows all there is to everybody, before anything else happens. */
  showNow(): void {
    this.#round = undefined;
    this.#show(Number.POSITIVE_INFINITY);
  }

  stop(): void {
    this.#isStopped = true;
    this.#round = undefined;
    clearTimeout(this.#showTimer);
    clearTimeout(this.#retryTimer);
  }

  #show(turnMs: number): void {
    clearTimeout(this.#showTimer);
    this.#showTimer = undefined;
    if (this.#isStopped) return;
    if (this.#round) {
      // One that is not over is not overtaken: what it does not show comes with the next.
      this.#showTimer = this.#later(Math.max(1, this.waitMs));
      return;
    }
    const { spectators, seats, recent } = this.#options;
    this.#shownAt = performance.now();
    const producers = seats.all.map(({ context }) => context);
    const round = { receivers: spectators.values(), shared: new Map(), isAnybodyBehind: false };
    this.#round = { ...round, recent, producers, upTo: this.#upTo };
    this.#goOn(this.#round, turnMs);
  }

  #goOn(round: Round, turnMs: number): void {
    const until = performance.now() + turnMs;
    const now = this.#options.clock.now();
    for (;;) {
      const { value: receiver, done } = round.receivers.next();
      if (done) break;
      if (receiver.isReady && receiver.position < round.upTo && !this.#showOne(receiver, now, round)) {
        round.isAnybodyBehind = true;
      }
      if (performance.now() < until) continue;
      setImmediate(() => this.#options.guard(() => this.#round === round && this.#goOn(round, turnMs)));
      return;
    }
    this.#round = undefined;
    // Nothing may come any more that would show them the rest, or show that they do not read (W8).
    clearTimeout(this.#retryTimer);
    if (round.isAnybodyBehind) this.#retryTimer = this.#later(Math.max(RETRY_MS, this.waitMs));
  }

  /** False when not all of it could be sent. */
  #showOne(receiver: Receiver, now: number, round: Round): boolean {
    if (!receiver.keepsUp(now)) {
      receiver.behindSince ??= now;
      return false;
    }
    if (this.#isTooFarBehind(receiver, now, round)) return this.#reset(receiver);
    while (receiver.position < round.upTo) {
      if (!receiver.hasRoom) return false;
      const { parts, upTo } = this.#after(receiver.position, round);
      receiver.sendParts(parts);
      receiver.position = upTo;
    }
    receiver.behindSince = undefined;
    return true;
  }

  #isTooFarBehind({ position, behindSince = Number.POSITIVE_INFINITY }: Receiver, now: number, round: Round): boolean {
    const { recent, upTo } = round;
    if (!recent.covers(position)) return true;
    return now - behindSince > PATIENCE_US && recent.bytesBetween(position, upTo) > this.#options.snapshotBytes();
  }

  #reset(receiver: Receiver): boolean {
    receiver.behindSince = undefined;
    this.#options.reset(receiver);
    return true;
  }

  #after(position: number, round: Round): SharedBatch {
    const known = round.shared.get(position);
    if (known) return known;
    const announced = announcedAt(this.#options.seats, position);
    const [batch] = batches({ position, announced, producer: -1 }, round);
    if (!batch) throw new Error(`nothing to show after seq ${position}`);
    const { news, events, upTo } = batch;
    const made = { parts: [...news, ...(events ? [events] : [])].flatMap(chunked), upTo };
    round.shared.set(position, made);
    return made;
  }

  #later(waitMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#options.guard(() => this.#show(TURN_MS)), waitMs);
  }
}

/** How many producers somebody at that position has been told of: indexes are given in order of arrival. */
export function announcedAt(seats: Seats, seq: number): number {
  return seats.all.findLastIndex(({ firstSeq }) => firstSeq > 0 && firstSeq <= seq) + 1;
}
