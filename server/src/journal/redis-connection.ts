import type { Logger } from '../log.ts';

export type Argument = string | Uint8Array | number;

export interface CommandOptions {
  /** Longest time without an answer before the connection is taken for dead, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * A way to one Redis, or to a Redis Cluster. A command is carried out once at the most: one that was under way when a connection
 * was lost is rejected, as is every other until Redis is back. Commands about the same keys arrive in the order they were given
 * in, or else some of them are rejected.
 */
export interface RedisConnection {
  /** The address as it may be logged. */
  readonly name: string;
  readonly isClosed: boolean;
  /**
   * Sends a command; texts in its reply are Buffers. In a cluster its keys say where to.
   *
   * @throws RedisAway, or the error that Redis answers with
   */
  command(args: readonly Argument[], options?: CommandOptions): Promise<unknown>;
  /** Asks every master for what each says of itself. @throws the same when one of them does not answer */
  commandAll(args: readonly Argument[]): Promise<readonly unknown[]>;
  close(): Promise<void>;
}

export interface RedisConnectionOptions {
  /** The address as it may be logged. */
  readonly name: string;
  readonly log: Logger;
  readonly timeoutMs: number;
  /** Called when Redis answers again after it was away, and when another server has taken the place of one. */
  readonly onBack: () => void;
}
