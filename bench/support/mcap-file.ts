import { deflateSync, inflateSync } from 'node:zlib';
import type { ByteSource } from '@gametape/shared';
import { McapIndexedReader, McapWriter } from '@mcap/core';

/** What `@mcap/core` takes if nothing is said. */
export const DEFAULT_CHUNK_BYTES = 1024 * 1024;
/** The name that chunks carry; MCAP itself knows only lz4 and zstd, which Node 20 does not have. */
const DEFLATE = 'zlib';
const DEFLATE_LEVEL = 6;
const MAX_INFLATE_STEP = 1024 * 1024;
/** Far more than the message indexes of the longest file here. */
const INDEX_CACHE_BYTES = 64 * 1024 * 1024;

export interface McapMessage {
  /** One channel a topic. */
  readonly topic: string;
  readonly sequence: number;
  /** Nanoseconds, as MCAP has them. */
  readonly logTime: bigint;
  readonly data: Uint8Array;
}

export interface McapFileOptions {
  /** @default 1 MiB, the library's own default */
  readonly chunkBytes?: number;
  /** Listed by the file's summary, so that whoever opens it knows them. */
  readonly metadataNames?: Iterable<string>;
}

/** An MCAP file with deflate chunks and everything else as the library has it: all indexes on, checksums on. */
export async function writeMcap(messages: Iterable<McapMessage>, options: McapFileOptions = {}): Promise<Uint8Array> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES, metadataNames = [] } = options;
  const sink = new McapSink();
  const writer = new McapWriter({
    writable: sink,
    chunkSize: chunkBytes,
    compressChunk: (chunk) => ({
      compression: DEFLATE,
      compressedData: deflateSync(chunk, { level: DEFLATE_LEVEL }),
    }),
  });
  await writer.start();
  const channels = new Map<string, number>();
  for (const { topic, sequence, logTime, data } of messages) {
    let channelId = channels.get(topic);
    if (channelId === undefined) {
      channelId = await writer.registerChannel({ schemaId: 0, topic, messageEncoding: 'json', metadata: new Map() });
      channels.set(topic, channelId);
    }
    await writer.addMessage({ channelId, sequence, logTime, publishTime: logTime, data });
  }
  for (const name of metadataNames) await writer.addMetadata({ name, metadata: new Map() });
  await writer.end();
  return sink.bytes();
}

/** Reads its indexes; those of messages are kept once read. */
export function openMcap(source: ByteSource): Promise<McapIndexedReader> {
  return McapIndexedReader.Initialize({
    readable: {
      size: async () => BigInt(await source.size()),
      read: (offset, length) => source.read(Number(offset), Number(length)),
    },
    decompressHandlers: {
      // In steps as large as our own reader's: zlib's default of 16 KiB would only slow the peer down.
      [DEFLATE]: (chunk, size) => inflateSync(chunk, { chunkSize: Math.min(Number(size), MAX_INFLATE_STEP) }),
    },
    messageIndexCacheSizeBytes: INDEX_CACHE_BYTES,
  });
}

/** A message of JSON. */
export function parsed<Value>({ buffer, byteOffset, byteLength }: Uint8Array): Value {
  return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8')) as Value;
}

/** Copies what it is given: the writer goes on to use its buffer. */
class McapSink {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  async write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes.slice());
    this.#length += bytes.length;
  }

  position(): bigint {
    return BigInt(this.#length);
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts, this.#length);
  }
}
