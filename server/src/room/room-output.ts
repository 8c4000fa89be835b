import {
  type CheckpointRecord,
  type ClockMapRecord,
  GametapeError,
  type GapRecord,
  isGametapeError,
  type ProducerContext,
} from '@gametape/shared';
import type { FlushMark } from '../audience/open-blocks.ts';
import { rejected } from '../journal/appended.ts';
import type { Appended, Sealed } from '../journal/journal.ts';
import type { RoomClock } from '../timeline/clock.ts';
import type { Broadcast } from './broadcast.ts';
import type { Flusher } from './flusher.ts';
import type { RecentEntries, RecentEntry } from './recent-entries.ts';
import type { Closing, RoomJournal } from './room-journal.ts';
import type { Seats } from './seats.ts';

export interface RoomOutputOptions {
  readonly name: string;
  readonly clock: RoomClock;
  readonly journal: RoomJournal;
  readonly flusher: Flusher;
  readonly broadcast: Broadcast;
  readonly seats: Seats;
  readonly recent: RecentEntries;
  readonly headSeq: number;
  /** Stands around whatever a timer or the journal calls: what it throws would end the process, or look like a failed disk (S4). */
  readonly guard: (work: () => void) => void;
  /** The journal has everything up to there: it may be shown (W3). */
  readonly onAccepted: (mark: FlushMark) => void;
  /** The journal does not take this room's entries any more (J5). */
  readonly onFailure: (error: GametapeError) => void;
}

/** What a room gives out: everything into the journal first, and only then to everybody who is there (W3). */
export class RoomOutput {
  readonly #options: RoomOutputOptions;
  readonly #flushSoon = () => this.#options.guard(() => this.#flush());
  #accepted: Promise<void> = Promise.resolve();
  #stable: Promise<void> = Promise.resolve();
  #failure: GametapeError | undefined;
  #isOver = false;
  #isStopped = false;
  /** The journal knows the room from before, or has made what it first wrote stable. */
  #isFounded: boolean;

  constructor(options: RoomOutputOptions) {
    this.#options = options;
    this.#isFounded = options.headSeq > 0;
  }

  get failure(): GametapeError | undefined {
    return this.#failure;
  }

  /** The room's last block is sealed, or about to be: nothing more is recorded. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why nothing can be sealed for now: the room goes on all the same (J5). */
  get sealFault(): GametapeError | undefined {
    return this.#options.journal.sealFault;
  }

  addProducer(context: ProducerContext): void {
    this.#options.journal.addProducer(context);
    this.#scheduleFlush();
  }

  addEntry(item: RecentEntry): void {
    this.#options.journal.add(item.entry);
    this.#options.recent.add(item);
    this.#scheduleFlush();
  }

  addCheckpoint(checkpoint: CheckpointRecord): void {
    this.#options.journal.addCheckpoint(checkpoint);
    this.#scheduleFlush();
  }

  /** Of the entry that is added next, or of none any more: it waits for neither a flush nor anybody. */
  addClockMap(map: ClockMapRecord): void {
    this.#options.journal.addClockMap(map);
    this.#options.broadcast.showClock(map);
  }

  addGap(gap: GapRecord): void {
    this.#options.journal.addGap(gap);
    this.#scheduleFlush();
  }

  /** Writes what waits and resolves once everything so far is accepted. @throws GametapeError `JOURNAL_FAILED` */
  async flushed(): Promise<void> {
    this.#flush();
    this.#checkWritable();
    await this.#accepted;
  }

  /** The same for stable. */
  async stable(): Promise<void> {
    this.#flush();
    this.#checkWritable();
    await this.#stable;
  }

