import {
  type Body,
  type CheckpointRecord,
  type Compression,
  type EndRecord,
  EventType,
  type EventsUp,
  type EventUp,
  type Gap,
  GametapeError,
  isGametapeError,
  type JsonObject,
  PlayClock,
  ProducerContext,
  type Profile,
  type RecordingMeta,
  type TimelineEntry,
} from '@gametape/shared';
import { rejected } from '../journal/appended.ts';
import type { Appended } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import type { RoomClock } from '../timeline/clock.ts';
import { ClockEstimate } from '../timeline/clock-estimate.ts';
import { Timeline } from '../timeline/timeline.ts';
import { checkBody } from './event-check.ts';
import { fanOut } from './fan-out.ts';
import type { Receiver } from './receiver.ts';
import { RecentEntries, type RecentEntry } from './recent-entries.ts';
import { type LeaveReason, relayBody } from './room-events.ts';
import { RoomJournal, type RoomJournalOptions } from './room-journal.ts';
import { Seat } from './seat.ts';

/** Acks that found nothing to ride on are sent alone after this long. */
const ACK_DELAY_MS = 50;
/** Receivers that could not be shown everything are looked at again after this long. */
const RETRY_MS = 100;
/** 35 years: more than any clock shows, and sums of them are still whole numbers. */
const MAX_STAMP = 2 ** 50;

/** A room as it comes back after a restart, or as it begins. */
export interface RoomStart {
  readonly meta: RecordingMeta;
  readonly profile: Profile;
  readonly epoch: number;
  readonly clock: RoomClock;
  readonly journal: Pick<RoomJournalOptions, 'journal' | 'lastSealed' | 'sealing'>;
  readonly headSeq: number;
  /** Entries up to `headSeq` that a client may still have to be shown, by consecutive seq. */
  readonly recent: readonly Pick<RecentEntry, 'entry' | 'restarts'>[];
  /** Last seq of each earlier epoch: a position of one of them is still good up to there (W4). */
  readonly epochEnds: ReadonlyMap<number, number>;
  readonly producers: readonly RestoredProducer[];
  readonly checkpoints: ReadonlyMap<string, CheckpointRecord>;
  readonly playClock: PlayClock;
  readonly events: number;
}

/** What a journal says of a producer. */
export interface RestoredProducer {
  readonly context: ProducerContext;
  /** It had joined and not left. */
  readonly isPresent: boolean;
  /** Seq of its first entry. */
  readonly firstSeq: number;
  /** How much it had recorded, if it said so by leaving. */
  readonly expected: number | null;
  /** Its last entry is followed by a gap. */
  readonly restarts: boolean;
  readonly needsKeyframe: boolean;
}

export interface RoomEnvironment {
  readonly options: RelayOptions;
  readonly compression: Compression;
  readonly log: Logger;
  /** The journal does not take this room's entries any more (J5). */
  readonly onFailure: (error: GametapeError) => void;
}

/**
 * One room, one order: gives each event its place and number, writes it to the journal, and only then shows it to the
 * others (W3). What players and spectators see of joining and ending is in `membership.ts` and `ending.ts`.
 */
export class Room {
  readonly meta: RecordingMeta;
  readonly profile: Profile;
  readonly epoch: number;
  readonly epochEnds: ReadonlyMap<number, number>;
  readonly clock: RoomClock;
  readonly seats: Seat[] = [];
  readonly checkpoints: Map<string, CheckpointRecord>;
  readonly playClock: PlayClock;
  readonly recent: RecentEntries;
  readonly spectators = new Set<Receiver>();
  readonly #environment: RoomEnvironment;
  readonly #durability: string;
  readonly #timeline = new Timeline();
  readonly #journal: RoomJournal;
  #headSeq: number;
  #journaledSeq: number;
  #events: number;
  #isOver = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #flushTimer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #ackTimer: NodeJS.Timeout | undefined;
  #accepted: Promise<void> = Promise.resolve();
  #stable: Promise<void> = Promise.resolve();
  #failure: GametapeError | undefined;

