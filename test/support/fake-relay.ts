import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  ChunkAssembler,
  type DownMessage,
  decodeUpMessage,
  encodeMessage,
  type Hello,
  SUBPROTOCOL,
  type UpMessage,
  type Welcome,
} from '@gametape/shared';
import { onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { waitFor } from './wait-for.ts';

/** The relay's end of one socket, moved by hand: to see what an SDK does when a relay does what ours does not. */
export class FakePeer {
  readonly received: UpMessage[] = [];
  /** The bytes of every `events-up` and `gap`, as they came. */
  readonly bytes: Uint8Array[] = [];
  readonly openedAt = performance.now();
  closeCode: number | undefined;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    const chunks = new ChunkAssembler();
    socket.on('message', (data: Buffer) => {
      const bytes = new Uint8Array(data);
      let message = decodeUpMessage(bytes);
      if (message.kind === 'chunk') {
        const whole = chunks.add(message);
        if (!whole) return;
        message = decodeUpMessage(whole);
      }
      this.received.push(message);
      if (message.kind === 'events-up' || message.kind === 'gap') this.bytes.push(bytes);
    });
    socket.on('close', (code) => {
      this.closeCode = code;
    });
  }

  get hello(): Hello | undefined {
    return this.received.find((message) => message.kind === 'hello');
  }

  /** The last event that has come, over `events-up` and `gap`. */
  get lastPseq(): number {
    let last = 0;
    for (const message of this.received) {
      if (message.kind === 'events-up') last = message.firstPseq + message.events.length - 1;
      if (message.kind === 'gap') last = message.lastPseq;
    }
    return last;
  }

  send(message: DownMessage): void {
    this.#socket.send(encodeMessage(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  welcome(fields: Partial<Welcome> = {}): void {
    this.welcomeAlone(fields);
    if ((fields.resumption ?? this.#resumption) !== 'resumed') {
      this.send({ kind: 'snapshot', records: new Uint8Array(0) });
    }
  }

  /** Without the snapshot that has to follow. */
  welcomeAlone(fields: Partial<Welcome> = {}): void {
    this.send({ ...ANY_WELCOME, producer: 0, resumption: this.#resumption, ...fields });
  }

  get #resumption(): Welcome['resumption'] {
    return this.hello?.resume ? 'resumed' : 'new';
  }

  ack(accepted: number, stable = accepted): void {
    this.send({ kind: 'ack', acks: { accepted, stable } });
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }
}

export class FakeRelay {
  readonly peers: FakePeer[] = [];
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => this.peers.push(new FakePeer(socket)));
  }

  static async start(): Promise<FakeRelay> {
    const handleProtocols = () => SUBPROTOCOL;
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, handleProtocols });
    await once(server, 'listening');
    onTestFinished(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    return new FakeRelay(server);
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The socket number `count`, from 1, once it has said hello. */
  async peer(count: number, limitMs?: number): Promise<FakePeer> {
    await waitFor(`hello number ${count}`, () => this.peers[count - 1]?.hello, limitMs);
    return this.peers[count - 1] as FakePeer;
  }
}

/** To a room in which nothing has happened yet, for a spectator. */
export const ANY_WELCOME: Welcome = {
  kind: 'welcome',
  protocol: 1,
  recordingId: 'fake',
  profile: 'json',
  epoch: 1,
  seq: 1,
  resumption: 'new',
  producer: -1,
  lastPseq: 0,
  roomTime: 0,
  createdAt: 0,
  silenceMs: 5_000,
  durability: 'memory',
  delayMs: 0,
  holdMs: 50,
  players: [],
  spectators: { count: 0, ids: [] },
  pauses: [],
  changes: [],
};
