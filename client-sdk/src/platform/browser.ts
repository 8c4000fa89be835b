import { crc32 } from '@gametape/shared';
import type { Platform, Socket } from './platform.ts';

const WAKING = ['visibilitychange', 'pageshow', 'resume', 'online'];

export const BROWSER: Platform = {
  crc32,
  now: () => performance.now() * 1_000,
  onWake: (listener) => {
    // Workers have no document, and a page may be shown again without having been hidden.
    const targets = [globalThis, ...(typeof document === 'undefined' ? [] : [document])];
    const each = (act: (target: EventTarget, event: string) => void) => {
      for (const target of targets) for (const event of WAKING) act(target, event);
    };
    each((target, event) => target.addEventListener(event, listener));
    return () => each((target, event) => target.removeEventListener(event, listener));
  },
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  openSocket: (url, subprotocol) => new WebSocket(url, subprotocol) as Socket,
  openSpools: async (options) => (await import('./indexeddb-spool.ts')).openIndexedDbSpools(options),
  compression: async () => (await import('./portable-compression.ts')).PORTABLE_COMPRESSION,
};
