import { CloseCode } from '@gametape/shared';
import type { RelayOptions } from '../options.ts';
import type { Peer, PeerReceiver } from '../transport/transport.ts';
import type { Session } from './session.ts';

/** Sessions whose heartbeats go out in one turn of the event loop. */
const BEATS_PER_TURN = 64;

/** Every session of the relay: their heartbeats, and how many an address may have (S2). */
export class SessionSet {
  readonly #options: RelayOptions;
  readonly #create: (peer: Peer, onClosed: (session: Session) => void) => Session;
  readonly #sessions = new Set<Session>();
  readonly #byAddress = new Map<string, number>();
  readonly #heartbeat: NodeJS.Timeout;
  #beating: NodeJS.Immediate | undefined;
  #beatAt = performance.now();
  /** Nobody could be heard before: this process stood still for long. */
  #listensSince = this.#beatAt;

  constructor(options: RelayOptions, create: (peer: Peer, onClosed: (session: Session) => void) => Session) {
    this.#options = options;
    this.#create = create;
    const { heartbeatMs, silenceMs } = options;
    this.#heartbeat = setInterval(() => {
      const now = performance.now();
      if (now - this.#beatAt > heartbeatMs + silenceMs / 2) this.#listensSince = now;
      this.#beatAt = now;
      // In the turn after this one: what has come meanwhile is read before anybody is taken for silent.
      // A beat that is not over is not overtaken: there are more sessions than time.
      this.#beating ??= setImmediate(() => this.#beat(this.#sessions.values()));
    }, heartbeatMs);
  }

  open(peer: Peer): PeerReceiver {
    const count = this.#byAddress.get(peer.address) ?? 0;
    if (count >= this.#options.maxConnectionsPerAddress) {
      peer.close(CloseCode.RATE_LIMITED, `LIMIT_EXCEEDED: ${count} connections from ${peer.address}`);
      return { receive: () => {}, closed: () => {} };
    }
    this.#byAddress.set(peer.address, count + 1);
    const session = this.#create(peer, (closed) => this.#forget(closed));
    this.#sessions.add(session);
    return session;
  }

  /** A few in each turn of the event loop: thousands who watch do not hold up those who play. */
  #beat(sessions: Iterator<Session>): void {
    this.#beating = undefined;
    const now = performance.now();
    for (let count = 0; count < BEATS_PER_TURN; count++) {
      const { value, done } = sessions.next();
      if (done) return;
      value.beat(now, this.#listensSince);
    }
    this.#beating = setImmediate(() => this.#beat(sessions));
  }

  /** What a welcome said is not so any more: everybody comes back for another. */
  welcomeAgain(reason: string): void {
    for (const session of this.#sessions) session.welcomeAgain(reason);
  }

  close(): void {
    clearInterval(this.#heartbeat);
    clearImmediate(this.#beating);
  }

  #forget(session: Session): void {
    if (!this.#sessions.delete(session)) return;
    const left = (this.#byAddress.get(session.address) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(session.address, left);
    else this.#byAddress.delete(session.address);
  }
}
