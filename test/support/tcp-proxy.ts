import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Passes bytes on to whichever port it is told, can cut a connection between a request and its reply, and keep replies back. */
export class TcpProxy {
  cuts = 0;
  readonly port: number;
  #target: number;
  #cutsAfter: string | undefined;
  readonly #sockets = new Set<Socket>();
  #held: { socket: Socket; bytes: Buffer }[] | undefined;

  private constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  static async start(target: number): Promise<TcpProxy> {
    const server = createServer((socket) => proxy.#connect(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new TcpProxy((server.address() as { port: number }).port, target);
    onTestFinished(() => {
      server.close();
      proxy.cutAll();
    });
    return proxy;
  }

  /** The next bytes with that text in them arrive at the target; what it answers does not come back. */
  cutAfterNextRequest(text = ''): void {
    this.#cutsAfter = text;
  }

  /** Requests arrive from now on, and their replies do not. */
  holdReplies(): void {
    this.#held ??= [];
  }

  /** The replies that are kept back. */
  get held(): string {
    return Buffer.concat((this.#held ?? []).map(({ bytes }) => bytes)).toString('latin1');
  }

  releaseReplies(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { socket, bytes } of held) socket.write(bytes);
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** New connections go to another port; those that are open stay. */
  switchTo(target: number): void {
    this.#target = target;
  }

  #connect(socket: Socket): void {
    const upstream = connect(this.#target, '127.0.0.1');
    let isCut = false;
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    socket.on('data', (bytes) => {
      if (this.#cutsAfter !== undefined && bytes.includes(this.#cutsAfter)) {
        this.#cutsAfter = undefined;
        isCut = true;
        this.cuts++;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      // The request has been carried out: its reply is what gets lost.
      if (isCut) socket.resetAndDestroy();
      else if (this.#held) this.#held.push({ socket, bytes });
      else socket.write(bytes);
    });
  }
}
