import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Passes TCP on to a port, and keeps every byte that came back from there, with the time it came. */
export class WireTap {
  readonly port: number;
  readonly #heard: { at: number; bytes: Buffer }[][] = [];
  #joined: { bytes: number; streams: Buffer[] } | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(target: number): Promise<WireTap> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      const upstream = connect(target, '127.0.0.1');
      const heard: { at: number; bytes: Buffer }[] = [];
      tap.#heard.push(heard);
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket],
      ] as const) {
        sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => other.destroy());
        one.on('data', (bytes) => {
          if (one === upstream) heard.push({ at: performance.now(), bytes });
          other.write(bytes);
        });
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const tap = new WireTap((server.address() as { port: number }).port);
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return tap;
  }

  get bytes(): number {
    return this.#heard.flat().reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** When the last byte of that text first came over any connection; undefined if it never did. */
  firstHeard(text: string): number | undefined {
    const streams = this.#streams();
    const times = this.#heard.flatMap((heard, i) => {
      const end = (streams[i]?.indexOf(text) ?? -1) + text.length;
      if (end < text.length) return [];
      let passed = 0;
      for (const { at, bytes } of heard) {
        passed += bytes.length;
        if (passed >= end) return [at];
      }
      return [];
    });
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** All that came over each connection. */
  #streams(): Buffer[] {
    const { bytes } = this;
    if (this.#joined?.bytes !== bytes) {
      this.#joined = { bytes, streams: this.#heard.map((heard) => Buffer.concat(heard.map((part) => part.bytes))) };
    }
    return this.#joined.streams;
  }
}
