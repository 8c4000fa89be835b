import type { BlockHeader, GametapeError } from '@gametape/shared';

/**
 * When an entry survives what: `accepted` after write(2), `stable` after fdatasync (J1). Both reject with GametapeError
 * `JOURNAL_FAILED` (J5).
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

/** A block that a recording had when the process stopped. */
export interface RecoveredBlock {
  readonly header: BlockHeader;
  readonly stored: Uint8Array;
  /** It is in the recording's own unfinished file, and opens with every keyframe it needs. */
  readonly sealed: boolean;
}

/**
 * A short shared log of what rooms have just recorded, and the unfinished recordings it is sealed into. Memory, file
 * and Redis implement it; `test/contracts/journal-contract.ts` holds for all of them.
 */
export interface Journal {
  /** What `stable` means, named in the welcome. */
  readonly durability: 'memory' | 'file';
  /** Why nothing is taken any more, if it is so: the journal is read-only (J5). */
  readonly failed?: GametapeError | undefined;
  /**
   * Appends a block (a plain journal block, made by BlockBuilder); `lastSeq` is the recording's last seq with it.
   * Blocks of one recording keep their order. Everything appended in the same turn of the event loop, of all
   * recordings, shares one write and one sync. The journal owns the bytes.
   */
  append(recordingId: string, block: Uint8Array, lastSeq: number): Appended;
  /**
   * Puts a self-contained block that covers all entries up to `lastSeq` at the end of the recording's own unfinished
   * file, syncs it, and then lets go of the blocks up to there that were appended before this call.
   *
   * @throws GametapeError `JOURNAL_FAILED`: nothing has been let go of, and the same block may be sealed again.
   */
  seal(recordingId: string, block: Uint8Array, lastSeq: number): Promise<void>;
  /** Recordings that were not finished when the process stopped. */
  unfinished(): Promise<readonly string[]>;
  /**
   * Blocks in order: the sealed ones, then appended ones whose seqs are not sealed. Torn tails are cut, damage in the
   * middle is set aside and reported through onDamage (J6). A block without entries may come again although it is
   * sealed.
   *
   * @param isStart is asked about the intact sealed blocks, the newest first, until it says true: sealed blocks before that
   *   one are left out, and not even read (J3). Without it, or where it never does, they all come.
   */
  recover(recordingId: string, isStart?: (block: RecoveredBlock) => boolean): AsyncIterable<RecoveredBlock>;
  /** @throws GametapeError `NOT_FOUND` when nothing of it has been sealed. */
  sealed(recordingId: string): Promise<SealedBlocks>;
  /** Forgets a recording whose file is finished. */
  discard(recordingId: string): Promise<void>;
  /** Makes everything stable and closes. */
  close(): Promise<void>;
}
