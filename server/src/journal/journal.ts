import type { BlockHeader, GametapeError } from '@gametape/shared';

/**
 * When an entry survives what: `accepted` after write(2) or the reply of Redis, `stable` after fdatasync or what comes
 * closest to it in a journal of that `durability` (J1). Both reject with GametapeError `JOURNAL_FAILED` (J5), or
 * `ROOM_ELSEWHERE` once another relay owns the room.
 */
export interface Appended {
  readonly accepted: Promise<void>;
  readonly stable: Promise<void>;
}

/**
 * Where the sealed blocks of one recording lie, for finishing: a file in the format of FORMAT.md without index and
 * footer, or bytes.
 */
export type SealedBlocks =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** What sealing gives: the block is where finishing finds it. */
export interface Sealed {
  /** Resolves when it is stable too. Rejects as that of an append does. */
  readonly stable: Promise<void>;
}

/** A sealed block that holds entries: what its header says, and where its journal has it. */
export interface SealedBlock {
  readonly header: BlockHeader;
  /** For the journal alone; means nothing after a restart. */
  readonly place: string;
}

/** What owning a room brings with it. */
export interface Claim {
  /** Higher than that of any owner before, where several relays share a journal; 0 where there is only one. */
  readonly epoch: number;
  /** Recordings that an earlier owner has not finished: from now on it is for this one to do. */
  readonly unfinished: readonly string[];
}

/** A block that a recording had when the process stopped. */
export interface RecoveredBlock {
  readonly header: BlockHeader;
  readonly stored: Uint8Array;
  /** It is in the recording's own unfinished file, and opens with every keyframe it needs. */
  readonly sealed: boolean;
}

/** What a journal's `stable` is worth; for Redis it is named after what its settings make of it. */
export type Durability = 'memory' | 'file' | `redis:${'always' | 'everysec' | 'no' | 'memory'}`;

/**
 * A short shared log of what rooms have just recorded, and the unfinished recordings it is sealed into. Memory, file
 * and Redis implement it; `test/contracts/journal-contract.ts` holds for all of them.
 */
export interface Journal {
  /** What `stable` means, named in the welcome. */
  readonly durability: Durability;
  /** Why nothing is taken any more, if it is so: the journal is read-only (J5). */
  readonly failed?: GametapeError | undefined;
  /**
   * Makes this process the owner of a room, so that nobody else appends to it. A room that it owns already stays its own,
   * with nothing unfinished but what it has begun. A claim of which no recording is begun or unfinished lapses.
   *
   * @throws GametapeError `ROOM_ELSEWHERE` while another relay owns it, `JOURNAL_FAILED` when the journal cannot tell.
   */
  claim(room: string): Promise<Claim>;
  /** Claims every room that has something unfinished and that nobody owns. */
  takeOver(): Promise<readonly Claim[]>;
  /** Whether anybody owns that room or has left something of it, apart from what this process knows itself. */
  knows(room: string): Promise<boolean>;
  /** Says that a recording belongs to a room, which has been claimed: its blocks may come from now on. */
  begin(room: string, recordingId: string): void;
  /**
   * Appends a block (a plain journal block, made by BlockBuilder); `lastSeq` is the recording's last seq with it.
   * Blocks of one recording keep their order. Everything appended in the same turn of the event loop, of all
   * recordings, shares one write and one sync. The journal owns the bytes.
   */
  append(recordingId: string, block: Uint8Array, lastSeq: number): Appended;
  /**
   * Puts a self-contained block that covers all entries up to `lastSeq` at the end of the recording's own unfinished
   * blocks, as safe as an append that is accepted, and then lets go of the blocks up to there that were appended before
   * this call.
   *
   * @throws GametapeError `JOURNAL_FAILED`: nothing has been let go of, and the same block may be sealed again.
   */
  seal(recordingId: string, block: Uint8Array, lastSeq: number): Promise<Sealed>;
  /**
   * Blocks in order: the sealed ones, then appended ones whose seqs are not sealed. Torn tails are cut, damage in the
   * middle is set aside and reported through onDamage (J6). A block without entries may come again although it is
   * sealed.
   *
   * @param isStart is asked about the intact sealed blocks, the newest first, until it says true: sealed blocks before that
   *   one are left out, and not even read (J3). Without it, or where it never does, they all come.
   */
  recover(recordingId: string, isStart?: (block: RecoveredBlock) => boolean): AsyncIterable<RecoveredBlock>;
  /**
   * The sealed blocks that hold entries, in order and each once, from the one after `after` on. Of a file, only their headers
   * are read. What is damaged is left out and left alone.
   */
  sealedBlocks(recordingId: string, after?: SealedBlock): AsyncIterable<SealedBlock>;
  /** The bytes of one of them, header included. @throws GametapeError `NOT_FOUND` where it is not any more, `DAMAGED` */
  readSealed(block: SealedBlock): Promise<Uint8Array>;
  /** @throws GametapeError `NOT_FOUND` when nothing of it has been sealed. */
  sealed(recordingId: string): Promise<SealedBlocks>;
  /** Forgets a recording whose file is finished. */
  discard(recordingId: string): Promise<void>;
  /** Makes everything stable and closes. */
  close(): Promise<void>;
}
