import type { GametapeError } from '@gametape/shared';
import type { Pending } from './appended.ts';
import { coveredBySeal } from './covered-by-seal.ts';
import type { Argument, RedisConnection } from './redis-connection.ts';
import {
  blockFields,
  type EntryId,
  finishedFields,
  idText,
  isBefore,
  readEntries,
  type StreamEntry,
} from './redis-entries.ts';
import type { Unstable } from './redis-stability.ts';

/** One entry of the log, until nobody needs it. */
export interface LogEntry {
  id: EntryId;
  readonly recordingId: string;
  readonly lastSeq: number;
  /** Undefined for one that an earlier owner wrote, one that is sealed, and for marks. */
  block: Uint8Array | undefined;
  /** Undefined for one that an earlier owner wrote, and once it is stable: there may be many for as long as nothing is sealed. */
  pending: Pending | undefined;
  isAccepted: boolean;
  /** Sealed, and so is what comes after it; or its recording is finished. */
  isReleased: boolean;
}

/** An entry that Redis has acknowledged under an id, waiting to be stable. */
export class AcknowledgedEntry implements Unstable {
  readonly #entry: LogEntry;
  readonly #id: EntryId;

  constructor(entry: LogEntry) {
    this.#entry = entry;
    this.#id = entry.id;
  }

  /** One that has been written again since is stable when that is. */
  stabilize(): void {
    if (this.#entry.id !== this.#id) return;
    this.#entry.pending?.stabilize();
    this.#entry.pending = undefined;
  }

  reject(error: GametapeError): void {
    this.#entry.pending?.reject(error);
  }
}

export interface RedisLogOptions {
  readonly connection: RedisConnection;
  readonly key: string;
  /** An entry was not taken: nothing more is sent until `resend`. */
  readonly onTrouble: (error: unknown) => void;
  /** Redis has acknowledged it, and all before it. */
  readonly onAccepted: (entry: LogEntry, pending: Pending) => void;
}

/**
 * The log of one room: what it appends, in order, under ids that count up. What Redis has taken is kept here as well until
 * it is sealed, so that it can be appended again to a Redis that has forgotten it.
 */
export class RedisLog {
  readonly #options: RedisLogOptions;
  #entries: LogEntry[] = [];
  /** Those whose append is not acknowledged, or not before all others before it. */
  #unsettled: LogEntry[] = [];
  /** Entries that are sent and not answered. */
  #underWay = 0;
  readonly #waitingForAnswers: (() => void)[] = [];
  #epoch: number;
  #n = 0;
  /** Highest id that Redis has acknowledged. */
  #acknowledged: EntryId;
  /** What the last sealed block of each recording covers. */
  readonly #sealed = new Map<string, readonly LogEntry[]>();
  #isHeld = false;
  #unacceptedBytes = 0;

  constructor(options: RedisLogOptions, epoch: number) {
    this.#options = options;
    this.#epoch = epoch;
    this.#acknowledged = { epoch, n: 0 };
  }

  get acknowledged(): EntryId {
    return this.#acknowledged;
  }

  /** Nothing is sent until `resend`. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Bytes that Redis has not acknowledged. */
  get unacceptedBytes(): number {
    return this.#unacceptedBytes;
  }

  /** How many entries Redis must have, at least. */
  get expectedLength(): number {
    return this.#entries.reduce((count, { isAccepted, isReleased }) => count + (isAccepted && !isReleased ? 1 : 0), 0);
  }

  get unaccepted(): LogEntry[] {
    return this.#entries.filter(({ isAccepted }) => !isAccepted);
  }

  /** Takes note of what an earlier owner wrote. */
  adopt({ id, recordingId, lastSeq }: StreamEntry): void {
    if (recordingId === undefined) return;
    const known = { block: undefined, pending: undefined, isAccepted: true, isReleased: false };
    this.#entries.push({ id, recordingId, lastSeq, ...known });
  }

