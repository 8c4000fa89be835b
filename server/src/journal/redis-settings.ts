import { GametapeError } from '@gametape/shared';
import type { Durability } from './journal.ts';
import type { RedisConnection } from './redis-connection.ts';

/** What a Redis says about how it keeps what it is given. */
export interface RedisSettings {
  readonly durability: Extract<Durability, `redis:${string}`>;
  readonly version: string;
  /** Why it may lose what it has acknowledged, beyond what `durability` says. */
  readonly risks: readonly string[];
}

/** What every master keeps, at the least. @throws RedisAway, or the error that Redis answers with */
export async function readSettings(connection: RedisConnection): Promise<RedisSettings> {
  const infos = (await connection.commandAll(['INFO'])).map(parseInfo);
  const configs = await readConfigs(connection);
  const all = infos.map((info, i) => settingsOf(info, configs[i] ?? new Map()));
  const [first, ...others] = all as [RedisSettings, ...RedisSettings[]];
  return others.reduce((least, next) => {
    const { durability, version } =
      STRENGTHS.indexOf(next.durability) < STRENGTHS.indexOf(least.durability) ? next : least;
    return { durability, version, risks: [...new Set([...least.risks, ...next.risks])] };
  }, first);
}

/** The least first. */
const STRENGTHS: readonly RedisSettings['durability'][] = [
  'redis:memory',
  'redis:no',
  'redis:everysec',
  'redis:always',
];

function settingsOf(info: ReadonlyMap<string, string>, config: ReadonlyMap<string, string>): RedisSettings {
  const appendonly = config.get('appendonly') ?? (info.get('aof_enabled') === '1' ? 'yes' : 'no');
  const policy = config.get('maxmemory-policy') ?? info.get('maxmemory_policy') ?? 'unknown';
  const isAof = appendonly === 'yes';
  // Where CONFIG is not allowed, the heuristic that everysec needs asks for no setting.
  const fsync = config.get('appendfsync') ?? 'everysec';
  const risks: string[] = [];
  if (policy !== 'noeviction') risks.push(`maxmemory-policy is ${policy}: a full Redis would throw away recordings`);
  if (isAof && fsync !== 'no' && config.get('no-appendfsync-on-rewrite') === 'yes') {
    risks.push('no-appendfsync-on-rewrite is yes: nothing is synced while Redis rewrites its file');
  }
  return { durability: durabilityOf(isAof, fsync), version: info.get('redis_version') ?? 'unknown', risks };
}

/** @throws GametapeError `NOT_ALLOWED` for a Redis that may lose what it has acknowledged */
export function checkSettings({ risks }: RedisSettings, name: string): void {
  if (risks.length === 0) return;
  const hint =
    'Set maxmemory-policy noeviction and no-appendfsync-on-rewrite no in Redis, or pass --redis-accept-loss to record all the same.';
  throw new GametapeError('NOT_ALLOWED', `${name}: ${risks.join('; ')}`, { hint });
}

/** `name:value` lines. */
export function parseInfo(reply: unknown): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of String(reply).split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) values.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return values;
}

async function readConfigs(connection: RedisConnection): Promise<Map<string, string>[]> {
  const values: Map<string, string>[] = [];
  for (const name of ['appendonly', 'appendfsync', 'no-appendfsync-on-rewrite', 'maxmemory-policy']) {
    let replies: readonly unknown[];
    try {
      replies = await connection.commandAll(['CONFIG', 'GET', name]);
    } catch (error) {
      // Hosted servers forbid CONFIG; INFO tells what it can.
      if (!/^(NOPERM|ERR unknown)/.test((error as Error).message)) throw error;
      continue;
    }
    for (const [i, reply] of replies.entries()) {
      values[i] ??= new Map();
      const [, value] = Array.isArray(reply) ? reply : [];
      if (value !== undefined) values[i].set(name, String(value));
    }
  }
  return values;
}

function durabilityOf(isAof: boolean, fsync: string): RedisSettings['durability'] {
  if (!isAof) return 'redis:memory';
  if (fsync === 'always') return 'redis:always';
  return fsync === 'no' ? 'redis:no' : 'redis:everysec';
}
