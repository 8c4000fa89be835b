import {
  type Body,
  type CheckpointRecord,
  type Compression,
  type EndRecord,
  type EventsUp,
  EventType,
  type EventUp,
  GametapeError,
  type Gap,
  isGametapeError,
  type JsonObject,
  LIMITS,
  type PlayClock,
  type Position,
  ProducerContext,
  type Profile,
  type RecordingMeta,
  type TimelineEntry,
} from '@gametape/shared';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import type { RoomClock } from '../timeline/clock.ts';
import { ClockEstimate } from '../timeline/clock-estimate.ts';
import { Timeline } from '../timeline/timeline.ts';
import { checkBody } from './event-check.ts';
import type { Flusher } from './flusher.ts';
import type { Receiver } from './receiver.ts';
import { RecentEntries } from './recent-entries.ts';
import { type LeaveReason, relayBody } from './room-events.ts';
import { RoomJournal } from './room-journal.ts';
import { RoomLimits } from './room-limits.ts';
import { RoomOutput } from './room-output.ts';
import type { RestoredProducer, RoomStart } from './room-start.ts';
import { Seat } from './seat.ts';

/** 35 years: more than any clock shows, and sums of them are still whole numbers. */
const MAX_STAMP = 2 ** 50;
/** Longest reason of a gap that is kept, in UTF-16 code units: a gap costs its producer nothing else. */
const MAX_REASON = 200;

export interface RoomEnvironment {
  readonly options: RelayOptions;
  readonly compression: Compression;
  readonly log: Logger;
  /** Shared by all rooms of the relay. */
  readonly flusher: Flusher;
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
  readonly clock: RoomClock;
  readonly seats: Seat[] = [];
  readonly checkpoints: Map<string, CheckpointRecord>;
  readonly playClock: PlayClock;
  readonly recent: RecentEntries;
  readonly #environment: RoomEnvironment;
  readonly #epochEnds: ReadonlyMap<number, number>;
  readonly #durability: string;
  readonly #timeline = new Timeline();
  readonly #output: RoomOutput;
  readonly #limits: RoomLimits;
  #headSeq: number;
  #events: number;
  #isOver = false;

  constructor(start: RoomStart, environment: RoomEnvironment) {
    this.meta = start.meta;
    this.profile = start.profile;
    this.epoch = start.epoch;
    this.#epochEnds = start.epochEnds;
    this.clock = start.clock;
    this.checkpoints = new Map(start.checkpoints);
    this.playClock = start.playClock;
    this.#headSeq = start.headSeq;
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
    const { meta, epoch, headSeq, clock } = start;
    const { compression, flusher, onFailure } = environment;
    this.#limits = new RoomLimits(meta.room, () => this.currentSeats());
    const contexts = () => this.currentSeats().map(({ context }) => context);
    const journal = new RoomJournal({ ...start.journal, meta, epoch, headSeq, compression, contexts });
    const { seats, recent } = this;
    this.#output = new RoomOutput({ name: meta.room, clock, journal, flusher, seats, recent, headSeq, onFailure });
  }

  /** Whoever watches, beside the seats. */
  get spectators(): Set<Receiver> {
    return this.#output.spectators;
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
    return this.#output.failure;
  }

