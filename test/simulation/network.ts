import { crc32 } from 'node:zlib';
import { CloseCode, decodeUpMessage } from '@gametape/shared';
import type { ManualClock, Owner } from '../support/manual-clock.ts';
import type { Random } from '../support/simulated-file.ts';
import type { Peer, PeerReceiver, Socket } from './parts.ts';
import type { Trace } from './trace.ts';

/** How one client's packets travel. Times in milliseconds. */
export interface Path {
  upMs: number;
  downMs: number;
  jitterMs: number;
  /** Nothing gets through; what is sent waits, as TCP does. */
  isCut: boolean;
  /** How many of the client's events come twice, and how many not at all, from 0 to 1: no socket does that, W2 stands it. */
  repeats: number;
  drops: number;
}

interface Host {
  readonly owner: Owner;
  readonly onPeer: (peer: Peer) => PeerReceiver;
}

export interface NetworkOptions {
  readonly clock: ManualClock;
  readonly random: Random;
  readonly trace: Trace;
}

const ABNORMAL = 1006;
/** A peer that does not answer a close is dropped after this long, as the transport of the relay does. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Sockets between clients and one relay, in order and whole while they last. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #links = new Set<Link>();
  #host: Host | undefined;
  #nextId = 1;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  listen(host: Host): void {
    this.#host = host;
  }

  /** The relay takes no new sockets; those that are open stay. */
  stopListening(): void {
    this.#host = undefined;
  }

  /** The relay stops: every client is told to come back (J7). */
  closeAll(): void {
    this.#host = undefined;
    for (const link of [...this.#links]) link.close(CloseCode.DRAINING, 'the relay stops');
  }

  /** The process of the relay is gone: its kernel resets every socket, or, if the power went, nobody says anything. */
  hostIsGone(isSilent: boolean): void {
    this.#host = undefined;
    for (const link of [...this.#links]) link.hostIsGone(isSilent);
  }

  /** Ends the sockets of one path as something on the way does. */
  disturb(path: Path, how: 'reset' | 'half-open'): void {
    for (const link of [...this.#links]) {
      if (link.path !== path) continue;
      if (how === 'reset') link.reset();
      else link.isMute = true;
    }
  }

  /** What waited on a path that was cut goes on. */
  mend(path: Path): void {
    path.isCut = false;
    for (const link of [...this.#links]) if (link.path === path) link.resume();
  }

  /** The client's process is gone. */
  clientIsGone(owner: Owner, isSilent: boolean): void {
    for (const link of [...this.#links]) {
      if (link.client !== owner) continue;
      if (isSilent) link.isMute = true;
      else link.reset();
    }
  }

  connect(path: Path): Socket {
    const { clock } = this.#options;
    const link = new Link(this.#nextId++, path, clock.current, this.#options, () => this.#links.delete(link));
    this.#links.add(link);
    const arrive = () => {
      const host = this.#host;
      if (!host || host.owner.isDead) link.reset();
      else clock.schedule(0, () => link.accept(host), host.owner);
    };
    // A handshake that meets a cut is not made again: the SDK's own watchdog is what ends it.
    if (!path.isCut) clock.schedule(path.upMs + path.downMs, arrive, UNOWNED);
    return link.socket;
  }
}

/** The network outlives every process. */
const UNOWNED: Owner = { name: 'network', isDead: false, startedAt: 0, wallOffsetMs: 0 };

type Packet =
  | { readonly kind: 'open' }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string };

/** One socket, seen from both of its ends. */
class Link {
  readonly path: Path;
  readonly client: Owner;
  readonly socket: ClientEnd;
  /** What is sent is lost without a word (a NAT that forgot, a host without power). */
  isMute = false;
  readonly #id: number;
  readonly #options: NetworkOptions;
  readonly #onOver: () => void;
  #host: Host | undefined;
  #receiver: PeerReceiver | undefined;
  #peer: ServerEnd | undefined;
  readonly #up = new Pipe();
  readonly #down = new Pipe();
  #isOver = false;

  constructor(id: number, path: Path, client: Owner, options: NetworkOptions, onOver: () => void) {
    this.#id = id;
    this.path = path;
    this.client = client;
    this.#options = options;
    this.#onOver = onOver;
    this.socket = new ClientEnd((packet) => this.#sendUp(packet));
  }

  accept(host: Host): void {
    if (this.#isOver) return;
    this.#host = host;
    this.#peer = new ServerEnd(
      (packet) => this.#sendDown(packet),
      () => this.#serverIsClosed(),
    );
    this.#receiver = host.onPeer(this.#peer);
    this.#sendDown({ kind: 'open' });
  }

  close(code: number, reason: string): void {
    this.#peer?.close(code, reason);
  }

  /** Both ends learn that it is over; what was on its way is lost. */
  reset(): void {
    if (this.#isOver) return;
    this.#note('reset');
    this.#tellClient();
    this.#over();
    const host = this.#host;
    if (host) this.#options.clock.schedule(this.path.upMs, () => this.#serverIsClosed(), host.owner);
  }

  hostIsGone(isSilent: boolean): void {
    if (isSilent) this.isMute = true;
    else this.reset();
  }

  resume(): void {
    for (const pipe of [this.#up, this.#down]) for (const send of pipe.waiting.splice(0)) send();
  }

  #sendUp(packet: Packet): void {
    const host = this.#host;
    if (!host && packet.kind === 'close') this.#over();
    // Whoever does not know the socket any more says so.
    if (this.#isOver || host?.owner.isDead) {
      if (!this.path.isCut && !this.isMute) this.#tellClient();
      return;
    }
    if (!host) return;
    this.#send(this.#up, packet, this.path.upMs, host.owner, () => {
      if (packet.kind === 'data') this.#receive(packet.bytes);
      else if (packet.kind === 'close') this.#serverIsClosed();
    });
  }

  #receive(bytes: Uint8Array): void {
    const { repeats, drops } = this.path;
    const isEvents = (repeats > 0 || drops > 0) && decodeUpMessage(bytes).kind === 'events-up';
    const choice = isEvents ? this.#options.random() : 1;
    const times = choice < drops ? 0 : choice < drops + repeats ? 2 : 1;
    for (let i = 0; i < times; i++) this.#peer?.hear(() => this.#receiver?.receive(bytes.slice()));
  }

  #sendDown(packet: Packet): void {
    if (this.#isOver) return;
    this.#send(this.#down, packet, this.path.downMs, this.client, () => {
      this.socket.take(packet);
      // A client's socket answers a close by itself.
      if (packet.kind === 'close') this.#sendUp(packet);
    });
  }

  #send(pipe: Pipe, packet: Packet, delayMs: number, to: Owner, deliver: () => void): void {
    const { clock, random } = this.#options;
    const go = () => {
      if (this.isMute) return;
      const at = Math.max(pipe.busyUntil, clock.now + delayMs + random() * this.path.jitterMs);
      pipe.busyUntil = at;
      const arrive = () => {
        if (this.#isOver || this.isMute) return;
        this.#note(`${pipe === this.#up ? '>' : '<'} ${textOf(packet)}`);
        deliver();
      };
      clock.schedule(at - clock.now, arrive, to);
    };
    if (this.path.isCut) pipe.waiting.push(go);
    else go();
  }

  #serverIsClosed(): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    this.#over();
    receiver?.closed();
  }

  #tellClient(): void {
    const closed = { kind: 'close', code: ABNORMAL, reason: '' } as const;
    this.#options.clock.schedule(this.path.downMs, () => this.socket.take(closed), this.client);
  }

  #over(): void {
    this.#isOver = true;
    this.#onOver();
  }

  #note(what: string): void {
    this.#options.trace.note(`${this.client.name}#${this.#id} ${what}`);
  }
}

class Pipe {
  busyUntil = 0;
  readonly waiting: (() => void)[] = [];
}

class ClientEnd implements Socket {
  binaryType = 'arraybuffer';
  readyState = 0;
  readonly bufferedAmount = 0;
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readonly #send: (packet: Packet) => void;

  constructor(send: (packet: Packet) => void) {
    this.#send = send;
  }

  send(bytes: Uint8Array): void {
    if (this.readyState === 1) this.#send({ kind: 'data', bytes });
  }

  close(code = 1005, reason = ''): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#send({ kind: 'close', code, reason });
  }

  take(packet: Packet): void {
    if (this.readyState === 3) return;
    if (packet.kind === 'open') {
      this.readyState = 1;
      this.onopen?.({} as never);
    } else if (packet.kind === 'data') {
      this.onmessage?.({ data: packet.bytes.slice().buffer });
    } else {
      this.readyState = 3;
      this.onclose?.(packet);
    }
  }
}

class ServerEnd implements Peer {
  readonly address = '10.0.0.1';
  readonly bufferedBytes = 0;
  readonly #send: (packet: Packet) => void;
  readonly #drop: () => void;
  #isOpen = true;

  constructor(send: (packet: Packet) => void, drop: () => void) {
    this.#send = send;
    this.#drop = drop;
  }

  hear(receive: () => void): void {
    if (this.#isOpen) receive();
  }

  send(bytes: Uint8Array): void {
    if (this.#isOpen) this.#send({ kind: 'data', bytes });
  }

  close(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#send({ kind: 'close', code, reason });
    setTimeout(this.#drop, CLOSE_TIMEOUT_MS);
  }

  terminate(): void {
    this.#isOpen = false;
    this.#drop();
  }
}

function textOf(packet: Packet): string {
  if (packet.kind === 'data') return `${packet.bytes.length} bytes ${crc32(packet.bytes).toString(16)}`;
  return packet.kind === 'open' ? 'open' : `close ${packet.code} ${packet.reason}`;
}