  /** Resolves once the journal has the room for good, and everything so far is accepted. @throws GametapeError `JOURNAL_FAILED` */
  async founded(): Promise<void> {
    if (!this.#isFounded) await this.stable();
    this.#isFounded = true;
    await this.flushed();
  }

  /**
   * Puts everything into the recording's own file; with `closing` for good. Waits for a disk that fails for as long as the log
   * takes entries (J5). @throws GametapeError `JOURNAL_FAILED`
   */
  async seal(closing?: Closing): Promise<Sealed> {
    if (closing) this.#isOver = true;
    await this.flushed();
    const cursors = this.#options.seats.all.map((seat) => [seat, seat.accepted] as const);
    const sealed = await this.#options.journal.seal(closing);
    const stable = sealed.stable.then(() => {
      for (const [seat, pseq] of cursors) seat.stable = Math.max(seat.stable, pseq);
      this.#options.broadcast.scheduleAcks();
    });
    stable.catch((error: unknown) => this.#fail(error));
    return { stable };
  }

  /** The same, but does not wait out a disk that fails. @throws GametapeError `JOURNAL_FAILED` */
  async trySeal(): Promise<void> {
    await Promise.race([this.seal(), this.#options.journal.inTrouble]);
  }

  /** Seals how the room stands in the same way, although nothing was recorded since: what recovery left out is in no entry (J4). */
  async trySealStanding(): Promise<void> {
    const { journal } = this.#options;
    await Promise.race([journal.sealStanding(), journal.inTrouble]);
  }

  /** Nothing is written or shown any more. */
  stop(): void {
    const { flusher, broadcast, journal, name } = this.#options;
    this.#isStopped = true;
    flusher.cancel(this.#flushSoon);
    broadcast.stop();
    journal.stop(this.#failure ?? new GametapeError('JOURNAL_FAILED', `room ${name}: it is stopped`));
  }

  /** The same for good: a fault has left the room in a state that nobody knows. */
  abandon(): void {
    this.#isOver = true;
    this.stop();
  }

  #scheduleFlush(): void {
    // Messages that come faster than the event loop turns would all be in one block.
    if (this.#options.journal.isFull) this.#flush();
    else this.#options.flusher.schedule(this.#flushSoon);
  }

  #flush(): void {
    const { journal, seats, clock, flusher, broadcast, guard, onAccepted } = this.#options;
    flusher.cancel(this.#flushSoon);
    if (journal.isFlushed || this.#failure) return;
    if (journal.isOverfull) {
      this.#fail(this.#overfull());
      return;
    }
    const cursors = seats.all.map((seat) => [seat, seat.context.pseq] as const);
    const { accepted, stable } = this.#appendAll();
    const mark = journal.mark(clock.now());
    this.#accepted = accepted.then(() => {
      for (const [seat, pseq] of cursors) seat.accepted = Math.max(seat.accepted, pseq);
      guard(() => onAccepted(mark));
    });
    this.#stable = stable.then(() => {
      for (const [seat, pseq] of cursors) seat.stable = Math.max(seat.stable, pseq);
      broadcast.scheduleAcks();
    });
    const fail = (error: unknown) => this.#fail(error);
    this.#accepted.catch(fail);
    this.#stable.catch(fail);
    try {
      journal.sealIfDue(clock.now())?.catch(fail);
    } catch (cause) {
      this.#fail(this.#unwritable(cause));
    }
  }

  /** What waits after a failure is never written: nobody may take it for recorded (J5). */
  #checkWritable(): void {
    if (this.#failure) throw this.#failure;
  }

  #appendAll(): Appended {
    try {
      return this.#options.journal.flush();
    } catch (cause) {
      return rejected(this.#unwritable(cause));
    }
  }

  /** What cannot even be put into a block fails this room, not the others that are flushed with it (S4). */
  #unwritable(cause: unknown): GametapeError {
    return new GametapeError('JOURNAL_FAILED', `room ${this.#options.name}: ${(cause as Error).message}`, { cause });
  }

  #overfull(): GametapeError {
    const { journal, name } = this.#options;
    const why = journal.sealFault?.message;
    return new GametapeError('JOURNAL_FAILED', `room ${name}: too much waits to be sealed: ${why}`);
  }

  #fail(error: unknown): void {
    if (this.#failure || this.#isStopped) return;
    this.#failure = isGametapeError(error)
      ? error
      : new GametapeError('JOURNAL_FAILED', String(error), { cause: error });
    this.#options.journal.stop(this.#failure);
    this.#options.onFailure(this.#failure);
  }
}
