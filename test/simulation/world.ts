import { ManualClock, type Owner } from '../support/manual-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type DiskCall, type DiskFault, SimulatedDisk } from '../support/simulated-disk.ts';
import type { Random } from '../support/simulated-file.ts';
import { checkRecordings, type Findings } from './check.ts';
import { Network, type Path } from './network.ts';
import { makePlan, type Plan, type Trouble } from './plan.ts';
import { canonical, Player } from './player.ts';
import { SimulatedRelay } from './simulated-relay.ts';
import { Trace } from './trace.ts';

export interface RunResult {
  readonly seed: number;
  /** Of everything that happened, in order. */
  readonly hash: string;
  /** What must never be and was. */
  readonly violations: readonly string[];
  readonly virtualMs: number;
  readonly steps: number;
  readonly events: number;
  readonly troubles: readonly Trouble[];
}

/** What the players get to come back, once nothing goes wrong any more. */
const RETURN_LIMIT_MS = 90_000;
const IDLE_FINISH_MS = 20_000;
const HEAL_LIMIT_MS = 120_000;

/** One run: all that a seed makes of it. */
export class World {
  readonly #seed: number;
  readonly #clock = new ManualClock();
  readonly #trace: Trace;
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #disk: SimulatedDisk;
  readonly #network: Network;
  readonly #paths: Path[];
  readonly #players: Player[] = [];
  readonly #lives: number[];
  readonly #violations: string[] = [];
  readonly #findings: Findings;
  #relay: SimulatedRelay | undefined;
  #relays = 0;
  #wallOffsetMs = 0;
  #isPlaying = true;
  #isTroubled = true;
  #diskFault: ((call: DiskCall) => DiskFault | undefined) | undefined;
  #syncMs: number;