  /**
   * Whether whoever stands at that position can be shown all the rest (W4). An epoch that wrote nothing has left no trace: it
   * ended where the one before it did.
   */
  covers({ epoch, seq }: Position): boolean {
    const known = epoch > this.epoch ? [] : [...this.#epochEnds.keys()].filter((earlier) => earlier <= epoch);
    const end = epoch === this.epoch ? this.#headSeq : this.#epochEnds.get(Math.max(0, ...known));
    return end !== undefined && seq <= end && this.recent.covers(seq);
  }

  /** The latest seat of each player: older ones have been superseded. */
  currentSeats(): Seat[] {
    return [...new Map(this.seats.map((seat) => [seat.player, seat])).values()];
  }

  /** A new producer's seat. Its PLAYER_JOIN is recorded apart, by `join`. @throws GametapeError `ROOM_FULL` */
  addSeat(player: string, instance: string, clock: number, name: string | undefined): Seat {
    this.#limits.checkProducers(this.seats.length);
    const context = new ProducerContext(this.profile, { index: this.seats.length, player, instance });
    const seat = new Seat(context, new ClockEstimate(this.clock.now(), clock), name);
    this.seats.push(seat);
    this.#output.addProducer(context);
    return seat;
  }

  /** Records PLAYER_JOIN, with the state of the hello if it has one, which `checkState` has let through. */
  join(seat: Seat, data: JsonObject, state?: Uint8Array): void {
    const { context } = seat;
    seat.hasJoined = true;
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

  /**
   * Takes a gap that a producer declares: its events up to `lastPseq` will not come (W3).
   *
   * @throws GametapeError `LIMIT_EXCEEDED`
   */
  acceptGap(seat: Seat, { firstPseq, lastPseq, reason }: Gap): void {
    const { context } = seat;
    if (!this.#mayRecord(seat)) return;
    if (lastPseq <= context.pseq) {
      this.#output.repeatAcks(seat.receiver);
      return;
    }
    if (firstPseq > context.pseq + 1) {
      seat.receiver?.send({ kind: 'expect', pseq: context.pseq + 1 });
      return;
    }
    this.#limits.countGap();
    const stated = reason.slice(0, MAX_REASON).toWellFormed();
    this.#output.addGap({ producer: context.index, firstPseq: context.pseq + 1, lastPseq, reason: stated });
    this.#environment.log.warn(
      { room: this.name, player: seat.player, from: context.pseq + 1, to: lastPseq, reason: stated },
      'gap',
    );
    context.skipTo(lastPseq);
    seat.awaitsGap = false;
    seat.restarts = true;
    seat.needsKeyframe = true;
  }

  /** An event of a player that is gone, or has said that there is none, would be acked and not be in the recording. */
  #mayRecord({ presence, isDone }: Seat): boolean {
    return !this.#isOver && presence !== 'gone' && !isDone;
  }

  /** Writes what waits and resolves once everything so far is accepted. @throws GametapeError `JOURNAL_FAILED` */
  flushed(): Promise<void> {
    return this.#output.flushed();
  }

  /** The same, and that the room itself is stable: its recording id may be told. @throws GametapeError `JOURNAL_FAILED` */
  founded(): Promise<void> {
    return this.#output.founded();
  }

  /** The same for stable. */
  stable(): Promise<void> {
    return this.#output.stable();
  }

  /** Puts everything into the recording's own file; with `end` for good. @throws GametapeError `JOURNAL_FAILED` */
  seal(end?: EndRecord): Promise<void> {
    if (end) this.#isOver = true;
    return this.#output.seal(end);
  }

  /** Shows everybody what is in the journal and has not been shown. */
  fanOut(): void {
    this.#output.fanOut();
  }

  /** Nothing is recorded or shown any more. */
  stop(): void {
    this.#output.stop();
  }

  /** A seat as it comes back: nobody is connected, who was may return. What it had accepted is stable once sealed. */
  #restoreSeat({ context, hasJoined, isPresent, firstSeq, expected, restarts, needsKeyframe }: RestoredProducer): void {
    const seat = new Seat(context, new ClockEstimate(this.clock.now(), this.clock.now()), undefined);
    seat.presence = isPresent ? 'away' : 'gone';
    seat.hasJoined = hasJoined;
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
    this.#limits.checkNew(trial.state.bytes);
  }

  #acceptAgain(seat: Seat, pseq: number, { body }: EventUp): void {
    if (!seat.mayBeBody(pseq, this.#environment.compression.crc32(body))) {
      throw new GametapeError('BAD_MESSAGE', `event ${pseq}: recorded already, with other content`);
    }
    this.#output.repeatAcks(seat.receiver);
  }

