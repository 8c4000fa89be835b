import {
  type BlockHeader,
  type Compression,
  isGametapeError,
  RecordingIdentity,
  readEventBlock,
} from '@gametape/shared';
import { BlockChain } from './block-chain.ts';

/** What a journal has of a recording that is not finished. */
export interface UnfinishedRecording {
  readonly room: string;
  readonly recordingId: string;
  /** Entries, state changes included. */
  readonly events: number;
  /** Entries that were sealed and are not there any more. */
  readonly missing: number;
  /** Wall clock of the last one, as ISO text; undefined if there is none. */
  readonly lastAt: string | undefined;
  /** Which relay has it at the moment, undefined if none has. */
  readonly owner: string | undefined;
}

/** Adds up the blocks of one recording, as they come. */
export class UnfinishedSummary {
  readonly #compression: Compression;
  readonly #identity = new RecordingIdentity();
  readonly #chain = new BlockChain();
  #events = 0;
  #missing = 0;
  #lastSeq = 0;
  #lastTime: number | undefined;

  constructor(compression: Compression) {
    this.#compression = compression;
  }

  add(header: BlockHeader, stored: Uint8Array): void {
    const isHole = this.#chain.add(header) === 'hole';
    if (!this.#identity.isKnown) this.#learn(header, stored);
    // A block that was sealed may still be in the log.
    if (header.events === 0 || header.lastSeq <= this.#lastSeq) return;
    // A room counts its entries without holes.
    if (isHole) this.#missing += Math.max(0, header.firstSeq - this.#lastSeq - 1);
    this.#events += header.firstSeq > this.#lastSeq ? header.events : header.lastSeq - this.#lastSeq;
    this.#lastSeq = header.lastSeq;
    this.#lastTime = Math.max(this.#lastTime ?? header.lastTime, header.lastTime);
  }

  result(recordingId: string, room: string | undefined, owner: string | undefined): UnfinishedRecording {
    const { isKnown } = this.#identity;
    const createdAt = isKnown ? this.#identity.meta.createdAt : undefined;
    const lastAt =
      createdAt === undefined || this.#lastTime === undefined
        ? undefined
        : new Date(createdAt * 1_000 + this.#lastTime / 1_000).toISOString();
    const name = room ?? (isKnown ? this.#identity.meta.room : '');
    return { room: name, recordingId, events: this.#events, missing: this.#missing, lastAt, owner };
  }

  #learn(header: BlockHeader, stored: Uint8Array): void {
    try {
      readEventBlock(header, stored, this.#identity, this.#compression);
    } catch (error) {
      // A block that cannot be read says nothing; the next one may.
      if (!isGametapeError(error)) throw error;
    }
  }
}
