import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RedisServer } from './redis-server.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

/** A master, its replica, and a Sentinel that alone decides which of the two is the master. */
export class RedisWithSentinel {
  readonly nodes: readonly [RedisServer, RedisServer];
  readonly sentinel: RedisServer;

  private constructor(nodes: readonly [RedisServer, RedisServer], sentinel: RedisServer) {
    this.nodes = nodes;
    this.sentinel = sentinel;
  }

  static async start(settings: Readonly<Record<string, string>> = {}, downAfterMs = 500): Promise<RedisWithSentinel> {
    const master = await RedisServer.start(settings);
    const replica = await RedisServer.start({ ...settings, replicaof: `127.0.0.1 ${master.port}` });
    const inStep = () => replica.cli('INFO', 'replication').includes('master_link_status:up');
    await waitFor('the replica to be in step', inStep);
    const config = join(await tempDir(), 'sentinel.conf');
    await writeFile(
      config,
      [
        `sentinel monitor arena 127.0.0.1 ${master.port} 1`,
        `sentinel down-after-milliseconds arena ${downAfterMs}`,
        'sentinel failover-timeout arena 3000',
        '',
      ].join('\n'),
    );
    const sentinel = await RedisServer.startSentinel(config);
    const knows = () => sentinel.cli('SENTINEL', 'REPLICAS', 'arena').includes(String(replica.port));
    await waitFor('the Sentinel to know the replica', knows);
    return new RedisWithSentinel([master, replica], sentinel);
  }

  get url(): string {
    return `redis+sentinel://127.0.0.1:${this.sentinel.port}/arena`;
  }

  /** The one that the Sentinel names. */
  get master(): RedisServer {
    const [, port] = this.sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'arena').trim().split('\n');
    return this.nodes.find((node) => String(node.port) === port) as RedisServer;
  }

  /** Resolves when that one is no master any more. */
  async switchedFrom(old: RedisServer): Promise<void> {
    await waitFor('another master', () => this.master !== old);
  }
}
