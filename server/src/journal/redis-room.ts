import { GametapeError, isGametapeError } from '@gametape/shared';
import type { Logger } from '../log.ts';
import { Pending, rejected } from './appended.ts';
import type { Appended } from './journal.ts';
import { RedisCheckpoints } from './redis-checkpoints.ts';
import { type Claimant, claimRoom, elsewhere, giveLease, renewLease } from './redis-claim.ts';
import type { RedisConnection } from './redis-connection.ts';
import {
  type EntryId,
  FIRST_ID,
  isBefore,
  keysOf,
  lastId,
  type RoomKeys,
  readEntry,
  readPatiently,
} from './redis-entries.ts';
import { faultOf } from './redis-errors.ts';
import { AcknowledgedEntry, RedisLog } from './redis-log.ts';
import type { Unstable } from './redis-stability.ts';

const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 1_000;

export interface RedisRoomOptions {
  readonly connection: RedisConnection;
  readonly claimant: Claimant;
  readonly log: Logger;
  /** Redis has acknowledged it. */
  readonly onAccepted: (unstable: Unstable) => void;
  /** Another relay has the room. */
  readonly onLost: (room: RedisRoom, error: GametapeError) => void;
}

/**
 * A room that this process owns:
 *
 *     writing --an entry is not taken--> mending --Redis has it all--> writing
 *        |                                  |
 *        +---- another epoch is there ------+--> lost        (nothing is written any more, nobody is acked)
 *        +---- waited too long, no such hope +--> failed      (the same, J5)
 */
export class RedisRoom {
  readonly name: string;
  readonly keys: RoomKeys;
  /** Recordings that are begun or unfinished. */
  readonly recordings = new Set<string>();
  /** Somebody has asked for it, and is about to begin a recording. */
  isWanted = true;
  readonly log: RedisLog;
  readonly checkpoints: RedisCheckpoints;
  readonly #options: RedisRoomOptions;
  #epoch: number;
  #mending: Promise<void> | undefined;
  /** The lease is being taken or renewed. */
  #leasing: Promise<void> | undefined;
  #over: GametapeError | undefined;
  /** When something was appended that Redis has not acknowledged yet. */
  #waitingSince: number | undefined;
  /** What Redis has forgotten is not all there again. */
  #isRestoring = false;

  private constructor(name: string, keys: RoomKeys, epoch: number, options: RedisRoomOptions) {
    this.name = name;
    this.keys = keys;
    this.#epoch = epoch;
    this.#options = options;
    const { connection } = options;
    this.log = new RedisLog(
      {
        connection,
        key: keys.log,
        onTrouble: (error) => void this.mended(error).catch(() => undefined),
        onAccepted: (entry, pending) => {
          this.#waitingSince = this.log.unacceptedBytes > 0 ? performance.now() : undefined;
          pending.accept();
          options.onAccepted(new AcknowledgedEntry(entry));
        },
      },
      epoch,
    );
    this.checkpoints = new RedisCheckpoints({ connection, keys, mended: (error) => this.mended(error) }, epoch);
  }