  /** False when a gap has to come first. */
  #acceptNew(seat: Seat, pseq: number, { stampDelta, body }: EventUp, arrival: number): boolean {
    const { context } = seat;
    const stamp = Math.min(MAX_STAMP, Math.max(context.stamp, context.stamp + stampDelta));
    const { crc32 } = this.#environment.compression;
    const stateBytes = context.state.bytes;
    const check = (read: Body) => {
      if (seat.needsKeyframe && read.change?.form === 'delta') {
        throw new GametapeError('BAD_DELTA', 'expected a keyframe after the gap, found a delta');
      }
      checkBody(read, context.state, this.profile);
      this.#limits.checkGrown(context.state.bytes - stateBytes);
    };
    let decoded: Body;
    try {
      decoded = context.read(body, stamp, 'BAD_MESSAGE', crc32, check);
    } catch (error) {
      if (!isGametapeError(error, 'BAD_DELTA')) throw error;
      seat.awaitsGap = true;
      this.#environment.log.warn(
        { room: this.name, player: seat.player, pseq, reason: error.message },
        'delta does not fit',
      );
      seat.receiver?.send({ kind: 'need-keyframe', pseq });
      return false;
    }
    if (decoded.change) seat.needsKeyframe = false;
    const { lastKey, estimate, shown } = seat;
    // Field by field: a spread here costs more than all the rest of placing an event.
    const { time, hlc } = this.#timeline.place({ previous: lastKey, estimate, stamp, arrival, shown });
    const entry = { seq: ++this.#headSeq, producer: context.index, pseq, time, hlc, stamp, body };
    seat.lastKey = entry;
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
    const { time, hlc } = this.#timeline.placeOwn(previous, arrival);
    const entry = { seq: ++this.#headSeq, producer: context.index, pseq: 0, time, hlc, stamp: null, body };
    const { event } = context.advance(entry, 'BAD_MESSAGE', this.#environment.compression.crc32);
    this.#append(entry, seat, arrival);
    if (event) this.#observe(seat, entry, event);
    return entry;
  }

  #append(entry: TimelineEntry, seat: Seat, arrival: number): void {
    this.#timeline.remember(entry.seq, entry);
    this.#output.addEntry(entry, { restarts: seat.restarts && entry.stamp !== null, arrival });
    if (entry.stamp !== null) seat.restarts = false;
  }

  /** What an event means for the room beside being recorded. */
  #observe(seat: Seat, entry: TimelineEntry, event: { type: string; data: JsonObject }): void {
    this.#events++;
    this.playClock.observe(entry.time, seat.player, event);
    if (event.type === EventType.CHECKPOINT && entry.stamp !== null) this.#checkpoint(seat, entry, event.data.name);
  }

  #checkpoint(seat: Seat, { seq, time, pseq }: TimelineEntry, name: unknown): void {
    if (typeof name !== 'string' || name === '' || name.length > 256) {
      const message = 'checkpoint: expected a name of 1 to 256 characters';
      seat.receiver?.send({ kind: 'notice', code: 'BAD_EVENT', message, pseq });
      return;
    }
    if (this.checkpoints.has(name)) {
      const message = `checkpoint ${JSON.stringify(name)}: the room has one of that name`;
      seat.receiver?.send({ kind: 'notice', code: 'NAME_TAKEN', message, pseq });
      return;
    }
    if (this.checkpoints.size >= LIMITS.checkpoints) {
      const message = `checkpoint ${JSON.stringify(name)}: the room has ${this.checkpoints.size}, no more are allowed`;
      seat.receiver?.send({ kind: 'notice', code: 'LIMIT_EXCEEDED', message, pseq });
      return;
    }
    const { crc32 } = this.#environment.compression;
    const known = this.currentSeats().filter(({ context }) => context.state.size > 0);
    const hashes = known.map(({ context }) => [context.index, context.state.hash(crc32)] as const);
    const checkpoint = { name, seq, eventIndex: 0, time, hashes };
    this.checkpoints.set(name, checkpoint);
    this.#output.addCheckpoint(checkpoint);
  }
}
