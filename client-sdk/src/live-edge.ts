import {
  type Clocks,
  type Crc32,
  type EventDown,
  type GameEvent,
  GametapeError,
  isGametapeError,
  mayPause,
  PlayClock,
  type ProducerContext,
  type ProducerNews,
  type Profile,
  profileNamed,
  RecordType,
  readKeyframe,
  readProducer,
  readRecords,
  type State,
  type Welcome,
} from '@gametape/shared';
import type { PlayerView } from './api.ts';
import { after, comparePlaces, type Place, RecentArrivals, TimelineQueue } from './arrivals.ts';
import { toSeconds } from './producer.ts';
import type { EdgeFollower, ReelStates, ReelStep, ReelTimes } from './reel.ts';
import { RoomPlayers } from './room-players.ts';
import { type Arrival, type Producers, RoomStates } from './room-states.ts';

/** Longest time between two looks at the clock, in milliseconds: time goes on in a quiet room too. */
const TICK_MS = 50;
/** What becomes of whole microseconds in seconds and back differs by less than this. */
const ROUNDING_US = 1e-3;
/** How much a clock may gain on another: an estimate from below sinks by as much until a message raises it. */
const DRIFT = 200e-6;

/** A point of a room that goes on with what arrives. */
export interface EdgePoint {
  readonly states: RoomStates;
  /** Arrived, and not yet shown. */
  readonly queue: readonly Arrival[];
  /** All that arrived up to here has been shown, or is in the queue. */
  readonly seq: number;
  /** What was shown last. */
  readonly last: Place;
  /** How often the room had lost what had been shown. */
  readonly losses: number;
}

/**
 * The live end of a room. What arrives is held back until room time, as far as it can be told from here, has passed its own
 * time and the hold: it is then shown in the order of the timeline. What comes after its time has been shown is late (T6).
 */
