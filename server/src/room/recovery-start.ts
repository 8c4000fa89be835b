import { type Compression, isGametapeError, RecordingIdentity, readEventBlock, roomOf } from '@gametape/shared';
import type { RecoveredBlock } from '../journal/journal.ts';

/** Clients that come back are shown what they missed within this much time and this many bytes (W4). */
const RECENT_US = 60_000_000;
const RECENT_BYTES = 4 * 1024 * 1024;

/**
 * Which sealed block a recovery starts from: one that tells how the room stood, and that has enough after it for clients to
 * resume (J3). However long the session was, it is among the last.
 */
export class RecoveryStart {
  readonly #compression: Compression;
  #newestTime: number | undefined;
  #bytes = 0;
  /** The first block, or one of before there were room records: all of them have to be read. */
  #isOld = false;

  constructor(compression: Compression) {
    this.#compression = compression;
  }

  /** Asked of the newest block first. One that cannot be read is no start: the one before it may be. */
  accepts({ header, stored }: RecoveredBlock): boolean {
    if (this.#isOld) return false;
    this.#bytes += stored.length;
    try {
      const room = roomOf(header, stored, this.#compression);
      this.#isOld = room === undefined;
      if (!room) return false;
      this.#newestTime ??= Math.max(room.time, header.lastTime);
      if (this.#bytes < RECENT_BYTES && this.#newestTime - room.time < RECENT_US) return false;
      readEventBlock(header, stored, new RecordingIdentity(), this.#compression);
      return true;
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      return false;
    }
  }
}
