import { encodeMessage } from '@gametape/shared';
import type { RoomClock } from '../timeline/clock.ts';
import { fanOut } from './fan-out.ts';
import { NO_ACKS, type Receiver } from './receiver.ts';
import type { RecentEntries } from './recent-entries.ts';
import type { Seats } from './seats.ts';

/** Acks that found nothing to ride on are sent alone after this long. */
const ACK_DELAY_MS = 50;
/** Receivers that could not be shown everything are looked at again after this long. */
const RETRY_MS = 100;

export interface BroadcastOptions {
  readonly clock: RoomClock;
  readonly seats: Seats;
  readonly recent: RecentEntries;
  /** Last seq that the journal has. */
  readonly journaledSeq: number;
  /** Stands around whatever a timer calls (S4). */
  readonly guard: (work: () => void) => void;
}

/** What every player in a room is shown: what the journal has, and how far that is for each (W3). */
export class Broadcast {
  readonly #options: BroadcastOptions;
  #journaledSeq: number;
  #ackTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: BroadcastOptions) {
    this.#options = options;
    this.#journaledSeq = options.journaledSeq;
  }

  /** The journal has everything up to that seq: shows it. */
  showUpTo(journaledSeq: number): void {
    this.#journaledSeq = journaledSeq;
    this.fanOut();
  }

  /** Shows every player what is in the journal and has not been shown. */
  fanOut(): void {
    const { clock, seats, recent, guard } = this.#options;
    const producers = seats.all.map(({ context }) => context);
    const options = { recent, producers, upTo: this.#journaledSeq, now: clock.now() };
    for (const seat of seats.all) {
      if (seat.receiver && !fanOut(seat.receiver, seat, options)) seat.receiver.drop();
    }
    if (this.#retryTimer === undefined && this.#isAnybodyBehind()) {
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        guard(() => this.fanOut());
      }, RETRY_MS);
    }
  }

  /** Sends every player its acks soon, unless what it is shown meanwhile carries them (W3). */
  scheduleAcks(): void {
    if (this.#isStopped) return;
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = undefined;
      this.#options.guard(() => {
        if (this.#sendAcks(performance.now() - ACK_DELAY_MS)) this.scheduleAcks();
      });
    }, ACK_DELAY_MS);
  }

  /** An event came again: its acks may have been lost on the way. */
  repeatAcks(receiver: Receiver | undefined): void {
    if (receiver) receiver.acks = NO_ACKS;
    this.scheduleAcks();
  }

  /** Nothing is shown any more. Everybody learns how far it came: that much need not be sent again (J7). */
  stop(): void {
    this.#isStopped = true;
    this.#sendAcks();
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#retryTimer);
  }

  /** Sends acks that are news, but not to whom had some since `recently`: true if there is such a one. */
  #sendAcks(recently = Number.POSITIVE_INFINITY): boolean {
    let isAnybodyBusy = false;
    for (const { receiver, accepted, stable } of this.#options.seats.all) {
      if (!receiver?.isReady || (receiver.acks.accepted >= accepted && receiver.acks.stable >= stable)) continue;
      const acks = { accepted, stable };
      if (receiver.ackedAt > recently) isAnybodyBusy = true;
      else receiver.sendAcks(acks, encodeMessage({ kind: 'ack', acks }));
    }
    return isAnybodyBusy;
  }

  /** W8: nothing may come any more that would show them the rest, or show that they do not read. */
  #isAnybodyBehind(): boolean {
    const isBehind = (receiver: Receiver | undefined) => receiver?.isReady && receiver.position < this.#journaledSeq;
    return this.#options.seats.all.some(({ receiver }) => isBehind(receiver));
  }
}
