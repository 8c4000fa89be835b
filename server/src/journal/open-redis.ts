import { RedisClusterConnection } from './redis-cluster-connection.ts';
import type { RedisConnection, RedisConnectionOptions } from './redis-connection.ts';
import { RedisServerConnection } from './redis-server-connection.ts';
import { parseRedisUrl, withoutPassword } from './redis-url.ts';

/** Connects to what a URL names. @throws GametapeError `UNREACHABLE` when it does not answer or does not let us in */
export async function openRedis(url: string, options: Omit<RedisConnectionOptions, 'name'>): Promise<RedisConnection> {
  const { redis, seeds } = parseRedisUrl(url);
  const all = { ...options, redis, name: withoutPassword(url) };
  return seeds ? await RedisClusterConnection.open({ ...all, seeds }) : await RedisServerConnection.open(all);
}
