import {
  type Body,
  type CheckpointPlace,
  type Compression,
  type EventsUp,
  type EventUp,
  GametapeError,
  type Gap,
  type GapRecord,
  isGametapeError,
  LIMITS,
  type LiveState,
  ProducerContext,
  type Profile,
  type RecordingMeta,
} from '@gametape/shared';
import { Audience } from '../audience/audience.ts';
import { DelayedView } from '../audience/delayed-view.ts';
import { Fragments } from '../audience/fragments.ts';
import { LiveView } from '../audience/live-view.ts';
import type { FlushMark } from '../audience/open-blocks.ts';
import { SyncAnswers } from '../audience/sync-answers.ts';
import type { Journal } from '../journal/journal.ts';
import type { Logger } from '../log.ts';
import type { RelayOptions } from '../options.ts';
import type { RoomClock } from '../timeline/clock.ts';
import { ClockEstimate } from '../timeline/clock-estimate.ts';
import { Admission } from './admission.ts';
import { Broadcast } from './broadcast.ts';
import { statesAtCheckpoint } from './checkpoint-states.ts';
import type { Flusher } from './flusher.ts';
import { RecentEntries } from './recent-entries.ts';
import { RelayEvents } from './relay-events.ts';
import { type LeftOut, RoomJournal } from './room-journal.ts';
import { RoomLimits } from './room-limits.ts';
import { RoomOutput } from './room-output.ts';
import { RoomRecording } from './room-recording.ts';
import type { RoomStart } from './room-start.ts';
import type { SealBacklog } from './seal-backlog.ts';
import { Seat } from './seat.ts';
import { Seats } from './seats.ts';

/** 35 years: more than any clock shows, and sums of them are still whole numbers. */
const MAX_STAMP = 2 ** 50;
/** Longest reason of a gap that is kept, in UTF-16 code units: a gap costs its producer nothing else. */
const MAX_REASON = 200;
/** The reason of a gap that nobody but the journal is to blame for. */
const LEFT_OUT = 'damaged in the journal';

export interface RoomEnvironment {
  readonly options: RelayOptions;
  readonly compression: Compression;
  readonly log: Logger;
  /** Shared by all rooms of the relay. */
  readonly flusher: Flusher;
  readonly backlog: SealBacklog;
  /** The journal does not take this room's entries any more (J5). */
  readonly onFailure: (error: GametapeError) => void;
  /** Something threw that should not have (S4). */
  readonly onFault: (error: unknown) => void;
}

/**
 * One room, one order: takes what its producers send, gives each event its place and number, and hands it to the journal, which
 * comes before everybody who is there (W3). Who may join and how it ends is in `membership.ts` and `ending.ts`.
 */
export class Room {
  readonly meta: RecordingMeta;
  readonly profile: Profile;
  readonly epoch: number;
  readonly clock: RoomClock;
  readonly seats: Seats;
  readonly admission: Admission;
  readonly recording: RoomRecording;
  readonly relayEvents: RelayEvents;
  readonly output: RoomOutput;
  readonly broadcast: Broadcast;
  readonly audience: Audience;
  readonly sync: SyncAnswers;
  readonly #environment: RoomEnvironment;
  readonly #journal: Journal;
  readonly #limits: RoomLimits;
  /** Last numbers of producers that are lost with their names, ascending: each may be one that joins again. */
  readonly #unknown: number[];

