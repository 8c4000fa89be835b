import { encodeMessage, type Pong } from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { Seat } from '../room/seat.ts';
import type { RoomClock } from '../timeline/clock.ts';
import type { Peer } from '../transport/transport.ts';
import { LoopLag } from './loop-lag.ts';
import { Probes } from './probes.ts';

/** An answer that may have waited longer than this for the relay says little about the network. */
const MOST_LAG_MS = 5;

export interface ClockProbingOptions {
  readonly peer: Peer;
  readonly seat: Seat;
  readonly clock: RoomClock;
  readonly log: Logger;
  /** A few probes are answered: what waits for that need not any more. */
  readonly onKnown: () => void;
}

/** Sends a player's client its clock probes, and gives the answers to the estimate of its seat (T2). */
export class ClockProbing {
  readonly #options: ClockProbingOptions;
  readonly #probes = new Probes();
  readonly #lag = new LoopLag();
  #timer: NodeJS.Timeout | undefined;
  /** Which of the player's clocks is probed. */
  #clockEpoch = 0;

  constructor(options: ClockProbingOptions) {
    this.#options = options;
  }

  /** With a burst: the client has come, has come back, or its clock has jumped. */
  start(): void {
    const { seat, clock } = this.#options;
    this.#clockEpoch = seat.estimate.clockEpoch;
    this.#probes.begin(clock.now(), seat.context.index);
    this.#probe();
  }

  /** A clock that was found to be another one is probed like that of who has just come. */
  follow(): void {
    const { seat, log } = this.#options;
    if (seat.estimate.clockEpoch === this.#clockEpoch) return;
    // A clock that does so all the time is soon believed nothing, and then says no more here.
    log.info({ player: seat.player, ...seat.estimate.counts }, 'clock jumped');
    this.start();
  }

  /** @param heardAt when the answer came, in milliseconds of performance.now() */
  answer({ id, received: clientReceived, sent: clientSent }: Pong, heardAt: number): void {
    const sentAt = this.#probes.answer(id);
    if (sentAt === undefined) return;
    const { seat, clock, onKnown } = this.#options;
    const isDelayed = this.#lag.stop() > MOST_LAG_MS;
    seat.estimate.add({ sentAt, answeredAt: clock.at(heardAt), clientReceived, clientSent, isDelayed });
    if (this.#probes.hasEnough) onKnown();
    this.follow();
    this.#probe();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#lag.stop();
  }

  /** Sends the next probe if it is due, and sees to it that there will be another. */
  #probe(): void {
    clearTimeout(this.#timer);
    const { peer, seat, clock } = this.#options;
    const id = this.#probes.next(clock.now());
    // A probe that waits behind other bytes would measure them, not the network.
    if (id !== undefined && peer.bufferedBytes > 0) this.#probes.postpone(clock.now());
    else if (id !== undefined) {
      const { accepted, stable } = seat;
      const bytes = encodeMessage({ kind: 'ping', id, acks: { accepted, stable } });
      this.#probes.sent(id, clock.now());
      peer.send(bytes);
      this.#lag.start();
    }
    const waitMs = Math.ceil((this.#probes.dueAt - clock.now()) / 1_000);
    this.#timer = setTimeout(() => this.#probe(), Math.max(1, waitMs));
  }
}