export class LiveEdge implements ReelStates, ReelTimes {
  readonly #crc32: Crc32;
  readonly #now: () => number;
  readonly #onOutOfStep: (error: GametapeError) => void;
  readonly #followers = new Set<EdgeFollower>();
  readonly #producers: Producers = new Map();
  readonly #restarting = new Set<number>();
  readonly #players = new RoomPlayers();
  readonly #recent = new RecentArrivals();
  #profile: Profile | undefined;
  #states: RoomStates | undefined;
  #queue = new TimelineQueue();
  #clock = new PlayClock();
  #epoch = 0;
  #welcomeEpoch = 0;
  #holdUs = 0;
  /** From this clock to room time, and when it was last told; undefined while the connection is away: time stands still. */
  #offset: { us: number; at: number } | undefined;
  /** Room time of what is shown. */
  #shownTime = 0;
  /** Everything up to there has been shown: what is placed there and comes now is late. */
  #passedTime = Number.NEGATIVE_INFINITY;
  #last = after(Number.NEGATIVE_INFINITY);
  /** Time stands still until what was missed up to there has come: it would all be late. */
  #missedUpTo = 0;
  #endS: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param now the own clock, in microseconds
   * @param onOutOfStep something that arrived does not fit what was there before
   */
  constructor(crc32: Crc32, now: () => number, onOutOfStep: (error: GametapeError) => void) {
    this.#crc32 = crc32;
    this.#now = now;
    this.#onOutOfStep = onOutOfStep;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Of the last welcome, also while there is no position in it yet. */
  get welcomeEpoch(): number {
    return this.#welcomeEpoch;
  }

  /** Position of what has arrived (W4). */
  get seq(): number {
    return this.#recent.upTo;
  }

  get recent(): RecentArrivals {
    return this.#recent;
  }

  get crc32(): Crc32 {
    return this.#crc32;
  }

  get producers(): Producers {
    return this.#producers;
  }

  get profile(): Profile {
    if (!this.#profile) throw new GametapeError('BAD_MESSAGE', 'a message that may only come after a welcome');
    return this.#profile;
  }

  /** Turns room time into play time, with all pauses that have been shown. */
  get clock(): PlayClock {
    return this.#clock;
  }

  /** Play time that has been shown, in seconds. */
  get duration(): number {
    return this.#endS ?? Math.max(0, this.secondsAt(this.#shownTime));
  }

  get playerViews(): ReadonlyMap<string, PlayerView> {
    return this.#players.views;
  }

  get players(): Iterable<string> {
    return this.#states?.players ?? [];
  }

  stateOf(player: string): State | undefined {
    return this.#states?.stateOf(player);
  }

  secondsAt(time: number): number {
    return toSeconds(this.#clock.playTime(time));
  }

  lastAt(seconds: number): number {
    return Math.min(this.#clock.lastRoomTime(Math.floor(seconds * 1e6 + ROUNDING_US)), this.#shownTime);
  }

  follow(follower: EdgeFollower): () => void {
    this.#followers.add(follower);
    return () => {
      this.#followers.delete(follower);
    };
  }

  fork(): EdgePoint {
    const states = this.#states?.fork() ?? this.#newStates([]);
    return { states, queue: this.#queue.items, seq: this.seq, last: this.#last, losses: this.#recent.losses };
  }

  welcome(welcome: Welcome): void {
    const { profile, epoch, seq, resumption, roomTime, holdMs, players, pauses, paused, changes, lostAfter } = welcome;
    const isJump = resumption !== 'resumed' && this.#states !== undefined;
    if (isJump) for (const follower of [...this.#followers]) follower.jump();
    this.#profile = profileNamed(profile);
    this.#welcomeEpoch = epoch;
    // A connection that is lost before the snapshot has left nothing to go on with (W5).
    this.#epoch = resumption === 'resumed' ? epoch : 0;
    this.#holdUs = holdMs * 1_000;
    this.#offset = { us: roomTime - this.#now(), at: this.#now() };
    this.#players.welcome(players);
    if (resumption !== 'resumed') {
      this.#states = this.#newStates([]);
      this.#queue = new TimelineQueue();
      this.#clock = new PlayClock(pauses, paused, changes);
      if (isJump) this.#tell((follower) => follower.retimed());
      this.#restarting.clear();
      this.#recent.startAt(seq);
    }
    if (lostAfter !== undefined) this.#lose(lostAfter);
    this.#missedUpTo = seq;
    this.#tick();
  }

  /** Takes over the producers and keyframes at the position of the welcome (W5). @throws GametapeError `BAD_MESSAGE` */
  snapshot(records: Uint8Array): void {
    const contexts: ProducerContext[] = [];
    for (const { type, reader } of readRecords(records)) {
      if (type === RecordType.Producer) {
        const producer = readProducer(reader);
        this.#producers.set(producer.index, producer);
      } else if (type === RecordType.Keyframe) {
        contexts.push(readKeyframe(reader, this.profile, (index) => this.#producers.get(index)));
      }
    }
    this.#states = this.#newStates(contexts);
    this.#epoch = this.#welcomeEpoch;
    // The states are ahead of what the hold would show: nothing that belongs before them can be shown in its order any more.
    for (const { time } of contexts) this.#shownTime = Math.max(this.#shownTime, time);
    this.#passedTime = this.#shownTime;
    this.#last = after(this.#shownTime);
    this.#tell((follower) => follower.moved());
  }

  /** How exact the times of producers are from now on (T2). */
  clocks(message: Clocks): void {
    this.#players.clocks(message, (producer) => this.#producers.get(producer)?.player);
  }

  /** A producer is new, or has lost events: then its vocabulary starts over (D3). */
  producer({ index, player, instance }: ProducerNews): void {
    if (this.#producers.get(index)?.instance === instance) this.#restarting.add(index);
    else this.#producers.set(index, { index, player, instance });
  }

  /** Room time, told by the relay. */
  timeIs(time: number, holdMs: number): void {
    const now = this.#now();
    const told = time - now;
    this.#holdUs = holdMs * 1_000;
    // What takes long to come tells too early a time, never too late a one.
    const before = this.#offset ? this.#offset.us - (now - this.#offset.at) * DRIFT : told;
    this.#offset = { us: Math.max(told, before), at: now };
    this.#tick();
  }

  /** @throws GametapeError `BAD_MESSAGE`, `BAD_DELTA` when it is out of step */
  arrived(events: readonly EventDown[], upTo: number): void {
    for (const { seq, producer, time, hlc, stamp, body } of events) {
      if (!this.#producers.has(producer)) {
        throw new GametapeError('BAD_MESSAGE', `event ${seq}: unknown producer ${producer}`);
      }
      const arrival = { seq, producer, time, hlc, stamp, body, restarts: this.#restarting.delete(producer) };
      this.#recent.add(arrival);
      this.#queue.add(arrival);
    }
    this.#recent.advanceTo(upTo);
    this.#tick();
  }

  /** The next position that is named is one that no room knows: the answer to it is a snapshot. */
  giveUpPosition(): void {
    this.#epoch = 0;
  }

  /** The connection is away: time stands still, so that what is missed is not late when it comes. */
  pauseTime(): void {
    this.#tick();
    this.#offset = undefined;
  }

  /** Nothing is to come any more: what waits is shown. @param endS play time of the end */
  end(endS: number): void {
    this.#release(Number.POSITIVE_INFINITY);
    this.#endS = endS;
    this.stop();
    this.#tell((follower) => follower.over());
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#offset = undefined;
  }

  /** What is after that seq now are other entries, of other producers: the snapshot and the past tell of those. */
  #lose(seq: number): void {
    this.#producers.clear();
    this.#recent.lose(seq);
    this.#tell((follower) => follower.lost());
  }

  #newStates(contexts: readonly ProducerContext[]): RoomStates {
    return new RoomStates(this.profile, this.#producers, this.#crc32, contexts);
  }

  #tick(): void {
    clearTimeout(this.#timer);
    const offset = this.#offset;
    if (!offset || this.seq < this.#missedUpTo) return;
    const time = Math.floor(this.#now() + offset.us - this.#holdUs);
    try {
      this.#release(Math.max(time, this.#shownTime));
    } catch (error) {
      if (!isGametapeError(error)) throw error;
      this.#offset = undefined;
      this.#onOutOfStep(error);
      return;
    }
    const next = this.#queue.first;
    const waitMs = next ? Math.min(TICK_MS, Math.max(1, Math.ceil((next.time - time) / 1_000))) : TICK_MS;
    this.#timer = setTimeout(() => this.#tick(), waitMs);
  }

  #release(time: number): void {
    if (!this.#states) return;
    for (let next = this.#queue.first; next && next.time <= time; next = this.#queue.first) {
      this.#queue.shift();
      this.#show(next);
    }
    if (Number.isFinite(time)) this.#shownTime = Math.max(this.#shownTime, time);
    this.#passedTime = this.#shownTime;
    this.#tell((follower) => follower.moved());
  }

  #show(arrival: Arrival): void {
    const { seq, producer, time, hlc } = arrival;
    const late = time <= this.#passedTime;
    const { player, body } = (this.#states as RoomStates).apply(arrival);
    if (body.event) {
      this.#observe(time, player, body.event);
      this.#players.follow(player, body.event, producer);
    }
    if (comparePlaces(this.#last, arrival) < 0) this.#last = { time, hlc, producer, seq };
    const step: ReelStep = { player, time: this.secondsAt(time), at: time, seq, late, event: body.event };
    this.#shownTime = Math.max(this.#shownTime, time);
    this.#tell((follower) => follower.step(step));
  }

  #observe(time: number, player: string, event: GameEvent): void {
    this.#clock.observe(time, player, event);
    if (time < this.#shownTime && mayPause(event)) this.#tell((follower) => follower.retimed());
  }

  #tell(call: (follower: EdgeFollower) => void): void {
    for (const follower of [...this.#followers]) call(follower);
  }
}
