import type { EndRecord, GametapeError, JsonObject, ProducerContext } from '@gametape/shared';
import type { Membership } from './membership.ts';
import type { Room } from './room.ts';
import type { Seat } from './seat.ts';

/**
 * The end of a room as a handshake (W6): every player is asked for what it still has, one that is away for a moment as soon
 * as it is back. Those that answered or did not in time are taken leave of, and how much each had recorded is noted for the
 * finished recording.
 */
export class Ending {
  readonly #room: Room;
  readonly #membership: Membership;
  readonly #outcome: JsonObject;
  readonly #waiting: Set<Seat>;
  readonly #done: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #resolve: () => void = () => {};
  #reject: (error: GametapeError) => void = () => {};

  constructor(room: Room, membership: Membership, outcome: JsonObject) {
    this.#room = room;
    this.#membership = membership;
    this.#outcome = outcome;
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#waiting = new Set(room.seats.all.filter(({ presence }) => presence !== 'gone'));
    for (const { receiver } of this.#waiting) receiver?.send({ kind: 'ending' });
    if (this.#waiting.size === 0) this.#resolve();
  }

  /** A player says how much it has recorded; what is missing is named to it (W6). */
  answer(seat: Seat, lastPseq: number): void {
    // What is missing now stays so: to name it would only bring it again and again until the recording is finished.
    if (this.#room.output.isOver) return;
    if (seat.context.pseq < lastPseq) {
      seat.receiver?.send({ kind: 'expect', pseq: seat.context.pseq + 1 });
      seat.receiver?.send({ kind: 'ending' });
      seat.expected = lastPseq;
      return;
    }
    seat.expected = lastPseq;
    seat.isDone = true;
    this.settle(seat);
  }

  /** A player is back from somewhere: it is asked, again if need be. */
  ask(seat: Seat): void {
    seat.isDone = false;
    this.#waiting.add(seat);
    seat.receiver?.send({ kind: 'ending' });
  }

  /** A player has answered, or is gone for good and cannot. */
  settle(seat: Seat): void {
    this.#waiting.delete(seat);
    if (this.#waiting.size === 0) this.#resolve();
  }

  /** The relay stops before the room has ended: it goes on after the next start. */
  abandon(): void {
    clearTimeout(this.#timer);
  }

  /** The room cannot be recorded any more: whoever waits for its end has waited in vain (J5). */
  fail(error: GametapeError): void {
    this.#reject(error);
  }

  /** Resolves when everything is in the recording's own file, with what finishing needs. */
  async complete(timeoutMs: number): Promise<EndRecord> {
    this.#timer = setTimeout(this.#resolve, timeoutMs);
    await this.#done;
    clearTimeout(this.#timer);
    // Whoever recovers the room from here knows by the reason of whom everything is there: they need not be asked again.
    for (const seat of this.#room.seats.all) this.#membership.remove(seat, seat.isDone ? 'ended' : 'dropped');
    const leftOut = this.#room.leftOut();
    this.#room.recordClockCounts();
    const end = {
      endedAt: this.#room.clock.now(),
      outcome: this.#outcome,
      expected: expectedByPlayer(this.#room.seats.all, leftOut.producers),
    };
    await this.#room.output.seal({ ...leftOut, end });
    return end;
  }
}

/** A player's number is known when all of its instances have told theirs. Of those that are `unknown` nobody has. */
function expectedByPlayer(
  seats: readonly Seat[],
  unknown: readonly ProducerContext[],
): [player: string, expected: number | null][] {
  const expected = new Map<string, number | null>();
  for (const seat of seats) {
    const before = expected.get(seat.player);
    const sum = before === null || seat.expected === null ? null : (before ?? 0) + seat.expected;
    expected.set(seat.player, sum);
  }
  for (const { player } of unknown) expected.set(player, null);
  return [...expected];
}
