import { encodeMessage, type SpectatorCount } from '@gametape/shared';
import type { Receiver } from '../room/receiver.ts';
import type { Seats } from '../room/seats.ts';

/** Ids that are named; how many there are is said in any case. */
const NAMED = 100;
/** Players are told at most once in so many milliseconds. */
const TELL_MS = 1_000;

/** Tells players and spectators how many watch, and who (S2: no more often than once a second, however many come and go). */
export class AudienceCount {
  readonly #spectators: ReadonlySet<Receiver>;
  readonly #seats: Seats;
  #version = 1;
  #toldAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #message: { readonly version: number; readonly bytes: Uint8Array } | undefined;
  #isStopped = false;

  constructor(spectators: ReadonlySet<Receiver>, seats: Seats) {
    this.#spectators = spectators;
    this.#seats = seats;
  }

  get now(): SpectatorCount {
    const ids: string[] = [];
    for (const { id } of this.#spectators) {
      if (ids.push(id) === NAMED) break;
    }
    return { count: this.#spectators.size, ids };
  }

  /** Somebody has come or gone. */
  changed(): void {
    this.#version++;
    if (this.#isStopped || this.#timer !== undefined) return;
    const waitMs = Math.max(0, this.#toldAt + TELL_MS - performance.now());
    this.#timer = setTimeout(() => this.#tellPlayers(), waitMs);
  }

  /** A spectator has been told in its welcome. */
  hasTold(receiver: Receiver): void {
    receiver.toldOf = this.#version;
  }

  /** Tells a spectator if it does not know. */
  tell(receiver: Receiver): void {
    if (receiver.toldOf === this.#version) return;
    receiver.sendBytes(this.#encoded());
    receiver.toldOf = this.#version;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #tellPlayers(): void {
    this.#timer = undefined;
    this.#toldAt = performance.now();
    const bytes = this.#encoded();
    for (const { receiver } of this.#seats.all) if (receiver?.isReady) receiver.sendBytes(bytes);
  }

  #encoded(): Uint8Array {
    if (this.#message?.version !== this.#version) {
      this.#message = { version: this.#version, bytes: encodeMessage({ kind: 'spectators', ...this.now }) };
    }
    return this.#message.bytes;
  }
}
