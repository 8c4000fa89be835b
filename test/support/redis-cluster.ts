import { mkdtemp } from 'node:fs/promises';
import { freePort } from './free-port.ts';
import { RedisServer } from './redis-server.ts';
import { waitFor } from './wait-for.ts';

const SLOTS = 16_384;
const NODE_TIMEOUT_MS = 1_500;

/** A Redis Cluster of the test's own: masters that share all slots, and replicas, the first of the first master. */
export class RedisCluster {
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];
  readonly #busPorts: ReadonlyMap<RedisServer, number>;

  private constructor(masters: RedisServer[], replicas: RedisServer[], busPorts: ReadonlyMap<RedisServer, number>) {
    this.masters = masters;
    this.replicas = replicas;
    this.#busPorts = busPorts;
  }

  /** @param all for several tests: where its nodes live, and who is told how to stop them */
  static async start(
    counts: { masters?: number; replicas?: number } = {},
    all?: { directory: string; until: (stop: () => Promise<void>) => void },
  ): Promise<RedisCluster> {
    const { masters = 3, replicas = 0 } = counts;
    const busPorts = new Map<RedisServer, number>();
    const startNode = async () => {
      const busPort = await freePort();
      const settings = {
        'cluster-enabled': 'yes',
        'cluster-node-timeout': String(NODE_TIMEOUT_MS),
        'cluster-port': String(busPort),
      };
      const directory = all && (await mkdtemp(`${all.directory}/node-`));
      const server = await RedisServer.start(settings, directory, all?.until);
      busPorts.set(server, busPort);
      return server;
    };
    const nodes: RedisServer[] = [];
    for (let i = 0; i < masters + replicas; i++) nodes.push(await startNode());
    const cluster = new RedisCluster(nodes.slice(0, masters), nodes.slice(masters), busPorts);
    await cluster.#form();
    return cluster;
  }

  /** Forgets everything. */
  flush(): void {
    for (const master of this.masters) master.cli('FLUSHALL');
  }

  get url(): string {
    return `redis+cluster://${this.masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  /** Who has a key, before any slot moves. */
  masterOf(key: string): RedisServer {
    const slot = Number(this.masters[0]?.cli('CLUSTER', 'KEYSLOT', key));
    return this.masters[Math.floor(slot / Math.ceil(SLOTS / this.masters.length))] as RedisServer;
  }

  /** Moves one slot with its keys, as `redis-cli --cluster reshard` does. */
  async moveSlot(slot: number, from: RedisServer, to: RedisServer, between: () => Promise<void>): Promise<void> {
    const [fromId, toId] = [from, to].map((server) => server.cli('CLUSTER', 'MYID').trim()) as [string, string];
    to.cli('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', fromId);
    from.cli('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', toId);
    await between();
    const keys = from.cli('CLUSTER', 'GETKEYSINSLOT', String(slot), '100').trim().split('\n').filter(Boolean);
    for (const key of keys) {
      from.cli('MIGRATE', '127.0.0.1', String(to.port), key, '0', '5000');
      await between();
    }
    for (const server of [to, from, ...this.masters]) server.cli('CLUSTER', 'SETSLOT', String(slot), 'NODE', toId);
  }

  async #form(): Promise<void> {
    const [first, ...others] = [...this.masters, ...this.replicas] as [RedisServer, ...RedisServer[]];
    const share = Math.ceil(SLOTS / this.masters.length);
    for (const [i, master] of this.masters.entries()) {
      master.cli('CLUSTER', 'ADDSLOTSRANGE', String(i * share), String(Math.min(SLOTS, (i + 1) * share) - 1));
      master.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
    }
    for (const other of others) {
      other.cli('CLUSTER', 'MEET', '127.0.0.1', String(first.port), String(this.#busPorts.get(first)));
    }
    const all = [first, ...others];
    const knowsAll = (server: RedisServer) =>
      server
        .cli('CLUSTER', 'NODES')
        .trim()
        .split('\n')
        .filter((line) => !/handshake|noaddr/.test(line)).length === all.length;
    await waitFor('all nodes to know each other', () => all.every(knowsAll));
    for (const [i, replica] of this.replicas.entries()) {
      const id = this.masters[i]?.cli('CLUSTER', 'MYID').trim() as string;
      await waitFor('the replica to follow', () => replica.cli('CLUSTER', 'REPLICATE', id).trim() === 'OK');
      await waitFor('the replica to be in step', () =>
        replica.cli('INFO', 'replication').includes('master_link_status:up'),
      );
    }
    const isOk = (server: RedisServer) => server.cli('CLUSTER', 'INFO').includes('cluster_state:ok');
    await waitFor('the cluster to be complete', () => all.every(isOk));
  }
}
