import {
  connect,
  isGametapeError,
  type Live,
  openRecording,
  type Session,
  type SpectateFrom,
  type State,
  spectate,
} from '@gametape/client-sdk';
import { seededRandom } from './seeded-random.ts';
import { waitFor } from './wait-for.ts';

/** Calls again and again. Returns how to stop, which waits for the call that is under way. */
export function every(ms: number, call: () => void | Promise<void>): () => Promise<void> {
  let isOver = false;
  const running = (async () => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (isOver) return;
      await call();
    }
  })();
  return async () => {
    isOver = true;
    await running;
  };
}

/** Players who type all the time, change their states without an event, and pause for a moment now and then. */
export class Game {
  readonly #sessions: readonly Session[];
  readonly #stop: (() => Promise<void>)[] = [];
  #typed = 0;
  saysMuch = false;
  #isPaused = false;

  private constructor(sessions: readonly Session[]) {
    this.#sessions = sessions;
    for (const [index, session] of sessions.entries()) {
      this.#stop.push(every(7 + index * 4, () => this.#type(session)));
    }
  }

  static async start(
    url: string,
    { steady, shaky }: { steady: readonly string[]; shaky?: readonly [url: string, player: string] },
  ): Promise<Game> {
    const options = { room: 'arena', profile: 'json' as const, state: { text: '', n: 0 } };
    const sessions: Session[] = [];
    for (const player of steady) sessions.push(await connect({ ...options, url, player }));
    if (shaky) sessions.push(await connect({ ...options, url: shaky[0], player: shaky[1] }));
    // The shaky one loses its connection on purpose; what it loses besides would make it fail.
    return new Game(sessions);
  }

  /** Play time stands still, and nobody types. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    this.#sessions[0]?.pause();
    await this.#sessions[0]?.stable();
  }

  resume(): void {
    this.#sessions[0]?.resume();
    this.#isPaused = false;
  }

  #type(session: Session): void {
    if (this.#isPaused) return;
    const n = ++this.#typed;
    const { text } = session.state as { text: string };
    const char = String.fromCharCode(97 + (n % 26));
    if (n % 9 === 0) session.set('n', n);
    else {
      session.edit('text', {
        at: n % (text.length + 1),
        remove: n % 5 === 0 && text.length > n % (text.length + 1) ? 1 : 0,
        insert: char,
      });
      session.record({ type: 'keystroke', data: { char, modifiers: [], ...(this.saysMuch && { noise: noise(n) }) } });
    }
  }

  async hasTyped(count: number): Promise<void> {
    await waitFor(`${count} letters`, () => this.#typed >= count);
  }

  async checkpoint(name: string): Promise<void> {
    await this.#sessions[0]?.checkpoint(name);
  }

  async end() {
    for (const stop of this.#stop) await stop();
    await Promise.all(this.#sessions.map((session) => session.stable()));
    return await (this.#sessions[0] as Session).end();
  }
}

function noise(seed: number): string {
  const random = seededRandom(seed);
  return Array.from({ length: 6_000 }, () => String.fromCharCode(33 + Math.floor(random() * 90))).join('');
}

/** What a spectator saw at one moment. */
interface Look {
  readonly who: number;
  readonly kind: 'live' | 'paused' | 'behind';
  readonly time: number;
  /** The last that had arrived: what came later cannot have been seen. */
  readonly arrived: number;
  readonly states: Readonly<Record<string, State>>;
}

/** A spectator that does this and that, and remembers what it saw. */
export class Watcher {
  readonly live: Live;
  readonly looks: Look[] = [];
  readonly seqs: number[] = [];
  readonly lateSeqs = new Set<number>();
  readonly errors: Error[] = [];
  late = 0;
  readonly #number: number;
  /** After a step it stands between events of one time: there is no time to compare with. */
  #isBetween = false;
  #wantsLook = false;

