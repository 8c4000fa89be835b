import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { type ByteSource, type Compression, GametapeError } from '@gametape/shared';
import { WebSocket } from 'ws';
import { openHere } from './bytes-source.ts';
import { HttpSource } from './http-source.ts';
import type { Platform, Socket, TapeSource } from './platform.ts';

export const NODE_COMPRESSION: Compression = {
  crc32,
  deflate: (bytes) => deflateRawSync(bytes, { level: 6 }),
  inflate: (bytes, rawLength) => inflateRawSync(bytes, { maxOutputLength: Math.max(1, rawLength) }),
};

export const NODE: Platform = {
  crc32,
  now: () => performance.now() * 1_000,
  randomBytes: (count) => randomBytes(count),
  // Node's own WebSocket inflates without a bound (CVE-2026-1526): `ws` does not negotiate compression here.
  openSocket: (url, subprotocol) => new WebSocket(url, subprotocol, { perMessageDeflate: false }) as unknown as Socket,
  compression: async () => NODE_COMPRESSION,
  openSpools: async (options) => (await import('./file-spool.ts')).openFileSpools(options),
};

/** What to read a recording from in Node, where a text is a path or a URL. @throws GametapeError `NOT_FOUND` */
export async function openInNode(source: TapeSource): Promise<ByteSource> {
  if (typeof source !== 'string') return openHere(source);
  return HttpSource.isUrl(source) ? new HttpSource(source) : await FileSource.open(source);
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly #handle: FileHandle;

  private constructor(name: string, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
  }

  static async open(path: string): Promise<FileSource> {
    try {
      return new FileSource(path, await open(path, 'r'));
    } catch (cause) {
      throw new GametapeError('NOT_FOUND', `${path}: cannot be opened (${(cause as Error).message})`, { cause });
    }
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(length);
    const { bytesRead } = await this.#handle.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
