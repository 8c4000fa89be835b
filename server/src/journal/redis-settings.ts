import { GametapeError } from '@gametape/shared';
import type { Durability } from './journal.ts';
import type { RedisConnection } from './redis-connection.ts';

/** What a Redis says about how it keeps what it is given. */
export interface RedisSettings {
  readonly durability: Extract<Durability, `redis:${string}`>;
  readonly version: string;
  /** Why it cannot be written to, or not as a journal has to. */
  readonly fault: string | undefined;
  /** Why it may lose what it has acknowledged, beyond what `durability` says. */
  readonly risks: readonly string[];
}

/** Version 6.2. */
const OLDEST = 602;

/** What every master keeps, at the least. @throws RedisAway, or the error that Redis answers with */
export async function readSettings(connection: RedisConnection): Promise<RedisSettings> {
  const infos = (await connection.commandAll(['INFO'])).map(parseInfo);
  const configs = await readConfigs(connection);
  const all = infos.map((info, i) => settingsOf(info, configs[i] ?? new Map()));
  const [first, ...others] = all as [RedisSettings, ...RedisSettings[]];
  return others.reduce((least, next) => {
    const isLess = STRENGTHS.indexOf(next.durability) < STRENGTHS.indexOf(least.durability);
    const { durability, version } = isLess ? next : least;
    const risks = [...new Set([...least.risks, ...next.risks])];
    return { durability, version, risks, fault: least.fault ?? next.fault };
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
  const version = info.get('redis_version') ?? 'unknown';
  return { durability: durabilityOf(isAof, fsync), version, risks, fault: faultOf(info, version) };
}

function faultOf(info: ReadonlyMap<string, string>, version: string): string | undefined {
  if (info.get('role') === 'slave') {
    return `it is a replica of ${info.get('master_host')}:${info.get('master_port')}, whose data it takes over`;
  }
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major * 100 + minor < OLDEST ? `it is version ${version}: logs are trimmed by XTRIM MINID, of 6.2` : undefined;
}

/** @throws GametapeError `NOT_ALLOWED` for a Redis that cannot be a journal, or may lose what it has acknowledged unless `acceptsLoss` */
export function checkSettings({ risks, fault }: RedisSettings, name: string, acceptsLoss: boolean): void {
  if (fault !== undefined) {
    const hint = 'Name a master of version 6.2 or later, or let a Sentinel say which one it is: redis+sentinel://…';
    throw new GametapeError('NOT_ALLOWED', `${name}: ${fault}`, { hint });
  }
  if (risks.length === 0 || acceptsLoss) return;
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
