import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';
import { seededRandom } from './seeded-random.ts';

/** What happens to bytes that go one way. */
export interface Way {
  /** How long each piece is on its way, in milliseconds. @default 0 */
  delayMs?: number;
  /** Up to this much more, another for each piece; the order stays. @default 0 */
  jitterMs?: number;
  /** Bytes that pass in a second. @default no limit */
  bytesPerSecond?: number;
  /** Every byte is a TCP segment of its own. @default false */
  splits?: boolean;
  /** Nothing gets through any more, and nobody is told. @default false */
  isSilent?: boolean;
}

export interface ChaosProxyOptions {
  /** Of the jitter. @default 1 */
  readonly seed?: number;
  /** From the client to the target. */
  readonly up?: Way;
  /** From the target to the client. */
  readonly down?: Way;
}

/**
 * A TCP proxy on 127.0.0.1 that does to its connections what networks do. `up` and `down` may be changed at any time: what
 * comes from then on feels it.
 */
export class ChaosProxy {
  readonly up: Way;
  readonly down: Way;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #opened = 0;

  private constructor(server: Server, { seed = 1, up = {}, down = {} }: ChaosProxyOptions) {
    this.#server = server;
    this.#random = seededRandom(seed);
    this.up = { ...up };
    this.down = { ...down };
  }

  static async start(targetPort: number, options: ChaosProxyOptions = {}): Promise<ChaosProxy> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    const proxy = new ChaosProxy(server, options);
    server.on('connection', (client) => proxy.#accept(client, targetPort));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections so far, those that are over included. */
  get opened(): number {
    return this.#opened;
  }

  get open(): number {
    return this.#links.size;
  }

  /** Both ends of every connection get a RST. */
  reset(): void {
    for (const link of [...this.#links]) link.reset();
  }

  /** The connections there are fall silent for good, both ways; later ones work. Neither end is told. */
  halfOpen(): void {
    for (const link of this.#links) link.isHalfOpen = true;
  }

  /** Once the target has got that many more bytes over a connection, its client is reset: whatever the target answers is lost. */
  cutAfter(bytes: number): void {
    for (const link of this.#links) link.cutsAfter = bytes;
  }

  /** Flips all bits of one byte that a client sends, counted from 0 for the next one, on every connection there is. */
  corruptNext(byte: number): void {
    for (const link of this.#links) link.up?.corruptNext(byte);
  }

  async close(): Promise<void> {
    this.reset();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket, targetPort: number): void {
    this.#opened++;
    const target = dial({ port: targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const link = new Link(client, target, () => this.#links.delete(link));
    this.#links.add(link);
    link.carry(client, target, this.up, this.#random);
    link.carry(target, client, this.down, this.#random);
  }
}

/** One connection through the proxy. */
class Link {
  isHalfOpen = false;
  cutsAfter: number | undefined;
  up: Line | undefined;
  readonly #ends: readonly [client: Socket, target: Socket];
  readonly #onOver: () => void;

  constructor(client: Socket, target: Socket, onOver: () => void) {
    this.#ends = [client, target];
    this.#onOver = onOver;
    for (const end of this.#ends) {
      end.on('error', () => this.reset());
      end.on('close', () => {
        if (client.destroyed && target.destroyed) onOver();
      });
    }
  }

  reset(): void {
    for (const end of this.#ends) end.resetAndDestroy();
    this.#onOver();
  }

  /** The client is reset, the target is told that nothing more comes. */
  cut(): void {
    const [client, target] = this.#ends;
    this.isHalfOpen = true;
    client.resetAndDestroy();
    target.end();
  }

  carry(from: Socket, to: Socket, way: Way, random: () => number): void {
    const line = new Line(this, to, way, random, from === this.#ends[0]);
    if (from === this.#ends[0]) this.up = line;
    from.on('data', (bytes: Buffer) => line.take(bytes));
    from.on('end', () => line.end());
  }
}

/** One way of one connection: pieces leave in the order they came, each not before its time. */
class Line {
  readonly #link: Link;
  readonly #to: Socket;
  readonly #way: Way;
  readonly #random: () => number;
  readonly #isUp: boolean;
  #passed = 0;
  #corruptAt = -1;
  #busyUntil = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(link: Link, to: Socket, way: Way, random: () => number, isUp: boolean) {
    this.#link = link;
    this.#to = to;
    this.#way = way;
    this.#random = random;
    this.#isUp = isUp;
  }

  corruptNext(byte: number): void {
    this.#corruptAt = this.#passed + byte;
  }

  take(bytes: Buffer): void {
    const { delayMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY, isSilent } = this.#way;
    if (isSilent || this.#link.isHalfOpen) return;
    const at = this.#corruptAt - this.#passed;
    this.#passed += bytes.length;
    const piece = Buffer.from(bytes);
    if (at >= 0 && at < piece.length) piece[at] = ~(piece[at] as number) & 255;
    const now = performance.now();
    const sent = Math.max(now, this.#busyUntil) + (bytes.length / bytesPerSecond) * 1_000;
    this.#busyUntil = sent;
    const due = sent + delayMs + this.#random() * jitterMs;
    this.#then(due - now, () => this.#pass(piece));
  }

  end(): void {
    if (!this.#way.isSilent && !this.#link.isHalfOpen)
      this.#then(this.#way.delayMs ?? 0, async () => void this.#to.end());
  }

  #then(waitMs: number, go: () => Promise<void>): void {
    const due = waitMs < 1 ? Promise.resolve() : new Promise<void>((resolve) => setTimeout(resolve, waitMs));
    const before = this.#last;
    this.#last = due.then(() => before).then(go);
  }

  async #pass(piece: Buffer): Promise<void> {
    if (this.#link.isHalfOpen) return;
    const { cutsAfter } = this.#link;
    if (this.#isUp && cutsAfter !== undefined) {
      this.#link.cutsAfter = cutsAfter - piece.length;
      if (this.#link.cutsAfter <= 0) {
        await this.#write(piece.subarray(0, cutsAfter));
        this.#link.cut();
        return;
      }
    }
    if (!this.#way.splits) {
      await this.#write(piece);
      return;
    }
    for (const byte of piece) {
      await this.#write(Buffer.of(byte));
      // A turn of the event loop between two bytes keeps the kernel from putting them together.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#to.writable) this.#to.write(bytes, () => resolve());
      else resolve();
    });
  }
}
