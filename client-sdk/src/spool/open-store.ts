import { GametapeError } from '@gametape/shared';
import type { SpoolOptions } from '../api.ts';
import type { Platform } from '../platform/platform.ts';
import type { SpoolStore } from './spool.ts';

/** Longest wait for the store: a browser may never answer. */
const STORE_MS = 5_000;

/** @throws GametapeError `SPOOL_FAILED` */
export async function openStore(platform: Platform, options: SpoolOptions | boolean | undefined): Promise<SpoolStore> {
  const { openSpools } = platform;
  if (!openSpools) throw new GametapeError('SPOOL_FAILED', 'there is nowhere to keep a spool here');
  return await inTime(openSpools(typeof options === 'object' ? options : {}));
}

/** Whatever fails is the spool's own failure. @throws GametapeError `SPOOL_FAILED` */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer after ${STORE_MS} ms`)), STORE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } catch (cause) {
    if (cause instanceof TypeError) throw cause;
    throw new GametapeError('SPOOL_FAILED', `spool: ${(cause as Error).message}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}
