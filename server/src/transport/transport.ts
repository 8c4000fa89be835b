import type { Server } from 'node:http';

/** One open socket, whatever carries it. Nothing above this knows WebSockets. */
export interface Peer {
  readonly address: string;
  /** Bytes that `send` has taken and the network has not. */
  readonly bufferedBytes: number;
  /** Sends one message. The bytes must not change afterwards. Nothing happens once the peer is closed. */
  send(bytes: Uint8Array): void;
  /** Closes with a code and a reason of any length. What the peer still sends is not received any more. */
  close(code: number, reason: string): void;
  /** Drops the socket at once, for a peer that does not read. */
  terminate(): void;
}

/** What hears of a peer. `receive` owns the bytes it is given. */
export interface PeerReceiver {
  receive(bytes: Uint8Array): void;
  closed(): void;
}

/** Carries messages. It knows neither sessions nor rooms: it is given a function that receives new peers. */
export interface Transport {
  /** Takes WebSocket upgrades of this server over and calls `onPeer` for each peer that shakes hands. */
  attach(server: Server, onPeer: (peer: Peer) => PeerReceiver): void;
  /** Closes every peer that is still there and stops. */
  close(): Promise<void>;
}
