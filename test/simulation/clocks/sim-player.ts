import type { Agenda } from './agenda.ts';
import { ClientClock } from './client-clock.ts';
import { NetworkPath } from './network-path.ts';
import { ClockEstimate, type EstimateOf, type Key, ORIGIN, Probes, type ProbesOf } from './parts.ts';
import { isHonest, type PlayerPlan } from './plan.ts';

const SECOND_US = 1_000_000;
const REPORT_US = 250_000;

/** An event as it is under way. `time` is the truth. */
export interface SentEvent {
  readonly pseq: number;
  readonly stamp: number;
  readonly shown: number;
  readonly time: number;
}

export interface ClockBreak {
  readonly pseq: number;
  readonly jumpUs: number;
}

/** The relay, as a player's side of the network calls it. */
export interface RelaySide {
  greet(player: SimPlayer, clock: number): void;
  report(player: SimPlayer, report: ClockBreak & { readonly clock: number }): void;
  receive(player: SimPlayer, event: SentEvent): void;
  pong(player: SimPlayer, id: number, received: number, sent: number): void;
}

/** A client with its clock and its way to the relay; and the relay's own parts that belong to it: those are the product's. */
export class SimPlayer {
  readonly index: number;
  readonly plan: PlayerPlan;
  readonly clock: ClientClock;
  readonly path: NetworkPath;
  readonly isHonest: boolean;
  readonly estimate: EstimateOf = new ClockEstimate(1);
  readonly probes: ProbesOf = new Probes();
  /** The relay's side of its numbers. */
  accepted = 0;
  lastStamp = 0;
  previous: Key = ORIGIN;
  lastShown = 0;
  held: SentEvent[] = [];
  isHeld = false;
  heldAt = 0;
  clockEpoch = 0;
  /** Counts what started the probes over: only the last goes on. */
  probing = 0;
  /** Counts connections: what an old one still carries is lost. */
  connection = 0;
  isOnline = false;
  #isWelcome = false;
  readonly #agenda: Agenda;
  readonly #relay: RelaySide;
  readonly #random: () => number;
  readonly #endUs: number;
  #pseq = 0;
  #stamp = 0;
  #unaccepted: SentEvent[] = [];
  #breaks: ClockBreak[] = [];
  #asleepUntil = 0;
  readonly #inbox: { at: number; seq: number }[] = [];
  #inboxHead = 0;
  #shown = 0;

  constructor(
    index: number,
    plan: PlayerPlan,
    world: { agenda: Agenda; relay: RelaySide; random: () => number; endUs: number },
  ) {
    this.index = index;
    this.plan = plan;
    this.#agenda = world.agenda;
    this.#relay = world.relay;
    this.#random = world.random;
    this.#endUs = world.endUs;
    this.clock = new ClientClock(plan.clock);
    this.path = new NetworkPath(plan.path, world.random);
    this.isHonest = isHonest(plan.trouble);
  }

  start(): void {
    this.connect();
    this.#typeOn();
    const { trouble } = this.plan;
    if (trouble === 'away' || trouble === 'sleep' || trouble === 'nap' || trouble === 'jump') this.#planTrouble();
  }

  /** An event of the room comes to it. It is shown when the player next does something: nobody can tell the difference. */
  show(seq: number, at: number): void {
    this.#inbox.push({ at, seq });
  }

  record(): void {
    const now = this.#agenda.now;
    // There is no session to record in before the first welcome.
    if (!this.#isWelcome || now < this.#asleepUntil || now > this.#endUs) return;
    const time = now;
    this.#readInbox(now);
    this.#stamp = Math.max(this.#stamp, Math.round(this.clock.read(now) / 100) * 100);
    const event = { pseq: ++this.#pseq, stamp: this.#lieAbout(this.#stamp), shown: this.#shown, time };
    this.#unaccepted.push(event);
    if (this.isOnline) this.#send(event);
  }

  connect(): void {
    const now = this.#agenda.now;
    const connection = ++this.connection;
    const arrival = this.path.up(now);
    // The welcome, and everything behind it.
    const welcomed = () => {
      this.isOnline = true;
      this.#isWelcome = true;
      this.#unaccepted = this.#unaccepted.filter(({ pseq }) => pseq > this.accepted);
      for (const one of this.#breaks) if (one.pseq > this.accepted) this.#report(one);
      for (const event of this.#unaccepted) this.#send(event);
    };
    const clock = this.clock.read(now);
    this.#at(arrival, connection, () => {
      this.#at(this.path.down(arrival), connection, welcomed);
      this.#relay.greet(this, clock);
    });
  }

  /** The relay sends a probe. */
  ping(id: number): void {
    const { connection } = this;
    const answer = () => {
      const now = this.#agenda.now;
      if (now < this.#asleepUntil) {
        this.#at(this.#asleepUntil, connection, answer);
        return;
      }
      const isFake = this.plan.trouble === 'faker';
      const received = isFake ? Math.floor(this.#random() * 2 ** 43) : this.clock.read(now);
      const sent = isFake ? received + Math.floor(this.#random() * 1_000) : this.clock.read(now + 20);
      this.#at(this.path.up(now + 20), connection, () => this.#relay.pong(this, id, received, sent));
    };
    this.#at(this.path.down(this.#agenda.now), connection, answer);
  }

  /** What is under way is lost with its connection. */
  #at(time: number, connection: number, run: () => void): void {
    this.#agenda.plan(time, () => {
      if (connection === this.connection) run();
    });
  }

