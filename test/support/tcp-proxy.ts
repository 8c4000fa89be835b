import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Passes bytes on to whichever port it is told, and can cut a connection between a request and its reply. */
export class TcpProxy {
  cuts = 0;
  readonly port: number;
  #target: number;
  #cutsAfter: string | undefined;
  readonly #sockets = new Set<Socket>();

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
      else socket.write(bytes);
    });
  }
}
