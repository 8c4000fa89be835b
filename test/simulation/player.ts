import type { Session } from '@gametape/client-sdk';
import { NODE_COMPRESSION } from '@gametape/server';
import { type GametapeError, isGametapeError } from '@gametape/shared';
import type { ManualClock, Owner } from '../support/manual-clock.ts';
import type { Random } from '../support/simulated-file.ts';
import type { Network, Path } from './network.ts';
import { connectOn, type Platform } from './parts.ts';
import type { Trace } from './trace.ts';

/** What one SDK instance says it did: the player's own log, that the recording is compared with. */
export interface InstanceLog {
  readonly player: string;
  readonly name: string;
  /** Id of the SDK instance, as the recording names its producers. */
  instance: string;
  recordingId: string;
  /** Each event by its pseq, with the state after it as JSON. */
  readonly events: Map<number, { readonly n: number; readonly state: string }>;
  /** Highest acks that it has seen, and what it had recorded then. */
  accepted: number;
  stable: number;
  recorded: number;
  /** The process is gone, or the session was closed by the relay before its end. */
  isLost: boolean;
  /** It has said how much it recorded, by leaving or at the end. */
  isDone: boolean;
  finalState: string;
  readonly checkpoints: Set<string>;
  /** Events of others as they were shown, `name n`. */
  readonly shown: string[];
  readonly errors: string[];
}

export interface PlayerOptions {
  readonly clock: ManualClock;
  readonly network: Network;
  readonly trace: Trace;
  readonly random: Random;
  readonly path: Path;
  readonly flushMs: number;
  /** Whether it still plays. */
  readonly isPlaying: () => boolean;
  /** Longest time between two actions. */
  readonly pauseMs: number;
}

/** One process of a player: joins, plays at random, keeps a log. */
export class Player {
  readonly log: InstanceLog;
  readonly owner: Owner;
  session: Session | undefined;
  readonly #options: PlayerOptions;
  readonly #drift: number;
  #n = 0;

  constructor(player: string, life: number, options: PlayerOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#drift = 1 + (random() - 0.5) * 4e-4;
    this.log = newLog(player, `${player}.${life}`);
    this.owner = clock.spawn(this.log.name);
    clock.schedule(0, () => void this.#play(), this.owner);
  }

  /** The session is over, or never began. */
  get isOver(): boolean {
    const connection = this.session?.status.connection;
    return this.owner.isDead || this.log.isLost || connection === 'ended' || connection === 'closed';
  }

  get isLive(): boolean {
    return !this.owner.isDead && this.session?.status.connection === 'live';
  }

  /** Everything it recorded is stable, and it has nothing left to send. */
  get isSettled(): boolean {
    const status = this.session?.status;
    return status !== undefined && status.connection === 'live' && status.stable >= status.recorded;
  }

  act(work: (session: Session) => Promise<unknown> | undefined): void {
    const { clock } = this.#options;
    clock.schedule(
      0,
      () => {
        const { session } = this;
        if (session && !this.isOver) work(session)?.catch((error: unknown) => this.#heard(error));
      },
      this.owner,
    );
  }

  /** Leaves for good, with everything stable (W3). */
  leave(): void {
    this.act(async (session) => {
      await session.leave();
      this.#remember(session);
      this.log.isDone = true;
    });
  }

  /** Ends the room (W6). */
  end(): void {
    this.act(async (session) => {
      await session.end();
      this.#remember(session);
    });
  }

  async #play(): Promise<void> {
    const { clock, random, isPlaying, pauseMs } = this.#options;
    const session = await this.#join();
    if (!session) return;
    this.session = session;
    this.log.recordingId = session.recordingId;
    session.on('status', () => this.#remember(session));
    session.on('error', (error) => this.#heard(error));
    session.on('event', ({ data }) => {
      if (typeof data.n === 'number') this.log.shown.push(`${data.by} ${data.n}`);
    });
    while (isPlaying() && !this.isOver) {
      // Bursts, and pauses between them.
      await clock.sleep(random() < 0.5 ? random() * 40 : random() * pauseMs);
      if (!isPlaying() || this.isOver) return;
      try {
        this.#act(session);
      } catch (error) {
        this.#heard(error);
        return;
      }
    }
  }

  async #join(): Promise<Session | undefined> {
    const { path, network, flushMs, isPlaying, clock } = this.#options;
    for (;;) {
      try {
        const state = { text: '', n: 0, list: [] };
        return await connectOn(
          this.#platform(() => network.connect(path)),
          {
            url: 'ws://relay',
            room: 'arena',
            player: this.log.player,
            profile: 'json',
            state,
            flushMs,
          },
        );
      } catch (error) {
        const code = isGametapeError(error) ? error.code : '';
        this.#options.trace.note(`${this.log.name} cannot join: ${(error as Error).message}`);
        // A relay that is away, read-only or about to end the room: whoever plays tries again.
        if (!['UNREACHABLE', 'TIMED_OUT', 'ROOM_ENDED', 'JOURNAL_FAILED'].includes(code)) this.#heard(error);
        if (!isPlaying()) {
          this.log.isLost = true;
          return undefined;
        }
        await clock.sleep(1_000);
      }
    }
  }

  #act(session: Session): void {
    const { random } = this.#options;
    const choice = random();
    const n = ++this.#n;
    const by = this.log.name;
    const { text = '' } = session.state as { text?: string };
    if (choice < 0.6) {
      const at = Math.floor(random() * (text.length + 1));
      const remove = random() < 0.3 || text.length > 80 ? Math.min(text.length - at, Math.floor(random() * 12)) : 0;
      session.edit('text', { at, remove, insert: random() < 0.9 ? letter(random) : '' });
      this.#record(session, { type: 'keystroke', data: { n, by } });
    } else if (choice < 0.7) {
      // A change without an event travels at the end of the turn, as an entry of its own.
      session.set('n', n);
      this.log.recorded = session.status.recorded;
    } else if (choice < 0.8) {
      this.#record(session, {
        type: 'player_message',
        data: { n, by, message: letter(random).repeat(1 + random() * 40) },
      });
    } else if (choice < 0.9) {
      const next = { text: letter(random).repeat(random() * 30), n, list: [n, text.length, letter(random)] };
      this.#record(session, { type: 'paste', data: { n, by } }, next);
    } else if (choice < 0.95) {
      const name = `c${Math.floor(random() * 40)}`;
      const before = session.status.recorded;
      const named = session.checkpoint(name);
      // A room that is about to end refuses it.
      if (session.status.recorded > before) this.#note(session, -n);
      named.then(
        () => this.log.checkpoints.add(name),
        (error: unknown) => {
          const code = (error as GametapeError).code;
          if (code !== 'NAME_TAKEN' && code !== 'SESSION_CLOSED') this.#heard(error);
        },
      );
    } else {
      session.stable().catch((error: unknown) => this.#heard(error));
    }
  }