  constructor(start: RoomStart, environment: RoomEnvironment) {
    const { meta, profile, epoch, clock, headSeq } = start;
    const { compression, flusher, onFailure, onFault, options, backlog, log } = environment;
    this.meta = meta;
    this.profile = profile;
    this.epoch = epoch;
    this.clock = clock;
    this.#environment = environment;
    this.#journal = start.journal.journal;
    const now = clock.now();
    const seats = new Seats(
      meta.room,
      start.producers.map((producer) => Seat.restored(producer, epoch)),
    );
    const limits = new RoomLimits(meta.room, seats, start.gaps);
    const recent = RecentEntries.restored(start.recent, headSeq, now);
    const guard = (work: () => void) => {
      try {
        work();
      } catch (error) {
        onFault(error);
      }
    };
    const opening = () => ({
      contexts: seats.current.map(({ context }) => context),
      room: this.recording.describe(),
    });
    const onTrouble = ({ message }: GametapeError) => {
      log.warn({ room: meta.room, reason: message }, 'sealing fails and is tried again');
    };
    const sealing = { compression, opening, backlog, onTrouble };
    const journal = new RoomJournal({ ...start.journal, ...sealing, meta, epoch, headSeq, now });
    const onClocks = (message: Uint8Array) => this.audience.showClocks(message);
    this.broadcast = new Broadcast({ clock, seats, recent, journaledSeq: headSeq, onClocks, guard });
    const { broadcast } = this;
    const common = { name: meta.room, clock, seats, recent, headSeq };
    const onAccepted = (mark: FlushMark) => {
      broadcast.showUpTo(mark.seq);
      this.audience.accepted(mark);
    };
    this.output = new RoomOutput({ ...common, journal, flusher, broadcast, guard, onAccepted, onFailure });
    const { output } = this;
    const { checkpointsPerMinute } = options;
    this.recording = new RoomRecording(start, { seats, limits, recent, output, compression, checkpointsPerMinute });
    const startStates = start.startStates ?? new Map();
    const { recording } = this;
    this.relayEvents = new RelayEvents({ seats, recording, limits, clock, compression, startStates });
    this.admission = new Admission(profile, limits, compression);
    this.seats = seats;
    this.#limits = limits;
    this.#unknown = [...start.unknown].sort((a, b) => a - b);
    const { blocks } = journal;
    const delayMs = meta.spectatorDelayMs ?? 0;
    const delayed = { start, seats, recent, checkpoints: () => recording.checkpoints.places, clock, compression };
    this.audience = new Audience({
      meta,
      epoch,
      durability: () => this.durability,
      silenceMs: options.silenceMs,
      delayMs,
      clock,
      seats,
      recording,
      recent,
      blocks,
      view:
        delayMs > 0 ? new DelayedView({ ...delayed, delayUs: delayMs * 1_000 }) : new LiveView(seats, recording, clock),
      fragments: new Fragments({ journal: this.#journal, recordingId: meta.recordingId, blocks }),
      settled: () => this.output.founded(),
      guard,
    });
    this.sync = new SyncAnswers(this.audience, meta, epoch);
  }

  get name(): string {
    return this.meta.room;
  }

  get recordingId(): string {
    return this.meta.recordingId;
  }

  get durability(): string {
    return this.#journal.durability;
  }

  /** A new producer's seat. Its PLAYER_JOIN is recorded apart, by `relayEvents.join`. @throws GametapeError `ROOM_FULL` */
  addSeat(player: string, instance: string, name: string | undefined): Seat {
    const index = this.seats.all.length;
    this.#limits.checkProducers(index);
    const context = new ProducerContext(this.profile, { index, player, instance });
    const seat = new Seat(context, new ClockEstimate(this.epoch), name);
    this.seats.add(seat);
    this.output.addProducer(context);
    return seat;
  }

  /**
   * Takes a message of events: those that are new get their place, those that are not are acked again (W2).
   *
   * @throws GametapeError for an event that may not be recorded; those before it are.
   */
  accept(seat: Seat, { firstPseq, shown, base, events }: EventsUp): void {
    const { context } = seat;
    if (seat.awaitsGap || !this.#mayRecord(seat)) return;
    if (firstPseq > context.pseq + 1) {
      seat.receiver?.expect(context.pseq + 1, firstPseq);
      return;
    }
    // T5: a client cannot have been shown what does not exist.
    if (shown !== undefined) seat.shown = Math.min(shown, this.recording.headSeq);
    if (base) seat.follow(base);
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
      this.broadcast.repeatAcks(seat.receiver);
      return;
    }
    if (firstPseq > context.pseq + 1) {
      seat.receiver?.send({ kind: 'expect', pseq: context.pseq + 1 });
      return;
    }
    this.#limits.countGap();
    this.#skip(seat, lastPseq, reason.slice(0, MAX_REASON).toWellFormed());
  }

  /** A client that was here before, and that the journal knows nothing of, sends again what it had recorded or states it as lost. */
  accountForUnknown(): void {
    this.#unknown.shift();
  }

  /**
   * What recovery left out and nobody has sent again: the room ends without it (J4, W6). It is for the last block alone: were it
   * in the log before, a kill in between would make it true of a room that goes on, and of events that may still come. For the
   * same reason no seat goes on from it: who comes back while the room is finished is not told that these events are kept (W3).
   */
  leftOut(): LeftOut {
    const producers: ProducerContext[] = [];
    const gaps: GapRecord[] = [];
    const state = (context: ProducerContext, lastPseq: number) => {
      if (lastPseq <= context.pseq || !this.#limits.hasGapLeft) return;
      this.#limits.countGap();
      gaps.push({ producer: context.index, firstPseq: context.pseq + 1, lastPseq, reason: LEFT_OUT });
    };
    for (const { context, leftOut } of this.seats.all) state(context, leftOut);
    for (const [position, lastPseq] of this.#unknown.entries()) {
      const index = this.seats.all.length + position;
      if (index >= LIMITS.producers) break;
      const context = new ProducerContext(this.profile, { index, player: `unknown-${index}`, instance: '' });
      producers.push(context);
      state(context, lastPseq);
    }
    return { producers, gaps };
  }

  /** States what recovery left out of a producer that has been superseded: it cannot send it again. */
  stateLeftOutOf(seat: Seat): void {
    if (seat.leftOut <= seat.context.pseq || !this.#limits.hasGapLeft) return;
    this.#limits.countGap();
    this.#skip(seat, seat.leftOut, LEFT_OUT);
  }

  /** Every player's state at a checkpoint, as the journal has it. @throws GametapeError `DAMAGED`, `JOURNAL_FAILED` */
  async statesAt(checkpoint: CheckpointPlace): Promise<ReadonlyMap<string, LiveState>> {
    await this.output.flushed();
    const producers = this.seats.all.map(({ context }) => context);
    const { compression } = this.#environment;
    return await statesAtCheckpoint({ journal: this.#journal, meta: this.meta, producers, compression }, checkpoint);
  }

  /** An event of a player that is gone, or has said that there is none, would be acked and not be in the recording. */
  #mayRecord({ presence, isDone }: Seat): boolean {
    return !this.output.isOver && presence !== 'gone' && !isDone;
  }

  #acceptAgain(seat: Seat, pseq: number, { body }: EventUp): void {
    if (!seat.mayBeBody(pseq, this.#environment.compression.crc32(body))) {
      throw new GametapeError('BAD_MESSAGE', `event ${pseq}: recorded already, with other content`);
    }
    this.broadcast.repeatAcks(seat.receiver);
  }

  /** False when a gap has to come first. */
  #acceptNew(seat: Seat, pseq: number, { stampDelta, body: sent }: EventUp, arrival: number): boolean {
    const { context } = seat;
    const isStale = seat.base < seat.rewoundAt;
    const body = isStale ? seat.withoutChange(sent) : sent;
    if (!body)
      return this.#askForKeyframe(seat, pseq, 'it goes on from before a rewind, and from a vocabulary that is lost');
    const stamp = Math.min(MAX_STAMP, Math.max(context.stamp, context.stamp + stampDelta));
    let decoded: Body;
    try {
      decoded = this.admission.read(seat, body, stamp, isStale);
    } catch (error) {
      if (!isGametapeError(error, 'BAD_DELTA')) throw error;
      return this.#askForKeyframe(seat, pseq, error.message);
    }
    if (decoded.change) seat.needsKeyframe = false;
    const { recording } = this;
    const { lastKey, estimate, shown } = seat;
    // Field by field: a spread here costs more than all the rest of placing an event.
    const wentBackUs = Math.max(0, -stampDelta);
    const placing = { previous: lastKey, estimate, pseq, stamp, wentBackUs, arrival, shown };
    const { time, hlc } = recording.timeline.place(placing);
    const seq = recording.headSeq + 1;
    const entry = { seq, producer: context.index, pseq, time, hlc, stamp, body };
    seat.lastKey = entry;
    seat.received++;
    seat.rememberBody(pseq, this.#environment.compression.crc32(sent));
    context.follow(entry);
    const change = estimate.takeChange(context.index);
    if (change) this.output.addClockMap(change);
    recording.append(entry, seat, arrival, decoded.event);
    return true;
  }

  /** Records what has been counted of everybody's clocks since their maps changed last: the room ends (T5). */
  recordClockCounts(): void {
    for (const { estimate, context } of this.seats.all) {
      const counts = estimate.takeCounts(context.index);
      if (counts) this.output.addClockMap(counts);
    }
  }

  #askForKeyframe(seat: Seat, pseq: number, reason: string): false {
    seat.awaitsGap = true;
    this.#environment.log.warn({ room: this.name, player: seat.player, pseq, reason }, 'delta does not fit');
    seat.receiver?.send({ kind: 'need-keyframe', pseq });
    return false;
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
    seat.forgetStale();
    this.output.addGap(gap);
    this.#environment.log.warn({ room: this.name, player: seat.player, ...gap }, 'gap');
  }
}
