import { crc32 } from '@gametape/shared';
import type { Platform, Socket } from './platform.ts';

export const BROWSER: Platform = {
  crc32,
  now: () => performance.now() * 1_000,
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  openSocket: (url, subprotocol) => new WebSocket(url, subprotocol) as Socket,
  openSpools: async (options) => (await import('./indexeddb-spool.ts')).openIndexedDbSpools(options),
  compression: async () => (await import('./portable-compression.ts')).PORTABLE_COMPRESSION,
};
