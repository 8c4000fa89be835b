import type { RedisConnection, RedisConnectionOptions } from './redis-connection.ts';
import { parseRedisUrl, withoutPassword } from './redis-url.ts';

/** Connects to what a URL names. @throws GametapeError `UNREACHABLE` when it does not answer or does not let us in */
export async function openRedis(url: string, options: Omit<RedisConnectionOptions, 'name'>): Promise<RedisConnection> {
  const { redis, seeds } = parseRedisUrl(url);
  const all = { ...options, redis, name: withoutPassword(url) };
  // Its client takes long to load, and most relays have no Redis.
  if (!seeds) return await (await import('./redis-server-connection.ts')).RedisServerConnection.open(all);
  return await (await import('./redis-cluster-connection.ts')).RedisClusterConnection.open({ ...all, seeds });
}
