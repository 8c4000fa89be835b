import { GametapeError } from '@gametape/shared';
import { Command } from 'ioredis';
import type { Argument, CommandOptions, RedisConnection, RedisConnectionOptions } from './redis-connection.ts';
import { RedisAway } from './redis-errors.ts';
import { RedisServerConnection, type RedisServerOptions } from './redis-server-connection.ts';
import { readSlots, SLOTS, type SlotMap } from './redis-slots.ts';

/** While a master is away its cluster is asked this often who has taken its place. */
const WATCH_MS = 200;

export interface RedisClusterOptions extends RedisConnectionOptions {
  readonly redis: RedisServerOptions['redis'];
  readonly seeds: readonly { readonly host: string; readonly port: number }[];
}

/**
 * A Redis Cluster: a connection to each master, and what is known of who has which slot. The Cluster of ioredis is not used,
 * because it sends commands again by itself, whole pipelines even, when a connection is lost or a slot has moved; an append
 * must not come twice, nor after those that follow it.
 *
 * A command is given on once, to where MOVED or ASK says: it has not been carried out then. Where that is a server that was no
 * master before, something may be lost with the one it follows: it is rejected, and rooms look what is there.
 */
export class RedisClusterConnection implements RedisConnection {
  readonly #options: RedisClusterOptions;
  /** Masters by `host:port`. */
  readonly #links = new Map<string, RedisServerConnection>();
  #slots: SlotMap = [];
  #refreshing: Promise<void> | undefined;
  #isWatching = false;
  #isClosed = false;

  private constructor(options: RedisClusterOptions) {
    this.#options = options;
  }

  /** @throws GametapeError `UNREACHABLE` when no node answers, or nobody has some of the slots. */
  static async open(options: RedisClusterOptions): Promise<RedisClusterConnection> {
    const cluster = new RedisClusterConnection(options);
    let reason: unknown = new GametapeError('UNREACHABLE', `${options.name}: no node is named`);
    for (const seed of options.seeds) {
      try {
        const slots = await cluster.#askSeed(seed);
        const free = SLOTS - slots.reduce((count) => count + 1, 0);
        if (free > 0) throw clusterFault(options.name, `nobody has ${free} of its ${SLOTS} slots`);
        await cluster.#take(slots, true);
        return cluster;
      } catch (error) {
        reason = error;
      }
    }
    await cluster.close();
    throw reason;
  }

  get name(): string {
    return this.#options.name;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async command(args: readonly Argument[], options?: CommandOptions): Promise<unknown> {
    const slot = slotOf(args);
    const link = this.#links.get(this.#slots[slot] ?? '');
    if (!link) throw new RedisAway(`${this.name}: nobody is known to have slot ${slot}`);
    try {
      return await link.command(args, options);
    } catch (error) {
      return await this.#giveOn(error, args, options);
    }
  }

  async commandAll(args: readonly Argument[]): Promise<readonly unknown[]> {
    return await Promise.all([...this.#links.values()].map((link) => link.command(args)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  async #giveOn(error: unknown, args: readonly Argument[], options: CommandOptions | undefined): Promise<unknown> {
    const [, kind, slot, node = ''] = /^(MOVED|ASK) (\d+) (\S+)$/.exec((error as Error).message) ?? [];
    if (kind === undefined) throw error;
    const link = this.#links.get(node);
    if (kind === 'MOVED') {
      if (link) this.#slots[Number(slot)] = node;
      void this.#refresh();
    }
    if (!link) throw error;
    // Commands of one turn travel together, so nothing comes between the two.
    if (kind === 'ASK') link.command(['ASKING']).catch(() => undefined);
    return await link.command(args, options);
  }

  /** Asks who has which slot, until somebody says it. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #look(): Promise<void> {
    for (const [node, link] of shuffled([...this.#links])) {
      if (link.isAway) continue;
      try {
        await this.#take(readSlots(await link.command(['CLUSTER', 'SLOTS']), hostOf(node)), false);
        return;
      } catch {
        // The next one may know.
      }
    }
    // All addresses may be others now, but for those that the URL names.
    for (const seed of shuffled([...this.#options.seeds])) {
      if (this.#isClosed || [...this.#links.values()].some((link) => !link.isAway)) return;
      try {
        await this.#take(await this.#askSeed(seed), false);
        return;
      } catch {
        // As above.
      }
    }
  }

  async #askSeed(seed: { readonly host: string; readonly port: number }): Promise<SlotMap> {
    const link = await RedisServerConnection.open(this.#serverOptions(`${seed.host}:${seed.port}`, false));
    try {
      return readSlots(await link.command(['CLUSTER', 'SLOTS']), seed.host);
    } catch (cause) {
      throw clusterFault(this.name, (cause as Error).message, cause);
    } finally {
      await link.close();
    }
  }

  /** @param isFirst all masters have to answer */
  async #take(slots: SlotMap, isFirst: boolean): Promise<void> {
    const masters = new Set(slots.filter((node) => node !== undefined));
    const added = [...masters].filter((node) => !this.#links.has(node));
    const gone = [...this.#links.keys()].filter((node) => !masters.has(node));
    const links = await Promise.all(
      added.map(async (node) => {
        const options = this.#serverOptions(node, true);
        try {
          return [node, await RedisServerConnection.open(options)] as const;
        } catch (error) {
          if (isFirst) throw error;
          return [node, RedisServerConnection.begin(options)] as const;
        }
      }),
    );
    for (const [node, link] of links) this.#links.set(node, link);
    this.#slots = [...slots];
    for (const node of gone) {
      const link = this.#links.get(node);
      this.#links.delete(node);
      await link?.close();
    }
    if (this.#isClosed) await this.close();
    else if (!isFirst && added.length + gone.length > 0) {
      this.#options.log.warn({ redis: this.name, added, gone }, 'other masters in the cluster');
      this.#options.onBack();
    }
    if ([...this.#links.values()].some((link) => link.isAway)) void this.#watch();
  }

  #serverOptions(node: string, isMaster: boolean): RedisServerOptions {
    const { redis, log, timeoutMs, onBack } = this.#options;
    const port = Number(node.slice(node.lastIndexOf(':') + 1));
    const watch = { onBack, onAway: () => void this.#watch() };
    return {
      name: node,
      log,
      timeoutMs,
      redis: { ...redis, host: hostOf(node), port },
      ...(isMaster ? watch : { onBack: ignore }),
    };
  }

  async #watch(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    while (!this.#isClosed && [...this.#links.values()].some((link) => link.isAway)) {
      await this.#refresh();
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS * (0.5 + Math.random())));
    }
    this.#isWatching = false;
  }
}

function slotOf([name, ...args]: readonly Argument[]): number {
  const texts = args.map((argument) => (argument instanceof Uint8Array ? '' : String(argument)));
  const slot = new Command(String(name), texts).getSlot() as number | null;
  if (slot === null) throw new TypeError(`${name}: a command without a key has no place in a cluster`);
  return slot;
}

function hostOf(node: string): string {
  return node.slice(0, node.lastIndexOf(':'));
}

function shuffled<Item>(items: Item[]): Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function clusterFault(name: string, reason: string, cause?: unknown): GametapeError {
  const hint =
    'Name nodes of a Redis Cluster that is complete (`redis-cli --cluster check`), or use redis:// for a single Redis.';
  return new GametapeError('UNREACHABLE', `${name}: ${reason}`, { hint, cause });
}

function ignore(): void {}