  private constructor(live: Live, number: number) {
    this.live = live;
    this.#number = number;
    live.on('event', ({ seq, late }) => {
      this.seqs.push(seq);
      if (late) this.lateSeqs.add(seq);
    });
    live.on('change', ({ late }) => {
      if (late) this.late++;
    });
    live.on('error', (error) => this.errors.push(error));
    // A playhead that plays has taken everything that arrived right after it moved, and at no other time.
    live.on('timeupdate', () => {
      if (this.#wantsLook && !live.isLive && !live.paused && !live.seeking) this.#remember('behind');
      this.#wantsLook = false;
    });
    live.on('seeked', () => {
      this.#isBetween = false;
    });
  }

  static async start(url: string, from: SpectateFrom, number: number): Promise<Watcher> {
    for (;;) {
      try {
        return new Watcher(await spectate({ url, room: 'arena', from, timeoutMs: 20_000 }), number);
      } catch (error) {
        // Its very first connection was cut: nobody was there yet.
        if (!isGametapeError(error, 'UNREACHABLE')) throw error;
      }
    }
  }

  look(): void {
    const { live } = this;
    if (this.#isBetween || live.seeking) return;
    if (live.isLive) this.#remember('live');
    else if (live.paused) this.#remember('paused');
    else this.#wantsLook = true;
  }

  /** Plays to the end of what the room has left. */
  async finish(): Promise<void> {
    const { live } = this;
    await waitFor('it to know of the end', () => live.reel.edge === undefined);
    await waitFor('it to come to the end', () => {
      if (live.ended) return true;
      live.playbackRate = 16;
      live.play();
      return false;
    });
  }

  doSomething(random: () => number): void {
    const { live } = this;
    const what = random();
    if (what < 0.25) live.currentTime = random() * live.duration;
    else if (what < 0.4) live.playbackRate = [0.5, 1, 4, 16][Math.floor(random() * 4)] ?? 1;
    else if (what < 0.55) live.pause();
    else if (what < 0.75) live.play();
    else if (what < 0.85) {
      this.#isBetween = true;
      void live.step(random() < 0.5 ? 1 : -2).then(() => live.play());
      void live.seek(random() * live.duration);
    } else live.goLive();
  }

  #remember(kind: Look['kind']): void {
    const { live } = this;
    const arrived = live.reel.edge?.seq ?? Number.POSITIVE_INFINITY;
    const states = Object.fromEntries(live.states);
    this.looks.push({ who: this.#number, kind, time: live.currentTime, arrived, states });
  }
}

interface Entry {
  readonly seq: number;
  /** Which entry of the recording it is. */
  readonly place: number;
  readonly time: number;
  readonly state: State;
  readonly isEvent: boolean;
  readonly isChange: boolean;
}

/** What the recording says of any time, with only what had arrived by then. */
export class Truth {
  readonly #players: ReadonlyMap<string, readonly Entry[]>;
  readonly duration: number;
  #bySeq: ReadonlyMap<number, Entry> | undefined;

  private constructor(players: ReadonlyMap<string, readonly Entry[]>, duration: number) {
    this.#players = players;
    this.duration = duration;
  }

  static async of(url: string): Promise<Truth> {
    const tape = await openRecording(url);
    const players = new Map<string, Entry[]>();
    const cursor = await tape.cursorAt(Number.NEGATIVE_INFINITY);
    for (let place = 0; Number.isFinite(await cursor.nextTime()); place++) {
      const { player, time, seq, event } = cursor.step();
      const entries = players.get(player) ?? [];
      players.set(player, entries);
      const state = cursor.stateOf(player) ?? {};
      // What the relay says of somebody who is away comes before what that one sends later, and is after it in the timeline.
      const isChange = JSON.stringify(state) !== JSON.stringify(entries.at(-1)?.state);
      entries.push({ seq, place, time, state, isChange, isEvent: event !== undefined });
    }
    const { duration } = tape;
    await tape.close();
    return new Truth(players, duration);
  }

  get seqs(): number[] {
    return this.inOrder.sort((a, b) => a - b);
  }

  /** Seqs of all events, in the order of the timeline. */
  get inOrder(): number[] {
    const events = [...this.#players.values()].flat().filter(({ isEvent }) => isEvent);
    return events.sort((a, b) => a.place - b.place).map(({ seq }) => seq);
  }

  timeOf(seq: number): number | undefined {
    return this.#entry(seq)?.time;
  }

  placeOf(seq: number): number {
    return this.#entry(seq)?.place ?? Number.NaN;
  }

  get last(): Record<string, State> {
    return this.#statesAt(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  #entry(seq: number): Entry | undefined {
    this.#bySeq ??= new Map([...this.#players.values()].flat().map((entry) => [entry.seq, entry]));
    return this.#bySeq.get(seq);
  }

  explains({ time, arrived, states }: Look): boolean {
    const expected = this.#statesAt(time >= this.duration ? Number.POSITIVE_INFINITY : time, arrived);
    return JSON.stringify(sorted(states)) === JSON.stringify(sorted(expected));
  }

  /** Which entries it shows, and which it should, to find out why. */
  explanation({ who, kind, time, arrived, states }: Look): unknown {
    const players = [...this.#players].map(([player, entries]) => {
      const shown = entries.findLast(({ state }) => JSON.stringify(state) === JSON.stringify(states[player]));
      const due = entries.findLast((entry) => entry.isChange && entry.time <= time && entry.seq <= arrived);
      return { player, shown: shown && [shown.seq, shown.time], due: due && [due.seq, due.time] };
    });
    return { who, kind, time, arrived, players };
  }

  /** An event of an earlier time had not arrived yet. */
  isEarly({ time, arrived }: Look): boolean {
    return [...this.#players.values()].some((entries) =>
      entries.some((entry) => entry.time <= time && entry.seq > arrived),
    );
  }

  #statesAt(time: number, arrived: number): Record<string, State> {
    const states: Record<string, State> = {};
    for (const [player, entries] of this.#players) {
      const last = entries.findLast((entry) => entry.isChange && entry.time <= time && entry.seq <= arrived);
      if (last) states[player] = last.state;
    }
    return states;
  }
}

function sorted(states: Readonly<Record<string, State>>): unknown {
  return Object.keys(states)
    .sort()
    .map((player) => [player, states[player]?.text, states[player]?.n]);
}