  /** @throws GametapeError `ROOM_ELSEWHERE`; RedisAway, or the error that Redis answers with */
  static async claim(name: string, options: RedisRoomOptions): Promise<RedisRoom> {
    const keys = keysOf(name);
    const epoch = await claimRoom(options.connection, { room: name, keys, above: 0 }, options.claimant);
    return new RedisRoom(name, keys, epoch, options);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Why nothing is written any more. */
  get over(): GametapeError | undefined {
    return this.#over;
  }

  /** How long the oldest append has waited for Redis, in milliseconds. */
  get waitingMs(): number {
    return this.#waitingSince === undefined ? 0 : performance.now() - this.#waitingSince;
  }

  append(recordingId: string, block: Uint8Array | undefined, lastSeq: number): Appended {
    if (this.#over) return rejected(this.#over);
    const pending = new Pending();
    this.#waitingSince ??= performance.now();
    this.log.append(recordingId, lastSeq, block, pending);
    return pending;
  }

  /** Says again that this process has the room, and looks whether that is so. */
  async renew(): Promise<void> {
    const { connection, claimant } = this.#options;
    if (this.#over || this.#mending) return;
    try {
      const expected = this.log.expectedLength;
      const after = [this.log.acknowledged, this.checkpoints.acknowledged].map(({ epoch, n }) => `${epoch}-${n}`);
      const [length, later, claim] = await Promise.all([
        connection.command(['XLEN', this.keys.log]),
        connection.command(['XREAD', 'COUNT', 1, 'STREAMS', this.keys.log, this.keys.checkpoints, ...after]),
        readEntry(connection, this.keys.checkpoints, { epoch: this.#epoch, n: 0 }),
        this.#leased(() => renewLease(connection, this.keys, claimant)),
      ]);
      // Entries that are under way may be there already: looking closer tells.
      if (Number(length) >= expected && later === null && claim?.claim === claimant.token) return;
    } catch (error) {
      if (faultOf(error) === 'away') return;
    }
    await this.mended('the lease was renewed').catch(() => undefined);
  }

  /** Redis is back after it was away. */
  async resync(): Promise<void> {
    await this.mended('redis is back').catch(() => undefined);
  }

  /** Resolves when everything that was appended has been taken. Rejects when the room is lost or has failed. */
  mended(why: unknown): Promise<void> {
    this.#mending ??= this.#mend(why).finally(() => {
      this.#mending = undefined;
      // Something went wrong again before anybody could see that it was right.
      if (this.log.isHeld && !this.#over) void this.mended(why).catch(() => undefined);
    });
    return this.#mending;
  }

  /** Deletes what is left of a recording that is marked as finished. The mark goes last. */
  async erase(recordingId: string): Promise<void> {
    await this.checkpoints.delete(recordingId);
    await readPatiently(this.#options.connection, ['HDEL', this.keys.recordings, recordingId]);
    await this.log.forget(recordingId);
    this.recordings.delete(recordingId);
  }

  /** Resolves when all that was written so far is in Redis, or never will be. */
  async settled(): Promise<void> {
    await this.checkpoints.settled();
    await this.log.settled();
  }

  /**
   * Nothing is written any more, and others may have the room at once. A renewal under way is waited for: it may find that the
   * lease has run out, and would take it again after it was given up.
   */
  async leave(why: GametapeError): Promise<void> {
    this.end(why);
    await this.#leasing;
    await giveLease(this.#options.connection, this.keys, this.#options.claimant);
  }

  /** Nothing is written any more. */
  end(error: GametapeError): void {
    if (this.#over) return;
    this.#over = error;
    this.log.reject(error);
    if (error.code === 'ROOM_ELSEWHERE') this.#options.onLost(this, error);
  }

  /** @throws GametapeError why nothing is written any more */
  async #leased<T>(take: () => Promise<T>): Promise<T> {
    if (this.#over) throw this.#over;
    const before = this.#leasing;
    const taking = take();
    this.#leasing = Promise.allSettled([before, taking]).then(() => undefined);
    return await taking;
  }

  async #mend(why: unknown): Promise<void> {
    await this.log.hold();
    let trouble = why;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
      if (this.#over) throw this.#over;
      try {
        if (trouble instanceof Error && faultOf(trouble) === 'for good') throw this.#failure(trouble);
        const last = await this.#checkOwned();
        await this.log.resend(last);
        return;
      } catch (error) {
        if (isGametapeError(error)) {
          this.end(error);
          throw error;
        }
        if (trouble !== error) this.#say(error);
        trouble = error;
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /** Where the log ends. Claims the room anew if Redis has forgotten that it is ours. @throws GametapeError `ROOM_ELSEWHERE` */
  async #checkOwned(): Promise<EntryId> {
    const { connection, claimant } = this.#options;
    // Blocks may be sealed meanwhile: Redis must have what it had acknowledged when it was asked.
    const expected = { log: this.log.acknowledged, checkpoints: this.checkpoints.acknowledged };
    const [log = FIRST_ID, checkpoints = FIRST_ID, claim] = await Promise.all([
      lastId(connection, this.keys.log),
      lastId(connection, this.keys.checkpoints),
      readEntry(connection, this.keys.checkpoints, { epoch: this.#epoch, n: 0 }),
      this.#leased(() => renewLease(connection, this.keys, claimant)),
    ]);
    const newest = Math.max(log.epoch, checkpoints.epoch);
    if (newest > this.#epoch) {
      const { claim: by } = (await readEntry(connection, this.keys.log, { epoch: newest, n: 0 })) ?? {};
      if (by !== claimant.token) throw elsewhere(this.name, by ?? 'another relay');
      // Claiming anew was interrupted.
      return await this.#claimAgain();
    }
    const isForgotten = isBefore(log, expected.log) || isBefore(checkpoints, expected.checkpoints);
    const length = await connection.command(['XLEN', this.keys.log]);
    if (
      claim?.claim === claimant.token &&
      !isForgotten &&
      !this.#isRestoring &&
      Number(length) >= this.log.expectedLength
    ) {
      this.checkpoints.continueAfter(checkpoints);
      return log;
    }
    return await this.#claimAgain();
  }

  /** Redis has lost what it had acknowledged (FLUSHALL, an older replica): what is still in memory is written again. */
  async #claimAgain(): Promise<EntryId> {
    const { connection, claimant, log } = this.#options;
    const { name, keys } = this;
    const claim = () => claimRoom(connection, { room: name, keys, above: this.#epoch }, claimant);
    const epoch = await this.#leased(claim);
    this.#epoch = epoch;
    this.#isRestoring = true;
    const gone = this.log.restart(epoch);
    for (const id of this.recordings) await connection.command(['HSETNX', keys.recordings, id, '']);
    const restored = await this.checkpoints.restore(epoch);
    this.#isRestoring = false;
    const again = this.log.unaccepted.length;
    log.error({ room: name, restored, again, gone }, 'redis has forgotten what it acknowledged: written again');
    return { epoch, n: 0 };
  }

  #failure(cause: Error): GametapeError {
    return new GametapeError('JOURNAL_FAILED', `room ${this.name}: redis refuses: ${cause.message}`, { cause });
  }

  #say(error: unknown): void {
    if (faultOf(error) === 'away') return;
    this.#options.log.warn({ room: this.name, reason: (error as Error).message }, 'redis does not take it for now');
  }
}