  #send(event: SentEvent): void {
    const { connection } = this;
    this.#at(this.path.up(this.#agenda.now), connection, () => this.#relay.receive(this, event));
    if (this.#unaccepted.length > 4_096) this.#unaccepted = this.#unaccepted.filter(({ pseq }) => pseq > this.accepted);
  }

  #typeOn(): void {
    const waitUs = (-Math.log(1 - this.#random()) / this.plan.eventsPerSecond) * SECOND_US;
    this.#agenda.plan(this.#agenda.now + waitUs, () => {
      this.record();
      if (this.#agenda.now < this.#endUs) this.#typeOn();
    });
  }

  #planTrouble(): void {
    const { trouble } = this.plan;
    const at = this.#agenda.now + (20 + this.#random() * 200) * SECOND_US;
    if (at > this.#endUs) return;
    this.#agenda.plan(at, () => {
      const now = this.#agenda.now;
      const back = now + this.#lengthUs();
      if (trouble === 'jump') this.clock.jump(now, Math.floor((this.#random() - 0.3) * 2 ** 33));
      if (trouble === 'away' || trouble === 'sleep') this.#disconnect();
      if (trouble === 'sleep' || trouble === 'nap') this.#sleep(back);
      if (trouble === 'away' || trouble === 'sleep') {
        this.#agenda.plan(back, () => this.connect());
      }
      this.#agenda.plan(back + 1, () => this.#planTrouble());
    });
  }

  #lengthUs(): number {
    const luck = this.#random();
    if (this.plan.trouble === 'away') return (1 + luck ** 3 * 400) * SECOND_US;
    if (this.plan.trouble === 'sleep') return (15 + luck ** 4 * 7_200) * SECOND_US;
    return (0.3 + luck * 14) * SECOND_US;
  }

  #disconnect(): void {
    this.connection++;
    this.isOnline = false;
    this.#inbox.splice(this.#inboxHead);
  }

  #sleep(until: number): void {
    const now = this.#agenda.now;
    this.clock.sleep(now, until);
    this.#asleepUntil = until;
    this.#agenda.plan(until, () => {
      // The SDK looks at both its clocks before it stamps or answers anything.
      if (until - now <= REPORT_US) return;
      const one = { pseq: this.#pseq + 1, jumpUs: until - now + Math.floor((this.#random() - 0.5) * 20_000) };
      this.#breaks.push(one);
      if (this.isOnline) this.#report(one);
    });
  }

  #report({ pseq, jumpUs }: ClockBreak): void {
    const now = this.#agenda.now;
    const report = { pseq, jumpUs, clock: this.clock.read(now) };
    this.#at(this.path.up(now), this.connection, () => this.#relay.report(this, report));
  }

  #readInbox(now: number): void {
    while (this.#inboxHead < this.#inbox.length) {
      const next = this.#inbox[this.#inboxHead] as { at: number; seq: number };
      if (next.at > now) break;
      this.#shown = next.seq;
      this.#inboxHead++;
    }
    if (this.#inboxHead > 4_096) {
      this.#inbox.splice(0, this.#inboxHead);
      this.#inboxHead = 0;
    }
  }

  #lieAbout(stamp: number): number {
    switch (this.plan.trouble) {
      case 'ahead':
        return stamp + 600 * SECOND_US;
      case 'backwards':
        return Math.max(0, stamp - Math.floor(this.#random() * 600) * SECOND_US);
      case 'frozen':
        return 1_000;
      case 'wild':
        return Math.floor(this.#random() * 2 ** 50);
      default:
        return stamp;
    }
  }
}
