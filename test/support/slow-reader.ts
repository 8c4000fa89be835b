import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** TCP to a port, of whose answers no more is read than somebody allows: for peers that are slow, or do not read at all. */
export class SlowReader {
  readonly port: number;
  readonly #pipes = new Set<Pipe>();
  #bytesPerSecond = Number.POSITIVE_INFINITY;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(target: number): Promise<SlowReader> {
    const server = createServer((socket) => {
      const pipe = new Pipe(socket, connect(target, '127.0.0.1'), () => reader.#bytesPerSecond);
      reader.#pipes.add(pipe);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const reader = new SlowReader((server.address() as { port: number }).port);
    onTestFinished(() => {
      server.close();
      for (const pipe of reader.#pipes) pipe.destroy();
    });
    return reader;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** From now on; 0 reads nothing, `Infinity` all there is. */
  limit(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
    for (const pipe of this.#pipes) pipe.read();
  }
}

const TICK_MS = 50;

class Pipe {
  readonly #down: Socket;
  readonly #up: Socket;
  readonly #limit: () => number;
  readonly #timer: NodeJS.Timeout;
  #allowance = 0;

  constructor(down: Socket, up: Socket, limit: () => number) {
    this.#down = down;
    this.#up = up;
    this.#limit = limit;
    down.on('data', (bytes) => up.write(bytes));
    up.on('readable', () => this.read());
    for (const [one, other] of [
      [down, up],
      [up, down],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => {
        clearInterval(this.#timer);
        other.destroy();
      });
    }
    this.#timer = setInterval(() => {
      this.#allowance = Math.min(limit(), this.#allowance + (limit() * TICK_MS) / 1_000);
      this.read();
    }, TICK_MS);
  }

  read(): void {
    if (this.#limit() === Number.POSITIVE_INFINITY) this.#allowance = Number.POSITIVE_INFINITY;
    else if (this.#allowance === Number.POSITIVE_INFINITY) this.#allowance = 0;
    while (this.#allowance >= 1 && this.#up.readableLength > 0) {
      const bytes = this.#up.read(Math.min(this.#up.readableLength, Math.floor(this.#allowance))) as Buffer | null;
      if (!bytes) return;
      this.#allowance -= bytes.length;
      this.#down.write(bytes);
    }
  }

  destroy(): void {
    clearInterval(this.#timer);
    this.#down.destroy();
    this.#up.destroy();
  }
}
