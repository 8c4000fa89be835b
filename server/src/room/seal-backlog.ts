/** Blocks that cannot be sealed are kept in memory, so that they can be later: up to this many bytes in all rooms. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/** What waits to be sealed, of all rooms of a relay. */
export class SealBacklog {
  bytes = 0;

  get isFull(): boolean {
    return this.bytes >= LIMIT_BYTES;
  }
}
