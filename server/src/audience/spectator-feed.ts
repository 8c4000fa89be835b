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

/** What several spectators are sent: encoded once, cut into messages once. */
interface SharedBatch {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly upTo: number;
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
    if (waitMs <= 0) this.show();
    else this.#showTimer = this.#later(waitMs);
  }

  show(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#showTimer);
    this.#showTimer = undefined;
    const { spectators, clock, seats, recent } = this.#options;
    this.#shownAt = performance.now();
    const now = clock.now();
    const producers = seats.all.map(({ context }) => context);
    const options = { recent, producers, upTo: this.#upTo };
    const shared = new Map<number, readonly SharedBatch[]>();
    let isAnybodyBehind = false;
    for (const receiver of spectators) {
      if (!receiver.isReady || receiver.position >= this.#upTo) continue;
      if (!this.#showOne(receiver, now, shared, options)) isAnybodyBehind = true;
    }
    // Nothing may come any more that would show them the rest, or show that they do not read (W8).
    clearTimeout(this.#retryTimer);
    if (isAnybodyBehind) this.#retryTimer = this.#later(Math.max(RETRY_MS, this.waitMs));
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#showTimer);
    clearTimeout(this.#retryTimer);
  }

  /** False when not all of it could be sent. */
  #showOne(
    receiver: Receiver,
    now: number,
    shared: Map<number, readonly SharedBatch[]>,
    options: Omit<FanOutOptions, 'now'>,
  ): boolean {
    if (!receiver.keepsUp(now)) {
      receiver.behindSince ??= now;
      return false;
    }
    const { position, behindSince = now } = receiver;
    if (!options.recent.covers(position)) return this.#reset(receiver);
    const batches = shared.get(position) ?? this.#batchesFrom(position, options);
    shared.set(position, batches);
    const missed = batches.reduce((sum, { bytes }) => sum + bytes, 0);
    if (now - behindSince > PATIENCE_US && missed > this.#options.snapshotBytes()) return this.#reset(receiver);
    for (const { parts, upTo } of batches) {
      receiver.sendParts(parts);
      receiver.position = upTo;
      if (!receiver.hasRoom) break;
    }
    if (receiver.position < options.upTo) return false;
    receiver.behindSince = undefined;
    return true;
  }

  #reset(receiver: Receiver): boolean {
    receiver.behindSince = undefined;
    this.#options.reset(receiver);
    return true;
  }

  #batchesFrom(position: number, options: Omit<FanOutOptions, 'now'>): readonly SharedBatch[] {
    const announced = announcedAt(this.#options.seats, position);
    return [...batches({ position, announced, producer: -1 }, options)].map(({ news, events, upTo }) => {
      const parts = [...news, ...(events ? [events] : [])].flatMap(chunked);
      return { parts, bytes: parts.reduce((sum, { length }) => sum + length, 0), upTo };
    });
  }

  #later(waitMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#options.guard(() => this.show()), waitMs);
  }
}

/** How many producers somebody at that position has been told of: indexes are given in order of arrival. */
export function announcedAt(seats: Seats, seq: number): number {
  return seats.all.findLastIndex(({ firstSeq }) => firstSeq <= seq) + 1;
}