  constructor(seed: number, say?: (line: string) => void) {
    this.#seed = seed;
    this.#random = seededRandom(seed * 7 + 1);
    this.#trace = new Trace(() => this.#clock.now, say);
    this.#plan = makePlan(seededRandom(seed * 7 + 2));
    const isCalm = !DISTURBING.some((trouble) => this.#plan.troubles.has(trouble));
    this.#findings = { isCalm, hasLostPower: false, hadDiskFaults: false };
    this.#syncMs = this.#plan.syncMs;
    const diskRandom = seededRandom(seed * 7 + 3);
    this.#disk = new SimulatedDisk({
      random: diskRandom,
      later: (call, done) => {
        const ms = call === 'datasync' || call === 'syncDirectory' ? this.#syncMs : 0.1;
        this.#clock.schedule(ms * (0.5 + diskRandom()), done);
      },
      fault: (call, path, count) => {
        const fault = this.#diskFault?.(call);
        const outcome = fault ? ` ${fault.code ?? 'short'}` : '';
        if (call !== 'read') this.#trace.note(`disk ${call} ${path} ${count}${outcome}`);
        return fault;
      },
    });
    const random = seededRandom(seed * 7 + 4);
    this.#network = new Network({ clock: this.#clock, random, trace: this.#trace });
    this.#paths = Array.from({ length: this.#plan.players }, () => {
      const jitterMs = random() < 0.5 ? 0 : random() * 40;
      return { upMs: random() * 80, downMs: random() * 80, jitterMs, isCut: false, repeats: 0, drops: 0 };
    });
    this.#lives = this.#paths.map(() => 0);
  }

  async run(): Promise<RunResult> {
    const restore = this.#clock.install();
    const onFault = (error: unknown) => this.#violate(`uncaught: ${(error as Error).stack ?? error}`);
    process.on('uncaughtException', onFault);
    process.on('unhandledRejection', onFault);
    try {
      this.#trace.note(`plan ${JSON.stringify({ ...this.#plan, troubles: [...this.#plan.troubles] })}`);
      this.#startRelay();
      for (const index of this.#paths.keys()) this.#after(this.#random() * 2_000, () => this.#join(index));
      this.#planTrouble();
      await this.#clock.run(() => false, this.#plan.durationMs);
      await this.#finish();
      const events = await this.#check();
      return {
        seed: this.#seed,
        hash: this.#trace.digest(),
        violations: this.#violations,
        virtualMs: this.#clock.now,
        steps: this.#clock.steps,
        events,
        troubles: [...this.#plan.troubles],
      };
    } finally {
      restore();
      process.off('uncaughtException', onFault);
      process.off('unhandledRejection', onFault);
    }
  }

  /** Nothing goes wrong any more: everybody comes back, everything is stable, the room ends. */
  async #finish(): Promise<void> {
    this.#isTroubled = false;
    this.#isPlaying = false;
    this.#trace.note('heal');
    this.#diskFault = undefined;
    this.#syncMs = this.#plan.syncMs;
    for (const path of this.#paths) {
      this.#network.mend(path);
      this.#setRight(path);
    }
    this.#superviseRelay();
    const alive = () => this.#players.filter((player) => !player.isOver);
    const isBack = () => alive().every(({ isSettled }) => isSettled) && this.#relay?.state === 'running';
    await this.#expect('everybody is back and everything stable', isBack, RETURN_LIMIT_MS, () =>
      alive()
        .filter(({ isSettled }) => !isSettled)
        .map(({ log, session }) => `${log.name} ${JSON.stringify(session?.status)}`)
        .join(', '),
    );
    await this.#expect(
      'all see the same states',
      () => this.#seeTheSame(alive()),
      RETURN_LIMIT_MS,
      () => alive().map(describeStates).join(', '),
    );
    this.#endRoom(alive);
    const isOver = () => alive().length === 0 && this.#relay?.isIdle === true && this.#hasFinished();
    await this.#expect('the room ends and its recording is finished', isOver, HEAL_LIMIT_MS, () =>
      [...alive().map(({ log }) => log.name), ...this.#disk.paths].join(', '),
    );
    this.#relay?.stop();
    await this.#expect(
      'the relay stops',
      () => this.#relay?.state === 'stopped',
      10_000,
      () => `${this.#relay?.state}`,
    );
  }

  /** Somebody ends the room; a player that is about to leave cannot. */
  #endRoom(alive: () => Player[]): void {
    const [first] = alive();
    first?.end();
    if (first) this.#after(5_000, () => this.#endRoom(alive));
  }

  #hasFinished(): boolean {
    return !this.#disk.paths.some((path) => /^\/data\/journal\/[0-9A-Z]{26}\.lmsp$/.test(path));
  }

  #seeTheSame(players: readonly Player[]): boolean {
    return players.every(({ session: own }) =>
      players.every(({ session: other, log }) => {
        if (own === other || own?.recordingId !== other?.recordingId) return true;
        const seen = own?.states.get(log.player);
        return seen !== undefined && canonical(seen) === canonical(other?.state ?? {});
      }),
    );
  }

  async #check(): Promise<number> {
    const logs = this.#players.map(({ log, session }) => ({
      log,
      isEnded: session?.status.connection === 'ended',
      lost: session?.status.lost ?? 0,
    }));
    const { violations, events } = await checkRecordings(this.#disk, logs, this.#findings);
    for (const violation of violations) this.#violate(violation);
    return events;
  }

  async #expect(what: string, isSo: () => boolean, limitMs: number, found: () => string): Promise<void> {
    if (!(await this.#clock.run(isSo, limitMs))) this.#violate(`in vain for ${limitMs} ms: ${what} (${found()})`);
  }

  #violate(what: string): void {
    this.#trace.note(`VIOLATION ${what}`);
    this.#violations.push(what);
  }

  #after(delayMs: number, run: () => void): void {
    this.#clock.schedule(delayMs, run, WORLD);
  }

  #join(index: number): void {
    if (!this.#isPlaying) return;
    const { flushMs, pauseMs } = this.#plan;
    const life = (this.#lives[index] ?? 0) + 1;
    this.#lives[index] = life;
    const player = new Player(`p${index}`, life, {
      clock: this.#clock,
      network: this.#network,
      trace: this.#trace,
      random: seededRandom(this.#seed * 1_000 + index * 50 + life),
      path: this.#paths[index] as Path,
      flushMs,
      isPlaying: () => this.#isPlaying,
      pauseMs,
    });
    this.#players.push(player);
  }

  #startRelay(): void {
    const { relayFlushMs, syncIntervalMs, segmentBytes, dropGraceMs } = this.#plan;
    this.#relays++;
    this.#relay = new SimulatedRelay(`relay.${this.#relays}`, {
      clock: this.#clock,
      network: this.#network,
      disk: this.#disk,
      random: seededRandom(this.#seed * 100 + this.#relays),
      trace: this.#trace,
      relay: { flushMs: relayFlushMs, syncIntervalMs, dropGraceMs, idleFinishMs: IDLE_FINISH_MS },
      segmentBytes,
      wallOffsetMs: this.#wallOffsetMs,
      onDamage: (damage) => {
        this.#trace.note(`damage ${JSON.stringify(damage)}`);
        const { hasLostPower, hadDiskFaults } = this.#findings;
        if (!hasLostPower && !hadDiskFaults) this.#violate(`damage without a cause: ${damage.reason}`);
      },
      onError: (message) => {
        // Of a room that nobody was told of yet, a power loss may leave any part.
        const isOfNobody = this.#findings.hasLostPower && message.includes('no block says what recording this is');
        if (!this.#findings.hadDiskFaults && !isOfNobody) this.#violate(`the relay logs: ${message}`);
      },
    });
  }

  /** As an operator does: what has stopped is started again. What has turned read-only comes back by itself (J5). */
  #superviseRelay(): void {
    const relay = this.#relay;
    if (relay?.state === 'failed') this.#killRelay(false, 500);
    else if (relay?.state === 'stopped') {
      this.#clock.kill(relay.owner);
      this.#startRelay();
    }
    this.#after(1_000, () => this.#superviseRelay());
  }

  #killRelay(isPowerLoss: boolean, downMs: number): void {
    const relay = this.#relay;
    if (!relay) return;
    this.#trace.note(`${relay.owner.name} ${isPowerLoss ? 'loses power' : 'is killed'}`);
    this.#clock.kill(relay.owner);
    this.#relay = undefined;
    this.#network.hostIsGone(isPowerLoss);
    if (isPowerLoss) {
      this.#findings.hasLostPower = true;
      this.#disk.losePower();
    } else this.#disk.killProcess();
    this.#after(downMs, () => this.#startRelay());
  }

  #planTrouble(): void {
    this.#after(this.#random() * this.#plan.paceMs, () => {
      if (!this.#isTroubled) return;
      const troubles = [...this.#plan.troubles];
      this.#cause(troubles[Math.floor(this.#random() * troubles.length)] as Trouble);
      this.#planTrouble();
    });
  }

  #cause(trouble: Trouble): void {
    const random = this.#random;
    const path = this.#paths[Math.floor(random() * this.#paths.length)] as Path;
    const index = this.#paths.indexOf(path);
    const player = this.#players.findLast(({ log }) => log.player === `p${index}`);
    this.#trace.note(`trouble ${trouble} p${index}`);
    switch (trouble) {
      case 'kill':
      case 'power loss':
        // Sometimes at once again, in the middle of the recovery.
        this.#killRelay(trouble === 'power loss', random() < 0.3 ? 0 : random() * 4_000);
        if (random() < 0.3)
          this.#after(random() * 30, () => this.#killRelay(trouble === 'power loss', random() * 2_000));
        return;
      case 'stop':
        if (this.#relay?.state !== 'running') return;
        this.#relay.stop();
        this.#awaitStop(this.#relay);
        return;
      case 'reset':
      case 'half-open':
        this.#network.disturb(path, trouble);
        return;
      case 'cut':
        path.isCut = true;
        this.#after(random() * (random() < 0.5 ? 3_000 : 25_000), () => this.#network.mend(path));
        return;
      case 'repeat':
      case 'drop':
        path[`${trouble}s`] = random() * 0.5;
        this.#after(random() * 3_000, () => this.#setRight(path));
        return;
      case 'client crash':
        if (!player || player.isOver) return;
        this.#clock.kill(player.owner);
        player.log.isLost = true;
        this.#network.clientIsGone(player.owner, random() < 0.4);
        this.#after(random() * 8_000, () => this.#join(index));
        return;
      case 'leave':
        if (!player?.isLive) return;
        player.leave();
        this.#comeBack(player, index);
        return;
      case 'end':
        if (random() < 0.2 && player?.isLive) player.end();
        if (player) this.#comeBack(player, index);
        return;
      case 'disk fault':
        this.#findings.hadDiskFaults = true;
        this.#diskFault = this.#makeFault();
        this.#after(random() * 400, () => {
          this.#diskFault = undefined;
        });
        this.#after(3_000, () => this.#restartFailed());
        return;
      case 'slow disk':
        this.#syncMs = random() * 2_000;
        this.#after(random() * 4_000, () => {
          this.#syncMs = this.#plan.syncMs;
        });
        return;
      case 'wall clock':
        this.#wallOffsetMs = (random() - 0.5) * 7_200_000;
    }
  }

  /** What was dropped comes again with the next connection. */
  #setRight(path: Path): void {
    const hasDropped = path.drops > 0;
    path.repeats = 0;
    path.drops = 0;
    if (hasDropped) this.#network.disturb(path, 'reset');
  }

  /** One that could not even start. */
  #restartFailed(): void {
    if (this.#relay?.state === 'failed') this.#killRelay(false, 200);
  }

  #awaitStop(relay: SimulatedRelay): void {
    if (relay !== this.#relay) return;
    if (relay.state === 'stopped') {
      this.#clock.kill(relay.owner);
      this.#relay = undefined;
      this.#network.hostIsGone(false);
      this.#after(this.#random() * 2_000, () => this.#startRelay());
    } else if (relay.state === 'failed') this.#killRelay(false, 200);
    else this.#after(100, () => this.#awaitStop(relay));
  }

  /** Whoever is gone joins again as a new instance. */
  #comeBack(player: Player, index: number): void {
    this.#after(1_000 + this.#random() * 6_000, () => {
      const current = this.#players.findLast(({ log }) => log.player === player.log.player);
      if (current?.isOver && this.#isPlaying) this.#join(index);
      else if (!current?.isOver && this.#isPlaying) this.#comeBack(player, index);
    });
  }

  #makeFault(): (call: DiskCall) => DiskFault | undefined {
    const random = this.#random;
    const kind = Math.floor(random() * 4);
    const odds = random();
    return (call) => {
      if (random() > odds) return undefined;
      if (kind === 0 && call === 'datasync') return { code: 'EIO' };
      if (kind === 1 && call === 'writev') return { code: 'EIO', writtenBytes: Math.floor(random() * 2_000) };
      if (kind === 2 && (call === 'writev' || call === 'create')) {
        return { code: 'ENOSPC', writtenBytes: Math.floor(random() * 2_000) };
      }
      if (kind === 3 && call === 'writev') return { writtenBytes: 1 + Math.floor(random() * 100) };
      return undefined;
    };
  }
}

/** A player may be out of reach when its room ends. */
const DISTURBING: readonly Trouble[] = [
  'kill',
  'power loss',
  'stop',
  'half-open',
  'cut',
  'reset',
  'drop',
  'disk fault',
  'client crash',
];

const WORLD: Owner = { name: 'world', isDead: false, startedAt: 0, wallOffsetMs: 0 };

/** What a player has, and what it takes the others to have. */
function describeStates({ log, session }: Player): string {
  const others = [...(session?.states ?? [])].map(([player, state]) => `${player} ${canonical(state)}`);
  return `${log.name} is ${canonical(session?.state ?? {})} and sees ${others.join(' and ')}`;
}
