import type { ConnectOptions, Session } from '@gametape/client-sdk';
import { NODE } from '../../client-sdk/dist/platform/node.js';
import type { Platform, Socket } from '../../client-sdk/dist/platform/platform.js';
import { connectOn } from '../../client-sdk/dist/session.js';

/** The network of one client: it takes its time, both ways, and can be taken away. Messages keep their order. */
export class SlowNetwork {
  /** How long the next message takes, in milliseconds. */
  delayMs: () => number = () => 0;
  #isDown = false;
  readonly #sockets = new Set<SlowSocket>();

  connect(options: ConnectOptions): Promise<Session> {
    const platform: Platform = {
      ...NODE,
      openSocket: (url, subprotocol) => {
        const socket = new SlowSocket(this.#isDown ? 'ws://127.0.0.1:1' : url, subprotocol, () => this.delayMs());
        this.#sockets.add(socket);
        return socket;
      },
    };
    return connectOn(platform, options);
  }

  down(): void {
    this.#isDown = true;
    for (const socket of this.#sockets) socket.cut();
    this.#sockets.clear();
  }

  up(): void {
    this.#isDown = false;
  }
}

class SlowSocket implements Socket {
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readonly #socket: Socket;
  readonly #delayMs: () => number;
  #sending: Promise<void> = Promise.resolve();
  #receiving: Promise<void> = Promise.resolve();
  #isCut = false;

  constructor(url: string, subprotocol: string, delayMs: () => number) {
    this.#delayMs = delayMs;
    this.#socket = NODE.openSocket(url, subprotocol);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = (event) => this.#deliver(() => this.onopen?.(event));
    this.#socket.onmessage = (event) => this.#deliver(() => this.onmessage?.(event));
    this.#socket.onclose = (event) => this.#deliver(() => this.onclose?.(event));
    this.#socket.onerror = () => {};
  }

  get binaryType(): Socket['binaryType'] {
    return this.#socket.binaryType;
  }

  set binaryType(type) {
    this.#socket.binaryType = type;
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: Parameters<Socket['send']>[0]): void {
    const copy = data.slice();
    this.#sending = this.#sending
      .then(() => this.#wait())
      .then(() => {
        if (!this.#isCut) this.#socket.send(copy);
      });
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  /** What is under way is lost, and the client is told. */
  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#socket.onclose = () => {};
    this.#socket.onmessage = () => {};
    this.#socket.close();
    this.onclose?.({ code: 1006, reason: '' } as never);
  }

  #deliver(hand: () => void): void {
    this.#receiving = this.#receiving
      .then(() => this.#wait())
      .then(() => {
        if (!this.#isCut) hand();
      });
  }

  async #wait(): Promise<void> {
    const ms = this.#delayMs();
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  }
}
