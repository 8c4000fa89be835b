import { type Acks, CloseCode, chunked, type DownMessage, encodeMessage } from '@gametape/shared';
import type { Peer } from '../transport/transport.ts';

/** Past this nothing more is sent to a peer until it has read; its position waits with it (W8). */
const SOFT_BYTES = 1024 * 1024;
/** Past this, or after this long without progress, the socket is dropped with a code that lets it resume (W8). */
const HARD_BYTES = 4 * 1024 * 1024;
const PROGRESS_US = 10_000_000;

/** What a peer knows of its acks before it is told any. */
export const NO_ACKS: Acks = { accepted: 0, stable: 0 };

/** One peer's end of a room: what it has been shown, and whether it keeps up. */
export class Receiver {
  readonly peer: Peer;
  /** Index of its own producer, whose events it is not sent; -1 for spectators. */
  readonly producer: number;
  /** Who it is, for a spectator; a player's seat knows. */
  readonly id: string;
  /** Last seq that it was shown. */
  position = 0;
  /** Producers below this index have been announced to it. */
  announced = 0;
  /** The acks it was last sent, and when (milliseconds of performance.now()). */
  acks = NO_ACKS;
  ackedAt = 0;
  /** False until its welcome and snapshot are sent. */
  isReady = false;
  /** Room time since which a spectator has more unread than it may be sent, in microseconds. */
  behindSince: number | undefined;
  /** The list of spectators that a spectator was last told of. */
  toldOf = 0;
  #lowest = 0;
  #lowestAt = 0;
  /** Bytes of a snapshot that may still be on their way: a peer cannot be blamed for what it was just given. */
  #snapshotBytes = 0;

  constructor(peer: Peer, producer: number, id = '') {
    this.peer = peer;
    this.producer = producer;
    this.id = id;
  }

  send(message: DownMessage): void {
    this.sendBytes(encodeMessage(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.sendParts(chunked(bytes));
  }

  /** Sends messages that others are sent too: each is as short as one has to be. */
  sendParts(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.peer.send(part);
  }

  /** Whether it may be sent more at once. */
  get hasRoom(): boolean {
    return this.peer.bufferedBytes < SOFT_BYTES;
  }

  /** Sends what carries these acks, whatever else it carries. */
  sendAcks(acks: Acks, bytes: Uint8Array): void {
    this.acks = acks;
    this.ackedAt = performance.now();
    this.sendBytes(bytes);
  }

  sendSnapshot(records: Uint8Array): void {
    this.sendSnapshotParts(chunked(encodeMessage({ kind: 'snapshot', records })));
  }

  /** The same for one that others are sent too. */
  sendSnapshotParts(parts: readonly Uint8Array[]): void {
    this.#snapshotBytes = parts.reduce((sum, { length }) => sum + length, 0);
    this.sendParts(parts);
  }

  /** Whether more may be sent now. Drops a peer that makes no progress. `now` is in microseconds. */
  keepsUp(now: number): boolean {
    const buffered = this.peer.bufferedBytes;
    if (buffered < SOFT_BYTES) {
      this.#lowest = 0;
      this.#snapshotBytes = 0;
      return true;
    }
    if (this.#lowest === 0 || buffered < this.#lowest) {
      this.#lowest = buffered;
      this.#lowestAt = now;
    }
    if (buffered > HARD_BYTES + this.#snapshotBytes || now - this.#lowestAt > PROGRESS_US) this.drop();
    return false;
  }

  /** Nothing is sent any more, so that its backlog ends here; the transport drops a peer that does not read its close. */
  drop(): void {
    this.peer.close(CloseCode.SLOW, 'LIMIT_EXCEEDED: too slow to follow the room');
  }
}
