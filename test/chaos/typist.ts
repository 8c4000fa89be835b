import type { Session } from '@gametape/client-sdk';
import type { PlayerLog } from './player-check.ts';
import { connectWitnessed, type Witness } from './witness.ts';

const LONGEST_TEXT = 500;

/** A player that types at a steady pace whatever happens, and keeps a log of its own. */
export class Typist {
  readonly session: Session;
  readonly witness: Witness;
  /** What it typed: event n is at n - 1. */
  readonly typed: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #text = '';
  #backAt = 0;

  private constructor(session: Session, witness: Witness) {
    this.session = session;
    this.witness = witness;
  }

  static async start(url: string, room: string, player: string, everyMs: number): Promise<Typist> {
    const state = { text: '', n: 0 };
    const options = { url, room, player, profile: 'json', state, flushMs: 4 } as const;
    const { session, witness } = await connectWitnessed(options);
    const typist = new Typist(session, witness);
    // From the moment that the connection is lost, so that nobody is taken for back who has not noticed yet.
    session.on('status', ({ connection, recorded }) => {
      if (connection !== 'live') typist.#backAt = recorded + 1;
    });
    typist.#timer = setInterval(() => typist.#type(), everyMs);
    return typist;
  }

  /** Something that was recorded since the connection was lost is accepted. */
  get isBack(): boolean {
    const { connection, accepted } = this.session.status;
    return connection === 'live' && accepted >= this.#backAt;
  }

  get isLive(): boolean {
    return this.session.status.connection === 'live';
  }

  get log(): PlayerLog {
    const { accepted, stable } = this.witness;
    return { id: this.session.player, typed: this.typed, accepted, stable, state: this.session.state };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #type(): void {
    const n = this.typed.length + 1;
    const char = String.fromCharCode(97 + ((n * 7 + this.#text.length) % 26));
    this.#text = this.#text.length < LONGEST_TEXT ? this.#text + char : char;
    this.session.record({ type: 'keystroke', data: { char, modifiers: [], n } }, { text: this.#text, n });
    this.typed.push(char);
  }
}
