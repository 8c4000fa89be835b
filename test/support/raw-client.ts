import {
  type Body,
  ByteWriter,
  type DownMessage,
  decodeDownMessage,
  encodeBody,
  encodeMessage,
  type Hello,
  JSON_PROFILE,
  SUBPROTOCOL,
  type UpMessage,
  Vocabulary,
  type Welcome,
} from '@gametape/shared';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { waitFor, within } from './wait-for.ts';

type Of<Kind extends DownMessage['kind']> = Extract<DownMessage, { kind: Kind }>;

export interface RawOptions {
  /** @default ['gametape.v1'] */
  readonly protocols?: readonly string[];
  /** False leaves pings without an answer. @default true */
  readonly answersPings?: boolean;
}

/** A peer that speaks the protocol by hand, right or wrong. */
export class RawClient {
  /** Every message that came, decoded. */
  readonly received: DownMessage[] = [];
  readonly socket: WebSocket;
  /** Code and reason of the close, once there is one. */
  readonly closed: Promise<{ code: number; reason: string }>;
  isClosed = false;
  #answersPings: boolean;
  #consumed = 0;

  private constructor(socket: WebSocket, answersPings: boolean) {
    this.socket = socket;
    this.#answersPings = answersPings;
    socket.on('message', (data: Buffer) => {
      const message = decodeDownMessage(new Uint8Array(data));
      this.received.push(message);
      if (this.#answersPings && message.kind === 'ping') {
        this.send({ kind: 'pong', id: message.id, received: clock(), sent: clock() });
      }
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.isClosed = true;
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  static async open(url: string, options: RawOptions = {}): Promise<RawClient> {
    const { protocols = [SUBPROTOCOL], answersPings = true } = options;
    const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false });
    const client = new RawClient(socket, answersPings);
    onTestFinished(() => socket.terminate());
    const opened = new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    await within('the socket to open', opened);
    return client;
  }

  /** Opens, says hello and waits for the welcome. */
  static async join(url: string, hello: Partial<Hello> = {}, options: RawOptions = {}): Promise<RawClient> {
    const client = await RawClient.open(url, options);
    client.hello(hello);
    await client.next('welcome');
    return client;
  }

  get welcome(): Welcome {
    return this.received.find((message) => message.kind === 'welcome') ?? fail('there was no welcome');
  }

  hello(fields: Partial<Hello> = {}): void {
    this.send(helloOf(fields));
  }

  send(message: UpMessage): void {
    this.sendBytes(encodeMessage(message));
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(bytes);
  }

  /** Answers no more pings. Resolves when everything that was sent has arrived: nothing is under way any more. */
  async quiet(): Promise<void> {
    this.#answersPings = false;
    const arrived = new Promise((resolve) => this.socket.once('pong', resolve));
    this.socket.ping();
    await within('the relay to answer', arrived);
  }

  /** Events without any state, 100 µs apart, from `firstPseq` on. */
  events(firstPseq: number, texts: readonly string[], more: { shown?: number; stampDelta?: number } = {}): void {
    const { shown, stampDelta = 100 } = more;
    const events = texts.map((text) => ({ stampDelta, body: messageBody(text) }));
    this.send({ kind: 'events-up', firstPseq, ...(shown !== undefined && { shown }), events });
  }

  /** The next message of that kind that was not returned yet; those before it are passed over. */
  async next<Kind extends DownMessage['kind']>(
    kind: Kind,
    accept: (message: Of<Kind>) => boolean = () => true,
    limitMs?: number,
  ): Promise<Of<Kind>> {
    const isWanted = (message: DownMessage): message is Of<Kind> =>
      message.kind === kind && accept(message as Of<Kind>);
    return await waitFor(
      `a message ${kind}`,
      async () => {
        for (let message = this.received[this.#consumed]; message; message = this.received[this.#consumed]) {
          this.#consumed++;
          if (isWanted(message)) return message;
        }
        if (this.isClosed) throw new Error(`closed while waiting for ${kind}: ${JSON.stringify(await this.closed)}`);
        return undefined;
      },
      limitMs,
    );
  }

  /** Resolves when an ack of that many events was received. */
  async accepted(pseq: number, limitMs?: number): Promise<void> {
    await waitFor(`event ${pseq} to be accepted`, () => this.acks.accepted >= pseq, limitMs);
  }

  async stable(pseq: number): Promise<void> {
    await waitFor(`event ${pseq} to be stable`, () => this.acks.stable >= pseq);
  }

  /** The highest acks that have come. */
  get acks(): { accepted: number; stable: number } {
    let [accepted, stable] = [0, 0];
    for (const message of this.received) {
      if (!('acks' in message)) continue;
      accepted = Math.max(accepted, message.acks.accepted);
      stable = Math.max(stable, message.acks.stable);
    }
    return { accepted, stable };
  }

  /** Code and reason of the close that has to come. */
  async end(limitMs?: number): Promise<{ code: number; reason: string }> {
    return await within('the relay to close the socket', this.closed, limitMs);
  }

  /** Closes without a word, and waits until that is done. */
  async vanish(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

export function helloOf(fields: Partial<Hello> = {}): Hello {
  const { player = 'raw' } = fields;
  return {
    kind: 'hello',
    protocols: [1],
    room: 'arena',
    player,
    role: 'player',
    profile: 'json',
    instance: `${player}-1`,
    clock: 0,
    state: new Uint8Array(0),
    ...fields,
  };
}

/** A body as an SDK that has not learned anything yet would make it; `vocabulary` lets it learn. */
export function bodyOf(body: Body, vocabulary = new Vocabulary(JSON_PROFILE)): Uint8Array {
  const writer = new ByteWriter();
  encodeBody(writer, vocabulary, body);
  return writer.take();
}

/** PLAYER_MESSAGE with that text: a template that every profile knows. */
export function messageBody(message: string): Uint8Array {
  return bodyOf({ event: { type: 'player_message', data: { message } } });
}

function clock(): number {
  return Math.round(performance.now() * 1_000);
}

function fail(message: string): never {
  throw new Error(message);
}
