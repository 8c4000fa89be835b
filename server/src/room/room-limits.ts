import { GametapeError, LIMITS } from '@gametape/shared';
import type { Seats } from './seats.ts';

/** What a room may come to hold, so that its recording stays one that readers take (S2). */
export class RoomLimits {
  readonly #room: string;
  readonly #seats: Seats;
  #gaps: number;
  /** No state that counts is larger together than this: added up anew when it comes to the limit. */
  #stateBytes = 0;

  /**
   * @param seats of whom the latest of each player has a state that counts: those are what a block opens with
   * @param gaps that there are already
   */
  constructor(room: string, seats: Seats, gaps: number) {
    this.#room = room;
    this.#seats = seats;
    this.#gaps = gaps;
  }

  get gaps(): number {
    return this.#gaps;
  }

  /** @throws GametapeError `ROOM_FULL` */
  checkProducers(count: number): void {
    if (count >= LIMITS.producers) throw this.#exceeded('ROOM_FULL', `${count} clients have joined it`);
  }

  get hasGapLeft(): boolean {
    return this.#gaps < LIMITS.gaps;
  }

  /** @throws GametapeError `LIMIT_EXCEEDED` */
  countGap(): void {
    if (!this.hasGapLeft) throw this.#exceeded('LIMIT_EXCEEDED', `its players have left ${this.#gaps} gaps`);
    this.#gaps++;
  }

  /** @throws GametapeError `LIMIT_EXCEEDED` for a state that has grown by `by` bytes already: it goes back to what it was */
  checkGrown(by: number): void {
    this.#check(by, 0);
  }

  /** @throws GametapeError `LIMIT_EXCEEDED` for a state of so many bytes, which no seat has yet */
  checkNew(bytes: number): void {
    this.#check(bytes, bytes);
  }

  /** @throws GametapeError `LIMIT_EXCEEDED` where states of these sizes are too large together */
  checkAll(stateBytes: readonly number[]): void {
    const sum = stateBytes.reduce((total, bytes) => total + bytes, 0);
    if (sum > LIMITS.roomStateBytes)
      throw this.#exceeded('LIMIT_EXCEEDED', `the states would have ${sum} bytes together`);
    this.#stateBytes = sum;
  }

  #check(growth: number, ofNobody: number): void {
    if (growth <= 0) return;
    this.#stateBytes += growth;
    if (this.#stateBytes <= LIMITS.roomStateBytes) return;
    this.#stateBytes = this.#seats.stateBytes + ofNobody;
    if (this.#stateBytes > LIMITS.roomStateBytes) {
      throw this.#exceeded('LIMIT_EXCEEDED', `the states of its players have ${this.#stateBytes} bytes together`);
    }
  }

  #exceeded(code: 'ROOM_FULL' | 'LIMIT_EXCEEDED', what: string): GametapeError {
    return new GametapeError(code, `room ${this.#room}: ${what}, no more are allowed`);
  }
}