  constructor(start: RoomStart, environment: RoomEnvironment) {
    this.meta = start.meta;
    this.profile = start.profile;
    this.epoch = start.epoch;
    this.epochEnds = start.epochEnds;
    this.clock = start.clock;
    this.checkpoints = new Map(start.checkpoints);
    this.playClock = start.playClock;
    this.#headSeq = start.headSeq;
    this.#journaledSeq = start.headSeq;
    this.#events = start.events;
    this.#environment = environment;
    this.#durability = start.journal.journal.durability;
    const now = this.clock.now();
    this.recent = new RecentEntries(start.headSeq - start.recent.length);
    for (const { entry, restarts } of start.recent) {
      this.recent.add({ entry, restarts, arrival: now });
      this.#timeline.remember(entry.seq, entry);
    }
    this.recent.trim(start.headSeq);
    for (const producer of start.producers) this.#restoreSeat(producer);
    this.#journal = new RoomJournal({
      ...start.journal,
      meta: start.meta,
      epoch: start.epoch,
      headSeq: start.headSeq,
      compression: environment.compression,
      contexts: () => this.currentSeats().map(({ context }) => context),
    });
  }

  get name(): string {
    return this.meta.room;
  }

  get recordingId(): string {
    return this.meta.recordingId;
  }

  get headSeq(): number {
    return this.#headSeq;
  }

  get events(): number {
    return this.#events;
  }

  get durability(): string {
    return this.#durability;
  }

  /** Its last block is sealed, or about to be: nothing more is recorded. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get failure(): GametapeError | undefined {
    return this.#failure;
  }

  /** The latest seat of each player: older ones have been superseded. */
  currentSeats(): Seat[] {
    return [...new Map(this.seats.map((seat) => [seat.player, seat])).values()];
  }

  /** A new producer's seat. Its PLAYER_JOIN is recorded apart, by `join`. */
  addSeat(player: string, instance: string, clock: number, name: string | undefined): Seat {
    const context = new ProducerContext(this.profile, { index: this.seats.length, player, instance });
    const seat = new Seat(context, new ClockEstimate(this.clock.now(), clock), name);
    this.seats.push(seat);
    this.#journal.addProducer(context);
    return seat;
  }

  /** Records PLAYER_JOIN, with the state of the hello if it has one, which `checkState` has let through. */
  join(seat: Seat, data: JsonObject, state?: Uint8Array): void {
    const { context } = seat;
    const entry = this.#record(seat, relayBody(context.vocabulary, EventType.PLAYER_JOIN, data, state));
    if (seat.firstSeq === 0) {
      seat.firstSeq = entry.seq;
      seat.lastKey = entry;
    }
  }

  /** Records PLAYER_LEAVE. */
  leave(seat: Seat, reason: LeaveReason): void {
    this.#record(seat, relayBody(seat.context.vocabulary, EventType.PLAYER_LEAVE, { reason }));
  }

  /**
   * Takes a message of events: those that are new get their place, those that are not are acked again (W2).
   *
   * @throws GametapeError for an event that may not be recorded; those before it are.
   */
  accept(seat: Seat, { firstPseq, shown, events }: EventsUp): void {
    const { context } = seat;
    if (seat.awaitsGap || !this.#mayRecord(seat)) return;
    if (firstPseq > context.pseq + 1) {
      seat.receiver?.send({ kind: 'expect', pseq: context.pseq + 1 });
      return;
    }
    // T5: a client cannot have been shown what does not exist.
    if (shown !== undefined) seat.shown = Math.min(shown, this.#headSeq);
    const arrival = this.clock.now();
    for (const [index, event] of events.entries()) {
      const pseq = firstPseq + index;
      if (pseq <= context.pseq) this.#acceptAgain(seat, pseq, event);
      else if (!this.#acceptNew(seat, pseq, event, arrival)) return;
    }
  }

  /** Takes a gap that a producer declares: its events up to `lastPseq` will not come (W3). */
  acceptGap(seat: Seat, { firstPseq, lastPseq, reason }: Gap): void {
    const { context } = seat;
    if (!this.#mayRecord(seat)) return;
    if (lastPseq <= context.pseq) return this.#scheduleAcks();
    if (firstPseq > context.pseq + 1) {
      seat.receiver?.send({ kind: 'expect', pseq: context.pseq + 1 });
      return;
    }
    this.#journal.addGap({ producer: context.index, firstPseq: context.pseq + 1, lastPseq, reason });
    this.#environment.log.warn({ room: this.name, player: seat.player, from: context.pseq + 1, to: lastPseq, reason }, 'gap');
    context.skipTo(lastPseq);
    seat.awaitsGap = false;
    seat.restarts = true;
    seat.needsKeyframe = true;
    this.#scheduleFlush();
  }

  /** An event of a player that is gone, or has said that there is none, would be acked and not be in the recording. */
  #mayRecord({ presence, isDone }: Seat): boolean {
    return !this.#isOver && presence !== 'gone' && !isDone;
  }

  /** Writes what waits and resolves once everything so far is accepted. @throws GametapeError `JOURNAL_FAILED` */
  async flushed(): Promise<void> {
    this.#flush();
    await this.#accepted;
  }

  /** The same for stable. */
  async stable(): Promise<void> {
    this.#flush();
    await this.#stable;
  }

  /** Puts everything into the recording's own file. @throws GametapeError `JOURNAL_FAILED` */
  async seal(end?: EndRecord): Promise<void> {
    if (end) this.#isOver = true;
    await this.flushed();
    const cursors = this.seats.map((seat) => [seat, seat.accepted] as const);
    await this.#journal.seal(end);
    for (const [seat, pseq] of cursors) seat.stable = Math.max(seat.stable, pseq);
  }

  /** Nothing is recorded or shown any more. */
  stop(): void {
    clearTimeout(this.#flushTimer as NodeJS.Timeout);
    clearImmediate(this.#flushTimer as NodeJS.Immediate);
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#retryTimer);
  }

  /** A seat as it comes back: nobody is connected, who was may return. What it had accepted is stable once sealed. */
  #restoreSeat({ context, isPresent, firstSeq, expected, restarts, needsKeyframe }: RestoredProducer): void {
    const seat = new Seat(context, new ClockEstimate(this.clock.now(), this.clock.now()), undefined);
    seat.presence = isPresent ? 'away' : 'gone';
    seat.accepted = context.pseq;
    seat.lastKey = { time: context.time, hlc: context.hlc };
    seat.firstSeq = firstSeq;
    seat.expected = expected;
    seat.restarts = restarts;
    seat.needsKeyframe = needsKeyframe;
    this.seats.push(seat);
  }

  /** @throws GametapeError when a hello's state may not be recorded */
  checkState(state: Uint8Array): void {
    // Read once on the side: the seat is only made when the state is good.
    const trial = new ProducerContext(this.profile, { index: 0, player: '', instance: '' });
    trial.read(state, 0, 'BAD_MESSAGE', this.#environment.compression.crc32, (body) => {
      if (body.event || body.change?.form !== 'keyframe') {
        throw new GametapeError('BAD_MESSAGE', 'hello: expected a keyframe as the state, found something else');
      }
      checkBody(body, trial.state, this.profile);
    });
  }

  #acceptAgain(seat: Seat, pseq: number, { body }: EventUp): void {
    if (!seat.mayBeBody(pseq, this.#environment.compression.crc32(body))) {
      throw new GametapeError('BAD_MESSAGE', `event ${pseq}: recorded already, with other content`);
    }
    this.#scheduleAcks();
  }

  /** False when a gap has to come first. */
  #acceptNew(seat: Seat, pseq: number, { stampDelta, body }: EventUp, arrival: number): boolean {
    const { context } = seat;
    const stamp = Math.min(MAX_STAMP, Math.max(context.stamp, context.stamp + stampDelta));
    const { crc32 } = this.#environment.compression;
    const check = (read: Body) => {
      if (seat.needsKeyframe && read.change?.form === 'delta') {
        throw new GametapeError('BAD_DELTA', 'expected a keyframe after the gap, found a delta');
      }
      checkBody(read, context.state, this.profile);
    };
    let decoded: Body;
    try {
      decoded = context.read(body, stamp, 'BAD_MESSAGE', crc32, check);
    } catch (error) {
      if (!isGametapeError(error, 'BAD_DELTA')) throw error;
      seat.awaitsGap = true;
      this.#environment.log.warn({ room: this.name, player: seat.player, pseq, reason: error.message }, 'delta does not fit');
      seat.receiver?.send({ kind: 'need-keyframe', pseq });
      return false;
    }
    if (decoded.change) seat.needsKeyframe = false;
    const { lastKey, estimate, shown } = seat;
    const key = this.#timeline.place({ previous: lastKey, estimate, stamp, arrival, shown });
    const entry = { ...key, seq: ++this.#headSeq, producer: context.index, pseq, stamp, body };
    seat.lastKey = key;
    seat.received++;
    seat.rememberBody(pseq, crc32(body));
    context.follow(entry);
    this.#append(entry, seat, arrival);
    if (decoded.event) this.#observe(seat, entry, decoded.event);
    return true;
  }

  /** An entry that the relay makes about a seat. */
  #record(seat: Seat, body: Uint8Array): TimelineEntry {
    const { context } = seat;
    const arrival = this.clock.now();
    const previous = { time: context.time, hlc: context.hlc };
    const key = this.#timeline.placeOwn(previous, arrival);
    const entry = { ...key, seq: ++this.#headSeq, producer: context.index, pseq: 0, stamp: null, body };
    const { event } = context.advance(entry, 'BAD_MESSAGE', this.#environment.compression.crc32);
    this.#append(entry, seat, arrival);
    if (event) this.#observe(seat, entry, event);
    return entry;
  }

  #append(entry: TimelineEntry, seat: Seat, arrival: number): void {
    this.#timeline.remember(entry.seq, entry);
    this.#journal.add(entry);
    this.recent.add({ entry, restarts: seat.restarts && entry.stamp !== null, arrival });
    if (entry.stamp !== null) seat.restarts = false;
    this.#scheduleFlush();
  }

  /** What an event means for the room beside being recorded. */
  #observe(seat: Seat, entry: TimelineEntry, event: { type: string; data: JsonObject }): void {
    this.#events++;
    this.playClock.observe(entry.time, seat.player, event);
    if (event.type === EventType.CHECKPOINT && entry.stamp !== null) this.#checkpoint(seat, entry, event.data.name);
  }

  #checkpoint(seat: Seat, { seq, time, pseq }: TimelineEntry, name: unknown): void {
    if (typeof name !== 'string' || name === '' || name.length > 256) {
      return this.#refuse(seat, new GametapeError('BAD_EVENT', 'checkpoint: expected a name of 1 to 256 characters'), pseq);
    }
    if (this.checkpoints.has(name)) {
      const message = `checkpoint ${JSON.stringify(name)}: the room has one of that name`;
      return this.#refuse(seat, new GametapeError('NAME_TAKEN', message), pseq);
    }
    const { crc32 } = this.#environment.compression;
    const known = this.currentSeats().filter(({ context }) => context.state.size > 0);
    const hashes = known.map(({ context }) => [context.index, context.state.hash(crc32)] as const);
    const checkpoint = { name, seq, eventIndex: 0, time, hashes };
    this.checkpoints.set(name, checkpoint);
    this.#journal.addCheckpoint(checkpoint);
  }

  #refuse(seat: Seat, { code, message }: GametapeError, pseq: number): void {
    seat.receiver?.send({ kind: 'notice', code, message, pseq });
  }

  /** Soon: at the end of this turn when the room was quiet, else when the interval is over (W7). */
  #scheduleFlush(): void {
    if (this.#flushTimer !== undefined) return;
    const waitMs = this.#flushedAt + this.#environment.options.flushMs - performance.now();
    const flush = () => this.#flush();
    this.#flushTimer = waitMs <= 0 ? setImmediate(flush) : setTimeout(flush, waitMs);
  }

  #flush(): void {
    clearTimeout(this.#flushTimer as NodeJS.Timeout);
    clearImmediate(this.#flushTimer as NodeJS.Immediate);
    this.#flushTimer = undefined;
    if (this.#journal.isFlushed || this.#failure) return;
    this.#flushedAt = performance.now();
    const upTo = this.#headSeq;
    const cursors = this.seats.map((seat) => [seat, seat.context.pseq] as const);
    const { accepted, stable } = this.#appendAll();
    this.#accepted = accepted.then(() => {
      this.#journaledSeq = upTo;
      for (const [seat, pseq] of cursors) seat.accepted = Math.max(seat.accepted, pseq);
      this.fanOut();
    });
    this.#stable = stable.then(() => {
      for (const [seat, pseq] of cursors) seat.stable = Math.max(seat.stable, pseq);
      this.#scheduleAcks();
    });
    this.#accepted.catch((error: unknown) => this.#fail(error));
    this.#stable.catch((error: unknown) => this.#fail(error));
    this.#journal.sealIfDue(this.clock.now())?.catch((error: unknown) => this.#fail(error));
  }

  /** What cannot be written fails this room, not the process (S4). */
  #appendAll(): Appended {
    try {
      return this.#journal.flush();
    } catch (cause) {
      return rejected(new GametapeError('JOURNAL_FAILED', `room ${this.name}: ${(cause as Error).message}`, { cause }));
    }
  }

  /** Shows everybody what is in the journal and has not been shown. */
  fanOut(): void {
    const now = this.clock.now();
    const producers = this.seats.map(({ context }) => context);
    const options = { recent: this.recent, producers, upTo: this.#journaledSeq, now };
    for (const seat of this.seats) {
      if (seat.receiver && !fanOut(seat.receiver, seat, options)) seat.receiver.drop();
    }
    for (const receiver of this.spectators) if (!fanOut(receiver, undefined, options)) receiver.drop();
    this.recent.trim(this.#journaledSeq);
    if (this.#retryTimer === undefined && this.#isAnybodyBehind()) {
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        this.fanOut();
      }, RETRY_MS);
    }
  }

  /** W8: nothing may come any more that would show them the rest, or show that they do not read. */
  #isAnybodyBehind(): boolean {
    const isBehind = (receiver: Receiver) => receiver.isReady && receiver.position < this.#journaledSeq;
    return this.seats.some(({ receiver }) => receiver && isBehind(receiver)) || [...this.spectators].some(isBehind);
  }

  #scheduleAcks(): void {
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = undefined;
      for (const { receiver, accepted, stable } of this.seats) {
        if (receiver?.isReady) receiver.send({ kind: 'ack', acks: { accepted, stable } });
      }
    }, ACK_DELAY_MS);
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = isGametapeError(error) ? error : new GametapeError('JOURNAL_FAILED', String(error), { cause: error });
    this.#environment.onFailure(this.#failure);
  }
}
