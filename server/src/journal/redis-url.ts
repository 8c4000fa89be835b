import { GametapeError } from '@gametape/shared';
import type { RedisOptions } from 'ioredis';

const SENTINEL_PORT = 26_379;
const REDIS_PORT = 6_379;
const EXAMPLES =
  'Use redis://host:port/db, redis+sentinel://host:port,host:port/master-name/db or redis+cluster://host:port,host:port; rediss for TLS.';

/** How Redis is reached. */
export interface RedisAddress {
  readonly redis: RedisOptions;
  /** Some nodes of a Redis Cluster, which know the others. */
  readonly seeds?: readonly { readonly host: string; readonly port: number }[];
}

/**
 * What a URL says about reaching Redis. User and password in front of the hosts are those of Redis itself; for Sentinel, the
 * same are used.
 *
 * @throws GametapeError `UNREACHABLE` for what is no such URL; nothing of its password is in the message.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const [, secure, kind, credentials = '', hosts = '', path = ''] =
    /^redis(s?)(\+sentinel|\+cluster)?:\/\/(?:([^@/]*)@)?([^/]+)\/?(.*)$/.exec(url) ?? [];
  if (hosts === '') throw unknown('it does not look like one');
  const [user, password] = readCredentials(credentials);
  const tls = secure === 's' ? { tls: {} } : {};
  const login = {
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
  };
  if (kind === undefined) {
    const { host, port } = readHost(hosts, REDIS_PORT);
    return { redis: { host, port, db: readDb(path), ...login, ...tls } };
  }
  if (kind === '+cluster') {
    if (path !== '') throw unknown('a cluster has one database, without a number');
    return { redis: { ...login, ...tls }, seeds: hosts.split(',').map((host) => readHost(host, REDIS_PORT)) };
  }
  const [name = '', db = ''] = path.split('/');
  if (name === '') throw unknown('the name of the master is missing');
  const sentinels = hosts.split(',').map((host) => readHost(host, SENTINEL_PORT));
  const asWell = {
    ...(password !== undefined && { sentinelPassword: password }),
    ...(user !== undefined && { sentinelUsername: user }),
  };
  const sentinelTls = secure === 's' ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {};
  return { redis: { sentinels, name, db: readDb(db), ...login, ...asWell, ...tls, ...sentinelTls } };
}

/** The URL as it may be logged. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@');
}

function readCredentials(text: string): [user: string | undefined, password: string | undefined] {
  if (text === '') return [undefined, undefined];
  const colon = text.indexOf(':');
  const [user, password] = colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)];
  return [user === '' ? undefined : decode(user), decode(password)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unknown('user or password is not URL-encoded');
  }
}

function readHost(text: string, defaultPort: number): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535) throw unknown(`${JSON.stringify(text)} is no host and port`);
  return { host, port };
}

function readDb(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,5}$/.test(text)) throw unknown(`${JSON.stringify(text)} is no number of a database`);
  return Number(text);
}

function unknown(why: string): GametapeError {
  return new GametapeError('UNREACHABLE', `not the URL of a Redis: ${why}`, { hint: EXAMPLES });
}
