import type { ConnectOptions, Session } from '@gametape/client-sdk';
import { type DownMessage, decodeDownMessage } from '@gametape/shared';
import { NODE } from '../../client-sdk/dist/platform/node.js';
import { connectOn } from '../../client-sdk/dist/session.js';

/** What is told in bytes that came from a relay, before the SDK has seen them. */
interface MessageSource {
  on(event: 'message', listener: (data: ArrayBuffer) => void): void;
}

/**
 * What a relay has promised one SDK, read off the wire. With every welcome the relay says what it has: if that is less than
 * it had promised, the promise is broken (W3).
 */
export class Witness {
  /** Highest promises that stand, as numbers of events. */
  accepted = 0;
  stable = 0;
  /** How many events were promised and gone with a later welcome. */
  lostAccepted = 0;
  lostStable = 0;
  welcomes = 0;

  hear(message: DownMessage): void {
    if (message.kind === 'welcome') {
      const { lastPseq } = message;
      this.welcomes++;
      this.lostAccepted += Math.max(0, this.accepted - lastPseq);
      this.lostStable += Math.max(0, this.stable - lastPseq);
      this.accepted = lastPseq;
      this.stable = Math.min(this.stable, lastPseq);
      return;
    }
    if (!('acks' in message)) return;
    this.accepted = Math.max(this.accepted, message.acks.accepted);
    this.stable = Math.max(this.stable, message.acks.stable);
  }
}

/** The real SDK, with a witness of what it is told. */
export async function connectWitnessed(options: ConnectOptions): Promise<{ session: Session; witness: Witness }> {
  const witness = new Witness();
  const openSocket: typeof NODE.openSocket = (url, subprotocol) => {
    const socket = NODE.openSocket(url, subprotocol);
    (socket as unknown as MessageSource).on('message', (data) => witness.hear(decodeDownMessage(new Uint8Array(data))));
    return socket;
  };
  return { session: await connectOn({ ...NODE, openSocket }, options), witness };
}
