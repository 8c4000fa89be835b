import {
  type CheckpointRecord,
  type EndRecord,
  encodeMessage,
  GametapeError,
  type GapRecord,
  isGametapeError,
  type ProducerContext,
} from '@gametape/shared';
import { rejected } from '../journal/appended.ts';
import type { Appended, Sealed } from '../journal/journal.ts';
import type { RoomClock } from '../timeline/clock.ts';
import { fanOut } from './fan-out.ts';
import type { Flusher } from './flusher.ts';
import { NO_ACKS, type Receiver } from './receiver.ts';
import type { RecentEntries, RecentEntry } from './recent-entries.ts';
import type { RoomJournal } from './room-journal.ts';
import type { Seat } from './seat.ts';

/** Acks that found nothing to ride on are sent alone after this long. */
const ACK_DELAY_MS = 50;
/** Receivers that could not be shown everything are looked at again after this long. */
const RETRY_MS = 100;

export interface RoomOutputOptions {
  readonly name: string;
  readonly clock: RoomClock;
  readonly journal: RoomJournal;
  readonly flusher: Flusher;
  /** The room's own list, which grows. */
  readonly seats: readonly Seat[];
  readonly recent: RecentEntries;
  readonly headSeq: number;
  readonly onFailure: (error: GametapeError) => void;
  readonly onFault: (error: unknown) => void;
}

/** What a room gives out: everything into the journal first, and only then to everybody who is there (W3). */
export class RoomOutput {
  readonly spectators = new Set<Receiver>();
  readonly #options: RoomOutputOptions;
  readonly #flushSoon = () => this.#guard(() => this.#flush());
  #headSeq: number;
  #journaledSeq: number;
  #ackTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #accepted: Promise<void> = Promise.resolve();
  #stable: Promise<void> = Promise.resolve();
  #failure: GametapeError | undefined;
  #isStopped = false;
  /** The journal knows the room from before, or has made what it first wrote stable. */
  #isFounded: boolean;

  constructor(options: RoomOutputOptions) {
    this.#options = options;
    this.#headSeq = options.headSeq;
    this.#journaledSeq = options.headSeq;
    this.#isFounded = options.headSeq > 0;
  }

  get failure(): GametapeError | undefined {
    return this.#failure;
  }

  /** Why nothing can be sealed for now (J5). */
  get sealFault(): GametapeError | undefined {
    return this.#options.journal.sealFault;
  }

  addProducer(context: ProducerContext): void {
    this.#options.journal.addProducer(context);
    this.#scheduleFlush();
  }

  addEntry(item: RecentEntry): void {
    const { entry } = item;
    this.#headSeq = entry.seq;
    this.#options.journal.add(entry);
    this.#options.recent.add(item);
    this.#scheduleFlush();
  }

  addCheckpoint(checkpoint: CheckpointRecord): void {
    this.#options.journal.addCheckpoint(checkpoint);
    this.#scheduleFlush();
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

  /** Puts everything into the recording's own blocks. @throws GametapeError `JOURNAL_FAILED` */
  async seal(end?: EndRecord): Promise<Sealed> {
    await this.flushed();
    const cursors = this.#options.seats.map((seat) => [seat, seat.accepted] as const);
    const sealed = await this.#options.journal.seal(end);
    const stable = sealed.stable.then(() => {
      for (const [seat, pseq] of cursors) seat.stable = Math.max(seat.stable, pseq);
      this.scheduleAcks();
    });
    stable.catch((error: unknown) => this.#fail(error));
    return { stable };
  }

  /** The same, but does not wait out a disk that fails. @throws GametapeError `JOURNAL_FAILED` */
  async trySeal(): Promise<void> {
    await Promise.race([this.seal(), this.#options.journal.inTrouble]);
  }

  /** Shows everybody what is in the journal and has not been shown. */
  fanOut(): void {
    const { clock, seats, recent } = this.#options;
    const producers = seats.map(({ context }) => context);
    const options = { recent, producers, upTo: this.#journaledSeq, now: clock.now() };
    for (const seat of seats) {
      if (seat.receiver && !fanOut(seat.receiver, seat, options)) seat.receiver.drop();
    }
    for (const receiver of this.spectators) if (!fanOut(receiver, undefined, options)) receiver.drop();
    recent.trim(this.#journaledSeq);
    if (this.#retryTimer === undefined && this.#isAnybodyBehind()) {
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        this.#guard(() => this.fanOut());
      }, RETRY_MS);
    }
  }

  /** Sends every player its acks soon, unless what it is shown meanwhile carries them (W3). */
  scheduleAcks(): void {
    if (this.#isStopped) return;
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = undefined;
      this.#guard(() => {
        if (this.#sendAcks(performance.now() - ACK_DELAY_MS)) this.scheduleAcks();
      });
    }, ACK_DELAY_MS);
  }

  /** An event came again: its acks may have been lost on the way. */
  repeatAcks(receiver: Receiver | undefined): void {
    if (receiver) receiver.acks = NO_ACKS;
    this.scheduleAcks();
  }

  /** Nothing is written or shown any more. Everybody learns how far it came: that much need not be sent again (J7). */
  stop(): void {
    this.#isStopped = true;
    this.#options.flusher.cancel(this.#flushSoon);
    this.#sendAcks();
    const { journal, name } = this.#options;
    journal.stop(this.#failure ?? new GametapeError('JOURNAL_FAILED', `room ${name}: it is stopped`));
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#retryTimer);
  }

  /** Sends acks that are news, but not to whom had some since `recently`: true if there is such a one. */
  #sendAcks(recently = Number.POSITIVE_INFINITY): boolean {
    let isAnybodyBusy = false;
    for (const { receiver, accepted, stable } of this.#options.seats) {
      if (!receiver?.isReady || (receiver.acks.accepted >= accepted && receiver.acks.stable >= stable)) continue;
      const acks = { accepted, stable };
      if (receiver.ackedAt > recently) isAnybodyBusy = true;
      else receiver.sendAcks(acks, encodeMessage({ kind: 'ack', acks }));
    }
    return isAnybodyBusy;
  }

  #scheduleFlush(): void {
    // Messages that come faster than the event loop turns would all be in one block.
    if (this.#options.journal.isFull) this.#flush();
    else this.#options.flusher.schedule(this.#flushSoon);
  }

  #flush(): void {
    const { journal, seats, clock, flusher } = this.#options;
    flusher.cancel(this.#flushSoon);
    if (journal.isFlushed || this.#failure) return;
    if (journal.isOverfull) {
      this.#fail(this.#overfull());
      return;
    }
    const upTo = this.#headSeq;
    const cursors = seats.map((seat) => [seat, seat.context.pseq] as const);
    const { accepted, stable } = this.#appendAll();
    this.#accepted = accepted.then(() => {
      this.#journaledSeq = upTo;
      for (const [seat, pseq] of cursors) seat.accepted = Math.max(seat.accepted, pseq);
      this.#guard(() => this.fanOut());
    });
    this.#stable = stable.then(() => {
      for (const [seat, pseq] of cursors) seat.stable = Math.max(seat.stable, pseq);
      this.scheduleAcks();
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

  /** Whatever a timer or the journal calls: what it throws would end the process, or look like a failed disk (S4). */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.onFault(error);
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

  /** W8: nothing may come any more that would show them the rest, or show that they do not read. */
  #isAnybodyBehind(): boolean {
    const isBehind = (receiver: Receiver | undefined) => receiver?.isReady && receiver.position < this.#journaledSeq;
    return this.#options.seats.some(({ receiver }) => isBehind(receiver)) || [...this.spectators].some(isBehind);
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