  /** Without a block: the mark that the recording is finished. */
  append(recordingId: string, lastSeq: number, block: Uint8Array | undefined, pending: Pending): LogEntry {
    const id = { epoch: this.#epoch, n: ++this.#n };
    const entry = { id, recordingId, lastSeq, block, pending, isAccepted: false, isReleased: false };
    this.#entries.push(entry);
    this.#unsettled.push(entry);
    this.#unacceptedBytes += block?.length ?? 0;
    if (!this.#isHeld) this.#send(entry);
    return entry;
  }

  /** The entries of a recording that a block sealed up to `lastSeq` covers. */
  covered(recordingId: string, lastSeq: number): readonly LogEntry[] {
    return coveredBySeal(
      this.#entries.filter((entry) => entry.recordingId === recordingId && !entry.isReleased),
      lastSeq,
    );
  }

  /**
   * A block that covers these entries is sealed. They stay in Redis until the next one is: should the block not be there when
   * it is needed, they are (J3). The block itself is kept in memory for a Redis that forgets.
   */
  async sealed(recordingId: string, covered: readonly LogEntry[]): Promise<void> {
    const before = this.#sealed.get(recordingId) ?? [];
    this.#sealed.set(recordingId, covered);
    for (const entry of covered) if (entry.isAccepted) entry.block = undefined;
    await this.#release(before);
  }

  /** Lets go of all entries of a recording. */
  async forget(recordingId: string): Promise<void> {
    this.#sealed.delete(recordingId);
    await this.#release(this.#entries.filter((entry) => entry.recordingId === recordingId));
  }

  /** Nothing is sent until `resend`; resolves when all that was under way has been answered or given up. */
  async hold(): Promise<void> {
    this.#isHeld = true;
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#waitingForAnswers.push(resolve));
  }

  /** Everything goes into the stream again, as that of a new epoch: Redis has forgotten some of it. */
  restart(epoch: number): number {
    this.#epoch = epoch;
    this.#n = 0;
    this.#acknowledged = { epoch, n: 0 };
    const kept = this.#entries.filter(({ block, isReleased, isAccepted }) => !isAccepted || (block && !isReleased));
    const elsewhere = new Set([...kept, ...[...this.#sealed.values()].flat()]);
    const missing = this.#entries.filter((entry) => !entry.isReleased && !elsewhere.has(entry)).length;
    this.#entries = kept;
    // What was accepted is so again only when Redis has it again: it may not be stable before.
    this.#unsettled = kept.filter(({ pending }) => pending);
    for (const entry of kept) {
      if (entry.isAccepted) this.#unacceptedBytes += entry.block?.length ?? 0;
      entry.isAccepted = false;
      entry.id = { epoch, n: ++this.#n };
    }
    return missing;
  }

  /**
   * Sends again what was not acknowledged, after `last`, the highest id of the stream: what got there all the same is left,
   * and what others of ours got ahead of comes after them (readers sort by seq).
   *
   * @throws what Redis answers with, or RedisAway: some of it has not been taken.
   */
  async resend(last: EntryId): Promise<void> {
    const { connection, key } = this.#options;
    const [first] = this.unaccepted;
    if (first && !isBefore(last, first.id)) {
      const there = new Map<string, StreamEntry>();
      for await (const entry of readEntries(connection, key, 'log', first.id)) there.set(idText(entry.id), entry);
      for (const entry of this.unaccepted) if (isSame(there.get(idText(entry.id)), entry)) this.#accept(entry);
    }
    this.#n = last.epoch === this.#epoch ? last.n : 0;
    while (this.unaccepted.length > 0) {
      const sent = this.unaccepted.map((entry) => {
        entry.id = { epoch: this.#epoch, n: ++this.#n };
        return this.#add(entry).then(() => this.#accept(entry));
      });
      const results = await Promise.allSettled(sent);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
    this.#isHeld = false;
  }

  /** Resolves when all that was appended so far is acknowledged, or never will be. */
  async settled(): Promise<void> {
    await this.#unsettled.at(-1)?.pending?.accepted.catch(() => undefined);
  }

  /** Nothing of it will be written any more. */
  reject(error: Parameters<Pending['reject']>[0]): void {
    for (const { pending } of this.#unsettled.splice(0)) pending?.reject(error);
    this.#entries = [];
    this.#unacceptedBytes = 0;
    this.#isHeld = true;
  }

  /** Lets go of entries; Redis forgets those before which nothing is needed. Safe whoever owns the room: ids only grow. */
  async #release(entries: Iterable<LogEntry>): Promise<void> {
    for (const entry of entries) entry.isReleased = true;
    const end = this.#entries.findIndex(({ isAccepted, isReleased }) => !isAccepted || !isReleased);
    const gone = this.#entries.splice(0, end < 0 ? this.#entries.length : end);
    const last = gone.at(-1);
    if (!last) return;
    const next = this.#entries[0]?.id ?? { epoch: last.id.epoch, n: last.id.n + 1 };
    try {
      await this.#options.connection.command(['XTRIM', this.#options.key, 'MINID', idText(next)]);
    } catch {
      // The next one takes them along.
    }
  }

  #send(entry: LogEntry): void {
    this.#underWay++;
    this.#add(entry).then(
      () => {
        this.#accept(entry);
        this.#answered();
      },
      (error: unknown) => {
        if (!entry.isAccepted && !this.#isHeld) {
          this.#isHeld = true;
          this.#options.onTrouble(error);
        }
        this.#answered();
      },
    );
  }

  #answered(): void {
    this.#underWay--;
    if (this.#underWay === 0) for (const resolve of this.#waitingForAnswers.splice(0)) resolve();
  }

  #add({ recordingId, lastSeq, block, id }: LogEntry): Promise<unknown> {
    const fields: Argument[] = block ? blockFields(recordingId, lastSeq, block) : finishedFields(recordingId);
    return this.#options.connection.command(['XADD', this.#options.key, idText(id), ...fields]);
  }

  #accept(entry: LogEntry): void {
    if (isBefore(this.#acknowledged, entry.id)) this.#acknowledged = entry.id;
    if (entry.isAccepted) return;
    entry.isAccepted = true;
    this.#unacceptedBytes -= entry.block?.length ?? 0;
    // Acks are cumulative: an entry that got in ahead of another waits for it.
    const end = this.#unsettled.findIndex(({ isAccepted }) => !isAccepted);
    const settled = this.#unsettled.splice(0, end < 0 ? this.#unsettled.length : end);
    for (const taken of settled) if (taken.pending) this.#options.onAccepted(taken, taken.pending);
  }
}

function isSame(there: StreamEntry | undefined, { recordingId, block }: LogEntry): boolean {
  if (there?.recordingId !== recordingId) return false;
  if (!block || !there.block) return !block && there.isFinished;
  return Buffer.compare(there.block, block) === 0;
}
