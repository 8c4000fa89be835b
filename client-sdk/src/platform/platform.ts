import type { ByteSource, Compression } from '@gametape/shared';

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

/** All that the SDK needs of where it runs. */
export interface Platform {
  readonly compression: Compression;
  /** Monotonic clock in microseconds (T1). */
  now(): number;
  randomBytes(count: number): Uint8Array;
  openSocket(url: string, subprotocol: string): Socket;
  openSource(source: TapeSource): Promise<ByteSource>;
}
