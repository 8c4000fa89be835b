import type { RedisConnection } from './redis-connection.ts';
import {
  blockFields,
  type EntryId,
  idText,
  isBefore,
  parseId,
  type RoomKeys,
  readEntry,
  readPatiently,
  type StreamEntry,
} from './redis-entries.ts';
import { faultOf } from './redis-errors.ts';

/** Sealed blocks are kept in memory for this long, for a Redis that forgets what it has acknowledged. */
const KEPT_MS = 30_000;
/** Ids that one XDEL names. */
const DELETED_AT_ONCE = 256;

interface KeptBlock {
  readonly block: Uint8Array;
  readonly lastSeq: number;
  readonly sealedAt: number;
}

/** What is known of the sealed blocks of one recording. */
interface Sealed {
  readonly ids: Set<string>;
  /** The first block is kept for good: it says what recording this is. */
  kept: KeptBlock[];
}

export interface RedisCheckpointsOptions {
  readonly connection: RedisConnection;
  readonly keys: RoomKeys;
  /** Resolves when the room can be written to again. Rejects when it never will be. */
  readonly mended: (error: unknown) => Promise<void>;
}

/** The sealed blocks of one room's recordings, in a stream of their own that is never trimmed, only deleted from. */
export class RedisCheckpoints {
  readonly #options: RedisCheckpointsOptions;
  readonly #recordings = new Map<string, Sealed>();
  #last: EntryId;
  #chain: Promise<void> = Promise.resolve();

  constructor(options: RedisCheckpointsOptions, epoch: number) {
    this.#options = options;
    this.#last = { epoch, n: 0 };
  }

  /** Highest id that Redis has acknowledged. */
  get acknowledged(): EntryId {
    return this.#last;
  }

  /** Takes note of a block that an earlier owner sealed. */
  adopt(recordingId: string, id: EntryId): void {
    this.#sealed(recordingId).ids.add(idText(id));
  }

  /** The same for the first block of a recording, which no other stands for. */
  adoptFirst(recordingId: string, { id, block, lastSeq }: StreamEntry): void {
    const { ids, kept } = this.#sealed(recordingId);
    ids.add(idText(id));
    if (kept.length === 0 && block) kept.push({ block, lastSeq, sealedAt: performance.now() });
  }

  /** Puts a block at the end, after all that were put before. Rejects when the room cannot be written to any more. */
  put(recordingId: string, block: Uint8Array, lastSeq: number): Promise<void> {
    const done = this.#chain.then(() => this.#put(recordingId, block, lastSeq));
    this.#chain = done.catch(() => undefined);
    return done;
  }

  settled(): Promise<void> {
    return this.#chain;
  }

  /** Where the stream ends: what is put next goes after it. */
  continueAfter(last: EntryId): void {
    if (isBefore(this.#last, last)) this.#last = last;
  }

  /** Puts the blocks that are kept into a stream that has forgotten some, as those of a new epoch. Returns how many. */
  async restore(epoch: number): Promise<number> {
    this.#last = { epoch, n: 0 };
    let count = 0;
    for (const [recordingId, { kept }] of this.#recordings) {
      let isFirst = !(await this.#isStartThere(recordingId));
      for (const { block, lastSeq } of kept) {
        await this.#add(recordingId, block, lastSeq);
        if (isFirst) await this.#startAt(recordingId, this.#last);
        isFirst = false;
        count++;
      }
    }
    return count;
  }

  /** Deletes all blocks of a recording. */
  async delete(recordingId: string): Promise<void> {
    const { connection, keys } = this.#options;
    const ids = [...(this.#recordings.get(recordingId)?.ids ?? [])];
    this.#recordings.delete(recordingId);
    for (let at = 0; at < ids.length; at += DELETED_AT_ONCE) {
      await readPatiently(connection, ['XDEL', keys.checkpoints, ...ids.slice(at, at + DELETED_AT_ONCE)]);
    }
  }

  async #put(recordingId: string, block: Uint8Array, lastSeq: number): Promise<void> {
    for (let tried: EntryId | undefined; ; ) {
      try {
        if (tried && (await this.#isThere(tried, block))) {
          this.#remember(recordingId, tried);
          // What it got into may have been begun anew since: nobody looks there any more, and it was not written again.
          if (tried.epoch === this.#last.epoch) break;
        }
        tried = { epoch: this.#last.epoch, n: this.#last.n + 1 };
        const isFirst = this.#sealed(recordingId).ids.size === 0;
        await this.#add(recordingId, block, lastSeq);
        if (isFirst) await this.#startAt(recordingId, tried).catch(() => undefined);
        break;
      } catch (error) {
        if (faultOf(error) === 'for good') throw error;
        await this.#options.mended(error);
      }
    }
    const { kept } = this.#sealed(recordingId);
    const now = performance.now();
    kept.push({ block, lastSeq, sealedAt: now });
    const recent = kept.findIndex(({ sealedAt }, i) => i > 0 && now - sealedAt <= KEPT_MS);
    if (recent > 1) kept.splice(1, recent - 1);
  }

  async #add(recordingId: string, block: Uint8Array, lastSeq: number): Promise<void> {
    const { connection, keys } = this.#options;
    const id = { epoch: this.#last.epoch, n: this.#last.n + 1 };
    await connection.command(['XADD', keys.checkpoints, idText(id), ...blockFields(recordingId, lastSeq, block)]);
    this.#remember(recordingId, id);
  }

  /** Reading starts there; without it, at the start of the stream. */
  async #startAt(recordingId: string, id: EntryId): Promise<void> {
    const { connection, keys } = this.#options;
    await connection.command(['HSET', keys.recordings, recordingId, idText(id)]);
  }

  /**
   * The stream is the one in which reading starts: it has the mark of the claim under which that block was put. In one that was
   * begun anew, what was put before anybody noticed comes before all that is restored.
   */
  async #isStartThere(recordingId: string): Promise<boolean> {
    const { connection, keys } = this.#options;
    const start = String((await connection.command(['HGET', keys.recordings, recordingId])) ?? '');
    if (start === '') return false;
    return (await readEntry(connection, keys.checkpoints, { epoch: parseId(start).epoch, n: 0 })) !== undefined;
  }

  #remember(recordingId: string, id: EntryId): void {
    this.#sealed(recordingId).ids.add(idText(id));
    this.continueAfter(id);
  }

  /** The reply may have been lost, not the block. */
  async #isThere(id: EntryId, block: Uint8Array): Promise<boolean> {
    const there = await readEntry(this.#options.connection, this.#options.keys.checkpoints, id);
    return there?.block !== undefined && Buffer.compare(there.block, block) === 0;
  }

  #sealed(recordingId: string): Sealed {
    let sealed = this.#recordings.get(recordingId);
    if (!sealed) {
      sealed = { ids: new Set(), kept: [] };
      this.#recordings.set(recordingId, sealed);
    }
    return sealed;
  }
}
