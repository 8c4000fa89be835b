import type { IncomingMessage, Server } from 'node:http';
import { CloseCode, closeReason, LIMITS, SUBPROTOCOL } from '@gametape/shared';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { Turnstile } from '../turnstile.ts';
import type { Peer, PeerReceiver, Transport } from './transport.ts';

/** `ws` counts a frame's header out: a message may be exactly as long as the protocol allows. */
const MAX_PAYLOAD = LIMITS.messageBytes;
const CLOSE_TIMEOUT_MS = 2_000;

/** WebSockets by `ws`, on the server of the HTTP API. */
export class WsTransport implements Transport {
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_PAYLOAD,
    // Fragments cost memory that payload limits do not see (CVE-2026-48779); no client of ours sends any.
    maxFragments: 64,
    perMessageDeflate: false,
    clientTracking: true,
    // Who offers only other versions is let in far enough to be told so: clients hear of no close code without a handshake.
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : ([...offered][0] ?? false)),
  });
  /** Hundreds who come at once would hold up those who play. */
  readonly #handshakes = new Turnstile();

  attach(server: Server, onPeer: (peer: Peer) => PeerReceiver): void {
    server.on('upgrade', (request, socket, head) => {
      // Without a listener a reset in the middle of the handshake would end the process.
      socket.on('error', () => socket.destroy());
      void this.#handshakes.pass(() => {
        this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, request, onPeer));
      });
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(CloseCode.DRAINING, 'the relay stops');
    const deadline = setTimeout(() => {
      for (const socket of this.#sockets.clients) socket.terminate();
    }, CLOSE_TIMEOUT_MS);
    await new Promise((resolve) => this.#sockets.close(resolve));
    clearTimeout(deadline);
  }

  #open(socket: WebSocket, request: IncomingMessage, onPeer: (peer: Peer) => PeerReceiver): void {
    // `ws` has sent a close code by now: the peer gets a moment to read it.
    socket.on('error', () => terminateLater(socket));
    if (socket.protocol !== SUBPROTOCOL) {
      close(socket, CloseCode.VERSION_UNKNOWN, `VERSION_UNKNOWN: expected the subprotocol ${SUBPROTOCOL}`);
      return;
    }
    const receiver = onPeer(new WsPeer(socket, request.socket.remoteAddress ?? 'unknown'));
    socket.on('message', (data, isBinary) => this.onMessage(socket, receiver, data, isBinary));
    socket.on('close', () => receiver.closed());
  }

  /** Stop of the walk: bytes of a peer go to its session. */
  onMessage(socket: WebSocket, receiver: PeerReceiver, data: RawData, isBinary: boolean): void {
    // `ws` goes on receiving until the peer has answered the close.
    if (socket.readyState !== socket.OPEN) return;
    if (!isBinary || !(data instanceof Uint8Array)) {
      close(socket, CloseCode.BAD_MESSAGE, 'BAD_MESSAGE: expected a binary message, found text');
      return;
    }
    // Without Buffer's own methods: its `slice` shares memory where a Uint8Array's copies.
    receiver.receive(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}

class WsPeer implements Peer {
  readonly address: string;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, address: string) {
    this.#socket = socket;
    this.address = address;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(bytes);
  }

  close(code: number, reason: string): void {
    close(this.#socket, code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

function close(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.close(code, closeReason(reason));
  terminateLater(socket);
}

/** A peer that does not answer a close would stay for ws's own 30 s. */
function terminateLater(socket: WebSocket): void {
  setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref();
}
