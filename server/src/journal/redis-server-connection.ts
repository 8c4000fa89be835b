import { GametapeError } from '@gametape/shared';
import { Command, Redis, type RedisOptions } from 'ioredis';
import type { Argument, CommandOptions, RedisConnection, RedisConnectionOptions } from './redis-connection.ts';
import { isReplica, RedisAway } from './redis-errors.ts';

/** An unanswered command is looked at this often, so that a process that was stopped itself does not blame Redis. */
const TICK_MS = 100;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;

export interface RedisServerOptions extends RedisConnectionOptions {
  readonly redis: RedisOptions;
  /** Called when it does not answer any more. */
  readonly onAway?: () => void;
}

interface Waiting {
  readonly args: readonly Argument[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
  ticksLeft: number;
}

/**
 * One connection at a time to one Redis. Nothing is queued or sent again here: a command that was under way when the
 * connection was lost is rejected with RedisAway, and so is every other until Redis is back. Commands of one turn of the event
 * loop travel together.
 */
export class RedisServerConnection implements RedisConnection {
  readonly #options: RedisServerOptions;
  #client: Redis | undefined;
  #batch: Waiting[] = [];
  readonly #underWay = new Set<Waiting>();
  readonly #ticker: NodeJS.Timeout;
  #isClosed = false;
  #whyAway = 'not connected yet';

  private constructor(options: RedisServerOptions) {
    this.#options = options;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#ticker.unref();
  }

  /** @throws GametapeError `UNREACHABLE` when it does not answer or does not let us in. */
  static async open(options: RedisServerOptions): Promise<RedisServerConnection> {
    const connection = new RedisServerConnection(options);
    try {
      await connection.#connect();
      return connection;
    } catch (cause) {
      await connection.close();
      const hint = 'Check the address, user and password, and that Redis is running.';
      const message = `${options.name}: no Redis answers there (${(cause as Error).message})`;
      throw new GametapeError('UNREACHABLE', message, { cause, hint });
    }
  }

  /** The same for one that may answer later: it is away until it does. */
  static begin(options: RedisServerOptions): RedisServerConnection {
    const connection = new RedisServerConnection(options);
    void connection.#comeBack();
    return connection;
  }

  get name(): string {
    return this.#options.name;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isAway(): boolean {
    return this.#client === undefined;
  }

  command(args: readonly Argument[], { timeoutMs = this.#options.timeoutMs }: CommandOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#client) {
        reject(new RedisAway(this.#whyAway));
        return;
      }
      this.#batch.push({ args, resolve, reject, ticksLeft: Math.ceil(timeoutMs / TICK_MS) + 1 });
      if (this.#batch.length === 1) queueMicrotask(() => this.#sendBatch());
    });
  }

  async commandAll(args: readonly Argument[]): Promise<readonly unknown[]> {
    return [await this.command(args)];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ticker);
    this.#leave('closed');
  }

  #sendBatch(): void {
    const batch = this.#batch;
    this.#batch = [];
    const client = this.#client;
    if (!client) {
      for (const { reject } of batch) reject(new RedisAway(this.#whyAway));
      return;
    }
    // One write for all of them: Redis syncs once for what it reads at once.
    client.stream.cork();
    for (const command of batch) this.#send(client, command);
    client.stream.uncork();
  }

  #send(client: Redis, command: Waiting): void {
    this.#underWay.add(command);
    const [name, ...rest] = command.args;
    const sent = new Command(String(name), rest.map(toArgument), { replyEncoding: null });
    sent.promise.then(
      (reply) => {
        // It may have been given up meanwhile.
        if (this.#underWay.delete(command)) command.resolve(reply);
      },
      (error: Error) => {
        if (!this.#underWay.delete(command)) return;
        const isConnection = isConnectionError(error);
        command.reject(isConnection ? new RedisAway(error.message) : error);
        if (isConnection || isReplica(error)) this.#goAway(client, error.message);
      },
    );
    client.sendCommand(sent);
  }

  async #connect(): Promise<void> {
    const { redis, timeoutMs } = this.#options;
    const client = new Redis({
      ...redis,
      lazyConnect: true,
      // This class connects again by itself: what was under way must not be sent again behind its back.
      retryStrategy: () => null,
      sentinelRetryStrategy: () => null,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      connectTimeout: timeoutMs,
      disableClientInfo: true,
      protocol: 2,
      noDelay: true,
    });
    let reason = 'the connection was closed';
    client.on('error', (error: Error) => {
      reason = error.message;
    });
    client.on('close', () => this.#goAway(client, reason));
    try {
      await within(client.connect(), timeoutMs, () => reason);
      await within(client.ping(), timeoutMs, () => 'it does not answer');
    } catch (error) {
      client.disconnect();
      // What ioredis throws says only that the connection is closed.
      throw reason === 'the connection was closed' ? error : new Error(reason);
    }
    if (this.#isClosed) client.disconnect();
    else this.#client = client;
  }

  #goAway(client: Redis, why: string): void {
    if (client !== this.#client) return;
    this.#leave(why);
    if (this.#isClosed) return;
    this.#options.log.warn({ redis: this.name, reason: why }, 'redis is away');
    this.#options.onAway?.();
    void this.#comeBack();
  }

  #leave(why: string): void {
    const client = this.#client;
    this.#client = undefined;
    this.#whyAway = why;
    client?.disconnect();
    const lost = [...this.#underWay, ...this.#batch];
    this.#underWay.clear();
    this.#batch = [];
    for (const { reject } of lost) reject(new RedisAway(why));
  }

  async #comeBack(): Promise<void> {
    const awaySince = performance.now();
    for (let waitMs = FIRST_WAIT_MS; !this.#isClosed; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
      await new Promise((resolve) => setTimeout(resolve, waitMs * (0.5 + Math.random() / 2)));
      if (this.#isClosed) return;
      try {
        await this.#connect();
      } catch {
        continue;
      }
      if (!this.#client) return;
      const awayMs = Math.round(performance.now() - awaySince);
      this.#options.log.warn({ redis: this.name, awayMs }, 'redis is back');
      this.#options.onBack();
      return;
    }
  }

  #tick(): void {
    for (const command of this.#underWay) {
      if (--command.ticksLeft > 0) continue;
      if (this.#client) this.#goAway(this.#client, 'a command was not answered in time');
      return;
    }
  }
}

function toArgument(argument: Argument): string | number | Buffer {
  if (!(argument instanceof Uint8Array)) return argument;
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

/** Errors of ioredis itself, not of Redis. */
function isConnectionError({ message }: Error): boolean {
  return /^(Connection is closed|Stream isn't writeable|Command timed out|Reached the max retries)/.test(message);
}

async function within<T>(promise: Promise<T>, limitMs: number, reason: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(reason())), limitMs);
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
