import {
  type Body,
  type Clocks,
  type Crc32,
  type EventDown,
  type GameEvent,
  GametapeError,
  hasKeyframe,
  PlayClock,
  ProducerContext,
  type ProducerNews,
  type ProducerRecord,
  type Profile,
  profileNamed,
  RecordType,
  readKeyframe,
  readProducer,
  readRecords,
  type State,
  type Welcome,
} from '@gametape/shared';
import type { LiveEvent, PlayerView } from './api.ts';
import { toSeconds } from './producer.ts';
import { RoomPlayers } from './room-players.ts';

/** What one event did to the view. */
export interface Shown {
  readonly player: string;
  readonly time: number;
  /** Undefined when only the state changed. */
  readonly event: LiveEvent | undefined;
}

/** A room as one peer has been shown it: every other producer's state, and the position it stands for (W4). */
export class RoomView {
  readonly #crc32: Crc32;
  readonly #contexts = new Map<number, ProducerContext>();
  /** The latest producer of each player: whose state is the player's. */
  readonly #current = new Map<string, ProducerContext>();
  readonly #players = new RoomPlayers();
  #clock = new PlayClock();
  #profile: Profile | undefined;
  #epoch = 0;
  /** Of the last welcome. */
  #welcomeEpoch = 0;
  #seq = 0;
  #time = 0;
  /** From the peer's own clock to room time, in microseconds; later than the truth by what a message takes. */
  #offset = 0;

  constructor(crc32: Crc32) {
    this.#crc32 = crc32;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get seq(): number {
    return this.#seq;
  }

  get players(): ReadonlyMap<string, PlayerView> {
    return this.#players.views;
  }

  /** A snapshot of every state. */
  get states(): ReadonlyMap<string, State> {
    const states = new Map<string, State>();
    for (const [player, { state }] of this.#current) if (state.size > 0) states.set(player, state.toJson());
    return states;
  }

  /**
   * Starts over unless the connection resumed: then the position goes on, in whatever epoch it now belongs to. `now` is the
   * peer's own clock, in microseconds.
   */
  welcome(welcome: Welcome, now: number): void {
    const isResumed = welcome.resumption === 'resumed';
    this.#profile = profileNamed(welcome.profile);
    this.#welcomeEpoch = welcome.epoch;
    // A connection that is lost before the snapshot has left no view to go on with (W5).
    this.#epoch = isResumed ? welcome.epoch : 0;
    this.#offset = welcome.roomTime - now;
    this.#players.welcome(welcome.players);
    if (isResumed) return;
    this.#contexts.clear();
    this.#current.clear();
    this.#clock = new PlayClock(welcome.pauses, welcome.paused, welcome.changes);
    this.#seq = welcome.seq;
    this.#time = welcome.roomTime;
  }

  /** Takes over the producers and keyframes of a snapshot (W5), and returns that of the own producer. @throws GametapeError `BAD_MESSAGE`, `DAMAGED` */
  snapshot(records: Uint8Array, own = -1): ProducerContext | undefined {
    const producers = new Map<number, ProducerRecord>();
    let ownContext: ProducerContext | undefined;
    for (const { type, reader } of readRecords(records)) {
      if (type === RecordType.Producer) {
        const producer = readProducer(reader);
        producers.set(producer.index, producer);
      } else if (type === RecordType.Keyframe) {
        const context = readKeyframe(reader, this.#known(), (index) => producers.get(index));
        if (context.index === own) ownContext = context;
        else this.#remember(context);
      }
    }
    this.#epoch = this.#welcomeEpoch;
    return ownContext;
  }

  /** How exact the times of producers are from now on (T2). */
  clocks(message: Clocks): void {
    this.#players.clocks(message, (producer) => this.#contexts.get(producer)?.player);
  }

  /** Bound of the error of a producer's times, in seconds; undefined where none is known. */
  clockErrorOf(producer: number): number | undefined {
    return this.#players.clockErrorOf(producer);
  }

  /** A producer is new, or has lost events: then its vocabulary starts over, and its state is what it was (D3). */
  producer({ index, player, instance }: ProducerNews): void {
    const known = this.#contexts.get(index);
    if (known?.instance === instance) known.restart();
    else this.#remember(new ProducerContext(this.#known(), { index, player, instance }));
  }

  /** The next position that is named is one that no room knows: the answer to it is a snapshot. */
  giveUpPosition(): void {
    this.#epoch = 0;
  }

  /** This peer's own pauses are not shown to it: the play time of what the others do depends on them too (T7). */
  observeOwn(now: number, player: string, event: GameEvent): void {
    this.#clock.observe(now + this.#offset, player, event);
  }

  /** Applies one event. @throws GametapeError `BAD_MESSAGE`, `BAD_DELTA` when the view is out of step. */
  apply(event: EventDown): Shown {
    const context = this.#contexts.get(event.producer);
    if (!context) throw new GametapeError('BAD_MESSAGE', `event ${event.seq}: unknown producer ${event.producer}`);
    if (event.stamp === null && hasKeyframe(event.body)) context.restart();
    const body = context.read(event.body, event.stamp ?? context.stamp, 'BAD_MESSAGE', this.#crc32);
    if (event.stamp !== null) context.stamp = event.stamp;
    this.#current.set(context.player, context);
    this.#seq = event.seq;
    this.#time = Math.max(this.#time, event.time);
    const { player } = context;
    if (!body.event) return { player, time: this.#secondsAt(event.time), event: undefined };
    this.#clock.observe(event.time, player, body.event);
    this.#players.follow(player, body.event, context.index);
    return { player, time: this.#secondsAt(event.time), event: this.#liveEvent(event, context, body) };
  }

  /** What the relay made of this peer's own producer (T8). @throws GametapeError `BAD_MESSAGE` */
  readOwn({ body }: EventDown, own: ProducerRecord): Body {
    // It relies on the profile alone.
    return new ProducerContext(this.#known(), own).read(body, 0, 'BAD_MESSAGE', this.#crc32);
  }

  /** The same as an event, once it has been dealt with. */
  showOwn({ seq, time }: EventDown, player: string, event: GameEvent | undefined, state: () => State): Shown {
    this.advanceTo(seq);
    this.#time = Math.max(this.#time, time);
    if (event) this.#clock.observe(time, player, event);
    const seconds = this.#secondsAt(time);
    if (!event) return { player, time: seconds, event };
    const { type, data } = event;
    const live: LiveEvent = {
      epoch: this.#epoch,
      late: false,
      seq,
      player,
      time: seconds,
      type,
      data,
      get state() {
        return state();
      },
    };
    return { player, time: seconds, event: live };
  }

  /** The position moves on over events that this peer is not sent: its own. */
  advanceTo(seq: number): void {
    this.#seq = Math.max(this.#seq, seq);
  }

  #liveEvent({ seq, time }: EventDown, context: ProducerContext, { event }: Body): LiveEvent {
    const { type, data } = event as NonNullable<Body['event']>;
    return {
      epoch: this.#epoch,
      late: false,
      seq,
      player: context.player,
      time: this.#secondsAt(time),
      type,
      data,
      get state() {
        return context.state.toJson();
      },
    };
  }

  #remember(context: ProducerContext): void {
    this.#contexts.set(context.index, context);
    if (!this.#current.has(context.player) || context.state.size > 0) this.#current.set(context.player, context);
  }

  #known(): Profile {
    if (!this.#profile) throw new GametapeError('BAD_MESSAGE', 'a message that may only come after a welcome');
    return this.#profile;
  }

  #secondsAt(time: number): number {
    return toSeconds(this.#clock.playTime(time));
  }
}
