import { readdirSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Logger } from '../log.ts';

/** Journal, recordings and their directories are open now and then, a handful at a time. */
const RESERVED = 16;
const SOFT_LIMIT = /^Max open files\s+(\d+)/m;
const WARN_EVERY_MS = 10_000;

/**
 * Lets a server that listens take no more connections than leave the journal its descriptors: a peer that finds none comes back, a
 * segment that finds none is not recorded. What accepting suffers all the same ends nothing.
 */
export function keepDescriptors(server: Server, log: Logger): void {
  let warnedAt = Number.NEGATIVE_INFINITY;
  const warn = (reason: string) => {
    if (performance.now() - warnedAt < WARN_EVERY_MS) return;
    warnedAt = performance.now();
    log.warn({ reason, connections: server.maxConnections }, 'connections are refused');
  };
  server.on('error', (error) => warn(error.message));
  const left = descriptorsLeft();
  if (left === undefined) return;
  server.maxConnections = left;
  server.on('drop', () => warn('no more descriptors than the journal needs'));
}

/** Undefined where the system does not say. */
function descriptorsLeft(): number | undefined {
  try {
    const [, limit] = SOFT_LIMIT.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (limit === undefined) return undefined;
    return Math.max(1, Number(limit) - readdirSync('/proc/self/fd').length - RESERVED);
  } catch {
    return undefined;
  }
}
