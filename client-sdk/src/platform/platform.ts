import type { ByteSource, Compression, Crc32 } from '@gametape/shared';
import type { SpoolOptions } from '../api.ts';
import type { SpoolStore } from '../spool/spool.ts';

/** The part of the WebSocket API that the SDK uses: browsers have it, and `ws` has it in Node. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** What a recording can be opened from: a path (Node) or URL, a file the user chose, bytes, or whatever can be read. */
export type TapeSource = string | Blob | Uint8Array | ByteSource;

/** All that recording and watching need of where they run: what opens recordings is apart, so that games need not load it. */
export interface Platform {
  readonly crc32: Crc32;
  /** Monotonic clock in microseconds (T1). */
  now(): number;
  randomBytes(count: number): Uint8Array;
  openSocket(url: string, subprotocol: string): Socket;
  /** Resolves when it is there: browsers load it once a recording is written. */
  compression(): Promise<Compression>;
  /** Undefined where nothing can be kept outside of the process. Rejects with why it cannot be opened. */
  readonly openSpools?: (options: SpoolOptions) => Promise<SpoolStore>;
}
