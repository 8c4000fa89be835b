import { type ClockMapRecord, timeOnLine } from '@gametape/shared';
import { seededRandom } from '../../support/seeded-random.ts';
import { Agenda } from './agenda.ts';
import type { ErrorStatistics } from './error-statistics.ts';
import { isLater, type Key, ORIGIN, Timeline } from './parts.ts';
import { planRoom, type RoomPlan } from './plan.ts';
import { type ClockBreak, type RelaySide, type SentEvent, SimPlayer } from './sim-player.ts';

/** A held event waits no longer than this for its clock to be known, as in a session of the relay. */
const HOLD_US = 1_000_000;
const SETTLED_US = 60_000_000;
const SHOWN_VIOLATIONS = 20;

/**
 * One room in virtual time: clients, their clocks and networks are simulated; probes, estimates and timeline are the relay's own.
 * Every event is checked as it is placed.
 */
export class ClockWorld implements RelaySide {
  readonly violations: string[] = [];
  events = 0;
  /** Of players in health: events that had to be held behind their causes. */
  causalClamps = 0;
  /** Records of maps that a recording would hold. */
  mapChanges = 0;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #plan: RoomPlan;
  readonly #agenda = new Agenda();
  readonly #timeline = new Timeline();
  readonly #players: SimPlayer[];
  readonly #maps: (ClockMapRecord | undefined)[];
  readonly #errors: ErrorStatistics;
  /** The latest key of all events up to each seq, kept apart from the timeline's. */
  readonly #latest: Key[] = [ORIGIN];

  constructor(seed: number, errors: ErrorStatistics, plan?: RoomPlan) {
    this.#seed = seed;
    this.#errors = errors;
    this.#random = seededRandom(seed);
    this.#plan = plan ?? planRoom(this.#random);
    const { durationUs: endUs, players } = this.#plan;
    const world = { agenda: this.#agenda, relay: this, random: this.#random, endUs };
    this.#players = players.map((player, index) => new SimPlayer(index, player, world));
    this.#maps = players.map(() => undefined);
  }

  run(): void {
    for (const player of this.#players) this.#agenda.plan(this.#random() * 5_000_000, () => player.start());
    this.#agenda.run();
    for (const player of this.#players) {
      const { alarms, ahead, backwards } = player.estimate.counts;
      const { trouble } = player.plan;
      if (player.isHonest && trouble !== 'sleep' && trouble !== 'nap' && alarms > 0)
        this.#violate(player, `${alarms} alarms`);
      const isCaught = alarms + ahead + backwards > 0;
      if (!player.isHonest && trouble !== 'frozen' && player.accepted > 100 && !isCaught) {
        if (trouble !== 'jump') this.#violate(player, 'a liar that nobody noticed');
      }
    }
  }

  greet(player: SimPlayer, clock: number): void {
    const now = this.#now;
    player.estimate.greet(now, clock, player.clock.tickUs);
    if (player.connection > 1) this.#hold(player);
    else this.#startProbing(player);
  }

  report(player: SimPlayer, report: ClockBreak & { readonly clock: number }): void {
    player.estimate.report(report, this.#now);
    this.#hold(player);
  }

  pong(player: SimPlayer, id: number, clientReceived: number, clientSent: number): void {
    const sentAt = player.probes.answer(id);
    if (sentAt === undefined) return;
    const lag = this.#random() < 0.01 ? this.#random() * 20_000 : this.#random() * 100;
    const answeredAt = Math.round(this.#agenda.now + lag);
    player.estimate.add({ sentAt, answeredAt, clientReceived, clientSent, isDelayed: lag > 5_000 });
    if (player.probes.hasEnough) this.#release(player);
    this.#followClock(player);
    this.#probe(player, player.connection, ++player.probing);
  }

  receive(player: SimPlayer, event: SentEvent): void {
    if (player.isHeld) player.held.push(event);
    else this.#place(player, event);
  }

  get #now(): number {
    return Math.round(this.#agenda.now);
  }

  #hold(player: SimPlayer): void {
    const { connection } = player;
    const heldAt = this.#agenda.now;
    player.isHeld = true;
    player.heldAt = heldAt;
    player.held = player.held.filter(({ pseq }) => pseq > player.accepted);
    this.#startProbing(player);
    this.#agenda.plan(heldAt + HOLD_US, () => {
      if (player.heldAt === heldAt && connection === player.connection) this.#release(player);
    });
  }

  #followClock(player: SimPlayer): void {
    if (player.estimate.clockEpoch !== player.clockEpoch) this.#startProbing(player);
  }

  #startProbing(player: SimPlayer): void {
    player.clockEpoch = player.estimate.clockEpoch;
    player.probes.begin(this.#now, player.index);
    this.#probe(player, player.connection, ++player.probing);
  }