  #record(session: Session, event: Parameters<Session['record']>[0], next?: Parameters<Session['record']>[1]): void {
    session.record(event, next);
    this.#note(session, this.#n);
  }

  #note(session: Session, n: number): void {
    this.log.events.set(session.status.recorded, { n, state: canonical(session.state) });
    this.#remember(session);
  }

  #remember(session: Session): void {
    const { accepted, stable, recorded } = session.status;
    this.log.accepted = Math.max(this.log.accepted, accepted);
    this.log.stable = Math.max(this.log.stable, stable);
    this.log.recorded = recorded;
    this.log.finalState = canonical(session.state);
  }

  #heard(error: unknown): void {
    const code = isGametapeError(error) ? error.code : 'UNKNOWN';
    const text = `${code}: ${(error as Error).message}`;
    this.#options.trace.note(`${this.log.name} error ${text}`);
    this.log.errors.push(text);
    if (this.session && code !== 'EVENTS_LOST') this.#remember(this.session);
  }

  #platform(openSocket: Platform['openSocket']): Platform {
    const { random } = this.#options;
    const { log } = this;
    return {
      crc32: NODE_COMPRESSION.crc32,
      compression: async () => NODE_COMPRESSION,
      now: () => performance.now() * 1_000 * this.#drift,
      randomBytes: (count) => {
        const bytes = Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
        if (count === INSTANCE_BYTES) log.instance = Buffer.from(bytes).toString('hex');
        return bytes;
      },
      openSocket,
    };
  }
}

/** The SDK asks for this many to name itself. */
const INSTANCE_BYTES = 8;

function newLog(player: string, name: string): InstanceLog {
  return {
    player,
    name,
    instance: '',
    recordingId: '',
    events: new Map(),
    accepted: 0,
    stable: 0,
    recorded: 0,
    isLost: false,
    isDone: false,
    finalState: '',
    checkpoints: new Set(),
    shown: [],
    errors: [],
  };
}

/** A state as text, the same for the same state. */
export function canonical(state: object): string {
  return JSON.stringify(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function letter(random: Random): string {
  return String.fromCharCode(97 + Math.floor(random() * 26));
}
