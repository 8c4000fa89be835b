import {
  type Body,
  type CheckpointPlace,
  type Compression,
  type EndRecord,
  type EventsUp,
  EventType,
  type EventUp,
  type GameEvent,
  GametapeError,
  type Gap,
  isGametapeError,
  type JsonObject,
  type LiveState,
  type PlayClock,
  type Position,
  ProducerContext,
  type Profile,
  type RecordingMeta,
  type RoomRecord,
  type TimelineEntry,
} from '@gametape/shared';
import type { Journal, Sealed } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import type { RoomClock } from '../timeline/clock.ts';
import { ClockEstimate } from '../timeline/clock-estimate.ts';
import { isLater, type Key, ORIGIN } from '../timeline/key.ts';
import { Timeline } from '../timeline/timeline.ts';
import { statesAtCheckpoint } from './checkpoint-states.ts';
import { checkBody } from './event-check.ts';
import type { Flusher } from './flusher.ts';
import type { Receiver } from './receiver.ts';
import { RecentEntries } from './recent-entries.ts';
import { RoomCheckpoints } from './room-checkpoints.ts';
import { isForOwner, type LeaveReason, relayBody, restoringBody } from './room-events.ts';
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
  /** Something threw that should not have (S4). */
  readonly onFault: (error: unknown) => void;
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
  readonly checkpoints: RoomCheckpoints;
  readonly playClock: PlayClock;
  readonly recent: RecentEntries;
  readonly #environment: RoomEnvironment;
  readonly #epochEnds: ReadonlyMap<number, number>;
  readonly #journal: Journal;
  readonly #timeline = new Timeline();
  readonly #output: RoomOutput;
  readonly #limits: RoomLimits;
  readonly #startStates: ReadonlyMap<string, LiveState>;
  #headSeq: number;
  #events: number;
  #isOver = false;

  constructor(start: RoomStart, environment: RoomEnvironment) {
    this.meta = start.meta;
    this.profile = start.profile;
    this.epoch = start.epoch;
    this.#epochEnds = start.epochEnds;
    this.clock = start.clock;
    this.checkpoints = new RoomCheckpoints(start.meta.room, start.checkpoints);
    this.playClock = start.playClock;
    this.#startStates = start.startStates ?? new Map();
    this.#headSeq = start.headSeq;
    this.#events = start.events;
    this.#environment = environment;
    this.#journal = start.journal.journal;
    const now = this.clock.now();
    this.recent = new RecentEntries(start.headSeq - start.recent.length);
    for (const item of start.recent) {
      const { entry } = item;
      this.recent.add({ ...item, arrival: now });
      this.#timeline.remember(entry.seq, entry);
    }
    this.recent.trim(start.headSeq);
    for (const producer of start.producers) this.#restoreSeat(producer);
    const { meta, epoch, headSeq, clock } = start;
    const { compression, flusher, onFailure, onFault } = environment;
    this.#limits = new RoomLimits(meta.room, () => this.currentSeats(), start.gaps);
    const opening = () => ({ contexts: this.currentSeats().map(({ context }) => context), room: this.#describe() });
    const journal = new RoomJournal({ ...start.journal, meta, epoch, headSeq, compression, opening });
    const { seats, recent } = this;
    this.#output = new RoomOutput({
      name: meta.room,
      clock,
      journal,
      flusher,
      seats,
      recent,
      headSeq,
      onFailure,
      onFault,
    });
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
    return this.#journal.durability;
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

  /** A seat for what is about the room and about no player: one that is present, or the first there was. */
  anySeat(): Seat {
    const seats = this.currentSeats();
    const seat = seats.find(({ presence }) => presence === 'present') ?? seats[0];
    if (!seat) throw new GametapeError('NOT_FOUND', `room ${this.name}: nobody has joined it`);
    return seat;
  }

  /** Every player's state at a checkpoint, as the journal has it. @throws GametapeError `DAMAGED`, `JOURNAL_FAILED` */
  async statesAt(checkpoint: CheckpointPlace): Promise<ReadonlyMap<string, LiveState>> {
    await this.flushed();
    const producers = this.seats.map(({ context }) => context);
    const { compression } = this.#environment;
    return await statesAtCheckpoint({ journal: this.#journal, meta: this.meta, producers, compression }, checkpoint);
  }

  /** Names this point for nobody in particular. @throws GametapeError `BAD_EVENT`, `NAME_TAKEN`, `LIMIT_EXCEEDED` */
  checkpoint(name: string): CheckpointPlace {
    this.checkpoints.check(name);
    const seat = this.anySeat();
    const entry = this.#record(seat, relayBody(seat.context.vocabulary, EventType.CHECKPOINT, { name }));
    this.#addCheckpoint(entry, name);
    return { name, seq: entry.seq, time: entry.time };
  }

  /** Play time stands still, or goes on for all who hold it: what they said by themselves counts as if they had taken it back. */
  setPaused(isPaused: boolean): void {
    const { paused } = this.playClock;
    if (isPaused === (paused !== undefined)) return;
    const holders = isPaused
      ? [this.anySeat()]
      : this.currentSeats().filter((seat) => paused?.players.includes(seat.player));
    for (const seat of holders) {
      const data = { speed: isPaused ? 0 : 1 };
      this.#record(seat, relayBody(seat.context.vocabulary, EventType.SPEED_CHANGE, data));
    }
  }

  /** A new producer's seat. Its PLAYER_JOIN is recorded apart, by `join`. @throws GametapeError `ROOM_FULL` */
  addSeat(player: string, instance: string, name: string | undefined): Seat {
    this.#limits.checkProducers(this.seats.length);
    const context = new ProducerContext(this.profile, { index: this.seats.length, player, instance });
    const seat = new Seat(context, new ClockEstimate(this.epoch), name);
    this.seats.push(seat);
    this.#output.addProducer(context);
    return seat;
  }

  /** Records PLAYER_JOIN, with the state of the hello if it has one, which `checkState` has let through. */
  join(seat: Seat, data: JsonObject, state?: Uint8Array): void {
    const { context } = seat;
    seat.hasJoined = true;
    const entry = this.#record(seat, relayBody(context.vocabulary, EventType.PLAYER_JOIN, data, state));
    if (seat.firstSeq === entry.seq) seat.lastKey = entry;
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
  accept(seat: Seat, { firstPseq, shown, base = 0, events }: EventsUp): void {
    const { context } = seat;
    if (seat.awaitsGap || !this.#mayRecord(seat)) return;
    if (firstPseq > context.pseq + 1) {
      seat.receiver?.send({ kind: 'expect', pseq: context.pseq + 1 });
      return;
    }
    // T5: a client cannot have been shown what does not exist.
    if (shown !== undefined) seat.shown = Math.min(shown, this.#headSeq);
    seat.follow(Math.min(base, seat.rewoundAt));
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
    this.#skip(seat, lastPseq, reason.slice(0, MAX_REASON).toWellFormed());
  }

  /** States what recovery left out and nobody has sent again: the room ends without it (J4, W6). */
  stateLeftOut(): void {
    for (const seat of this.seats) {
      if (seat.leftOut <= seat.context.pseq || !this.#limits.hasGapLeft) continue;
      this.#limits.countGap();
      this.#skip(seat, seat.leftOut, 'damaged in the journal');
    }
  }

  #skip(seat: Seat, lastPseq: number, reason: string): void {
    const { context } = seat;
    const gap = { producer: context.index, firstPseq: context.pseq + 1, lastPseq, reason };
    context.skipTo(lastPseq);
    seat.awaitsGap = false;
    // After a rewind that it has not answered yet both sides know where they are: at the restored state.
    const isFollowed = seat.base >= seat.rewoundAt;
    seat.restarts = isFollowed;
    seat.needsKeyframe = isFollowed;
    seat.staleVocabularies.clear();
    this.#output.addGap(gap);
    this.#environment.log.warn({ room: this.name, player: seat.player, ...gap }, 'gap');
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
  seal(end?: EndRecord): Promise<Sealed> {
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

  /** The same for good: a fault has left it in a state that nobody knows. */
  abandon(): void {
    this.#isOver = true;
    this.#output.stop();
  }

  /** A seat as it comes back: nobody is connected, who was may return. What it had accepted is stable once sealed. */
  #restoreSeat({ context, hasJoined, isPresent, firstSeq, expected, ...standing }: RestoredProducer): void {
    const seat = new Seat(context, new ClockEstimate(this.epoch), undefined);
    seat.presence = isPresent ? 'away' : 'gone';
    seat.hasJoined = hasJoined;
    seat.accepted = context.pseq;
    seat.lastKey = { time: context.time, hlc: context.hlc };
    seat.firstSeq = firstSeq;
    seat.expected = expected;
    seat.restarts = standing.restarts;
    seat.needsKeyframe = standing.needsKeyframe;
    seat.rewoundAt = standing.rewoundAt;
    seat.leftOut = standing.leftOut;
    for (const [base, vocabulary] of standing.staleVocabularies) seat.staleVocabularies.set(base, vocabulary);
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
  #acceptNew(seat: Seat, pseq: number, { stampDelta, body: sent }: EventUp, arrival: number): boolean {
    const { context } = seat;
    const isStale = seat.base < seat.rewoundAt;
    const body = isStale ? seat.withoutChange(sent) : sent;
    if (!body)
      return this.#askForKeyframe(seat, pseq, 'it goes on from before a rewind, and from a vocabulary that is lost');
    const stamp = Math.min(MAX_STAMP, Math.max(context.stamp, context.stamp + stampDelta));
    const { crc32 } = this.#environment.compression;
    const stateBytes = context.state.bytes;
    const check = (read: Body) => {
      if (seat.needsKeyframe && read.change?.form === 'delta' && !isStale) {
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
      return this.#askForKeyframe(seat, pseq, error.message);
    }
    if (decoded.change) seat.needsKeyframe = false;
    const { lastKey, estimate, shown } = seat;
    // Field by field: a spread here costs more than all the rest of placing an event.
    const wentBackUs = Math.max(0, -stampDelta);
    const { time, hlc } = this.#timeline.place({ previous: lastKey, estimate, pseq, stamp, wentBackUs, arrival, shown });
    const entry = { seq: ++this.#headSeq, producer: context.index, pseq, time, hlc, stamp, body };
    seat.lastKey = entry;
    seat.received++;
    seat.rememberBody(pseq, crc32(sent));
    context.follow(entry);
    this.#append(entry, seat, arrival, decoded.event);
    return true;
  }

  #askForKeyframe(seat: Seat, pseq: number, reason: string): false {
    seat.awaitsGap = true;
    this.#environment.log.warn({ room: this.name, player: seat.player, pseq, reason }, 'delta does not fit');
    seat.receiver?.send({ kind: 'need-keyframe', pseq });
    return false;
  }

  /**
   * Restores the states of a checkpoint: one keyframe for each player that had one, the last with the REWIND (T8).
   *
   * @param holder whose event it is
   * @throws GametapeError `LIMIT_EXCEEDED` and nothing is rewound
   */
  rewind(holder: Seat, name: string, states: ReadonlyMap<string, LiveState>): void {
    const seats = this.currentSeats();
    this.#limits.checkAll(seats.map(({ player, context }) => (states.get(player) ?? context.state).bytes));
    const event = { type: EventType.REWIND, data: { name } };
    let after: Key = ORIGIN;
    for (const seat of [...seats.filter((other) => other !== holder), holder]) {
      const state = states.get(seat.player);
      const { vocabulary } = seat.context;
      if (seat !== holder && !state) continue;
      const made = seat === holder ? event : undefined;
      const body = state ? restoringBody(vocabulary, state, made) : relayBody(vocabulary, event.type, event.data);
      if (!state) this.#record(seat, body, after);
      else after = this.#restore(seat, body, after);
    }
  }

  /** A player that is new here starts from the checkpoint that the room started from, if it had a state there. */
  startFrom(seat: Seat): void {
    const state = this.#startStates.get(seat.player);
    if (!state || this.seats.some((other) => other !== seat && other.player === seat.player)) return;
    this.#restore(seat, restoringBody(seat.context.vocabulary, state));
  }

  /** What its player makes before it sees this comes after it all the same: states are as they follow each other. */
  #restore(seat: Seat, body: Uint8Array, after?: Key): TimelineEntry {
    seat.rewind(this.#headSeq + 1);
    const entry = this.#record(seat, body, after);
    seat.lastKey = entry;
    return entry;
  }

  /** An entry that the relay makes about a seat, after that one in the order of the timeline. */
  #record(seat: Seat, body: Uint8Array, after: Key = ORIGIN): TimelineEntry {
    const { context } = seat;
    const arrival = this.clock.now();
    const previous = { time: context.time, hlc: context.hlc };
    const { time, hlc } = this.#timeline.placeOwn(isLater(after, previous) ? after : previous, arrival);
    const entry = { seq: ++this.#headSeq, producer: context.index, pseq: 0, time, hlc, stamp: null, body };
    const { event } = context.advance(entry, 'BAD_MESSAGE', this.#environment.compression.crc32);
    this.#append(entry, seat, arrival, event);
    return entry;
  }

  /** What an entry changes about the room comes first: the block may be sealed with it, and the next says how things stand. */
  #append(entry: TimelineEntry, seat: Seat, arrival: number, event: GameEvent | undefined): void {
    const isOwn = entry.stamp !== null;
    const restarts = seat.restarts && isOwn;
    if (isOwn) seat.restarts = false;
    if (seat.firstSeq === 0) seat.firstSeq = entry.seq;
    if (event) {
      this.#events++;
      this.playClock.observe(entry.time, seat.player, event);
    }
    this.#timeline.remember(entry.seq, entry);
    this.#output.addEntry({ entry, restarts, arrival, isForOwner: !isOwn && isForOwner(event?.type) });
    if (isOwn && event?.type === EventType.CHECKPOINT) this.#nameCheckpoint(seat, entry, event.data.name);
  }

  /** A name that cannot be given is answered: the event is recorded all the same. */
  #nameCheckpoint(seat: Seat, entry: TimelineEntry, name: unknown): void {
    try {
      this.checkpoints.check(name);
      this.#addCheckpoint(entry, name);
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      const { code, message } = error;
      seat.receiver?.send({ kind: 'notice', code, message, pseq: entry.pseq });
    }
  }

  #addCheckpoint({ seq, time }: TimelineEntry, name: string): void {
    const { crc32 } = this.#environment.compression;
    const known = this.currentSeats().filter(({ context }) => context.state.size > 0);
    const hashes = known.map(({ context }) => [context.index, context.state.hash(crc32)] as const);
    this.checkpoints.add({ name, seq, time });
    this.#output.addCheckpoint({ name, seq, eventIndex: 0, time, hashes });
  }

  /** How the room stands now, for whoever recovers it from here on (J3). */
  #describe(): RoomRecord {
    const { playClock } = this;
    return {
      headSeq: this.#headSeq,
      time: this.clock.now(),
      events: this.#events,
      gaps: this.#limits.gaps,
      epochEnds: [...this.#epochEnds, [this.epoch, this.#headSeq]],
      checkpoints: this.checkpoints.places,
      pauses: playClock.past,
      paused: playClock.paused,
      producers: this.seats.map((seat) => seat.describe()),
    };
  }
}