  #release(player: SimPlayer): void {
    player.isHeld = false;
    const { held } = player;
    player.held = [];
    for (const event of held) this.#place(player, event);
  }

  #probe(player: SimPlayer, connection: number, probing: number): void {
    if (connection !== player.connection || probing !== player.probing || this.#agenda.now > this.#plan.durationUs)
      return;
    const id = player.probes.next(this.#now);
    if (id !== undefined) {
      player.probes.sent(id, this.#now);
      player.ping(id);
    }
    this.#agenda.plan(Math.max(player.probes.dueAt, this.#agenda.now + 1_000), () =>
      this.#probe(player, connection, probing),
    );
  }

  #place(player: SimPlayer, event: SentEvent): void {
    if (event.pseq !== player.accepted + 1) return;
    const arrival = this.#now;
    const { estimate, previous, index } = player;
    const stamp = Math.max(player.lastStamp, event.stamp);
    const wentBackUs = Math.max(0, player.lastStamp - event.stamp);
    const { pseq, shown } = event;
    const early = estimate.counts.early;
    const key = this.#timeline.place({ previous, estimate, pseq, stamp, wentBackUs, arrival, shown });
    const seq = this.#latest.length;
    this.#timeline.remember(seq, key);
    const before = this.#latest[seq - 1] as Key;
    this.#latest.push(isLater(key, before) ? key : before);
    const change = estimate.takeChange(index);
    if (change) {
      this.#maps[index] = change;
      this.mapChanges++;
    }
    player.accepted = pseq;
    player.lastStamp = stamp;
    player.previous = key;
    this.events++;
    const isHealthy = player.plan.trouble === 'none' && player.clock.tickUs <= 1_000 && event.time > SETTLED_US;
    if (isHealthy) this.causalClamps += estimate.counts.early - early;
    this.#check(player, { ...event, stamp }, key, previous, arrival);
    this.#showOthers(player, seq);
    this.#followClock(player);
  }

  #check(
    player: SimPlayer,
    { pseq, stamp, shown, time: truth }: SentEvent,
    key: Key,
    previous: Key,
    arrival: number,
  ): void {
    const cause = this.#latest[shown] as Key;
    if (!Number.isSafeInteger(key.time)) this.#violate(player, `event ${pseq} is placed at ${key.time}`);
    if (!isLater(key, previous)) this.#violate(player, `[T3] event ${pseq} is not after the one before`);
    if (!isLater(key, cause)) this.#violate(player, `[T4] event ${pseq} is not after what its player had been shown`);
    if (key.time > arrival)
      this.#violate(player, `[T5] event ${pseq} is placed ${key.time - arrival} µs after its arrival`);
    const map = this.#maps[player.index];
    if (!map) {
      this.#violate(player, `event ${pseq} has no map`);
      return;
    }
    const mapped = Math.min(Math.max(timeOnLine(map, stamp), previous.time, cause.time), arrival);
    const isBelieved = player.isHonest || map.errorUs !== null;
    if (isBelieved && mapped !== key.time)
      this.#violate(player, `event ${pseq}: ${key.time} is not what its map says, ${mapped}`);
    if (!player.isHonest || map.errorUs === null) return;
    const error = Math.abs(key.time - truth);
    if (error > map.errorUs + 1) {
      this.#violate(player, `[T2] event ${pseq} is off by ${Math.round(error)} µs, its bound is ${map.errorUs}`);
    }
    const isPlain = player.plan.trouble === 'none' && player.clock.tickUs <= 1_000;
    const group = player.clock.tickUs > 1_000 ? 'coarse' : isPlain ? player.plan.path.name : player.plan.trouble;
    if (truth > SETTLED_US) this.#errors.add(group, error, map.errorUs);
    else this.#errors.add(`${group}, first minute`, error, map.errorUs);
  }

  #showOthers(player: SimPlayer, seq: number): void {
    const now = this.#agenda.now;
    const reacts = this.#random() < 0.1 ? Math.floor(this.#random() * this.#players.length) : -1;
    for (const other of this.#players) {
      if (other === player || !other.isOnline) continue;
      const at = other.path.down(now);
      other.show(seq, at);
      if (other.index === reacts) this.#agenda.plan(at + this.#random() * 2_000, () => other.record());
    }
  }

  #violate(player: SimPlayer, what: string): void {
    if (this.violations.length >= SHOWN_VIOLATIONS) return;
    const { trouble, path, clock } = player.plan;
    const who = `seed ${this.#seed}, p${player.index} (${trouble}, ${path.name}, ${clock.driftPpm.toFixed(0)} ppm, tick ${clock.tickUs})`;
    this.violations.push(`${who} at ${(this.#agenda.now / 1e6).toFixed(3)} s: ${what}`);
  }
}
