import { PORTABLE_COMPRESSION } from '@gametape/shared';
import { openHere } from './bytes-source.ts';
import { HttpSource } from './http-source.ts';
import type { Platform, Socket } from './platform.ts';

export const BROWSER: Platform = {
  compression: PORTABLE_COMPRESSION,
  now: () => performance.now() * 1_000,
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  openSocket: (url, subprotocol) => new WebSocket(url, subprotocol) as Socket,
  openSource: async (source) => (typeof source === 'string' ? new HttpSource(source) : openHere(source)),
};
