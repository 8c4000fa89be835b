import { CloseCode } from '@gametape/shared';
import type { RelayOptions } from '../options.ts';
import type { Peer, PeerReceiver } from '../transport/transport.ts';
import type { Session } from './session.ts';

/** Every session of the relay: their heartbeats, and how many an address may have (S2). */
export class SessionSet {
  readonly #options: RelayOptions;
  readonly #create: (peer: Peer, onClosed: (session: Session) => void) => Session;
  readonly #sessions = new Set<Session>();
  readonly #byAddress = new Map<string, number>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(options: RelayOptions, create: (peer: Peer, onClosed: (session: Session) => void) => Session) {
    this.#options = options;
    this.#create = create;
    this.#heartbeat = setInterval(() => {
      const now = performance.now();
      for (const session of this.#sessions) session.beat(now);
    }, options.heartbeatMs);
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

  /** What a welcome said is not so any more: everybody comes back for another. */
  welcomeAgain(reason: string): void {
    for (const session of this.#sessions) session.welcomeAgain(reason);
  }

  close(): void {
    clearInterval(this.#heartbeat);
  }

  #forget(session: Session): void {
    if (!this.#sessions.delete(session)) return;
    const left = (this.#byAddress.get(session.address) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(session.address, left);
    else this.#byAddress.delete(session.address);
  }
}
