import { deflateRawSync } from 'node:zlib';
import { NODE_COMPRESSION } from '@gametape/server';
import {
  BLOCK_HEADER_BYTES,
  ByteReader,
  type ByteSource,
  decodeBlockHeader,
  decodeBlockPayload,
  RecordingReader,
  RecordType,
  readRecords,
} from '@gametape/shared';

/** Columns of an events record, by their tags in FORMAT.md. */
const COLUMNS = ['', 'producer', 'seq', 'time', 'stamp', 'pseq', 'hlc', 'length', 'bodies', 'exact'] as const;

/** How long one part of a file is before deflate, and what it deflates to on its own, block by block. */
export interface PartBytes {
  raw: number;
  deflated: number;
}

/**
 * What the bytes of a recording are spent on. Parts of a block share one deflate stream, so `deflated` tells their shares,
 * not exact bytes; headers and index are exact.
 */
export async function filePartsOf(source: ByteSource): Promise<Map<string, PartBytes>> {
  const reader = await RecordingReader.open(source, NODE_COMPRESSION);
  const parts = new Map<string, PartBytes>();
  const add = (name: string, raw: number, deflated: number) => {
    const part = parts.get(name) ?? { raw: 0, deflated: 0 };
    parts.set(name, { raw: part.raw + raw, deflated: part.deflated + deflated });
  };
  let end = 0;
  for (const { offset, length } of reader.blocks) {
    const bytes = await source.read(offset, length);
    const header = decodeBlockHeader(bytes, 0, NODE_COMPRESSION);
    const payload = decodeBlockPayload(header, bytes.subarray(BLOCK_HEADER_BYTES), NODE_COMPRESSION);
    add('block headers', BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES);
    for (const [name, part] of partsOfPayload(payload))
      add(name, part.length, deflateRawSync(part, { level: 9 }).length);
    end = offset + length;
  }
  const rest = reader.bytes - end;
  add('index and footer', rest, rest);
  return parts;
}

function* partsOfPayload(payload: Uint8Array): Generator<[name: string, part: Uint8Array]> {
  const keyframes: Uint8Array[] = [];
  const others: Uint8Array[] = [];
  for (const { type, bytes } of readRecords(payload)) {
    if (type === RecordType.Events) yield* columnsOf(bytes);
    else (type === RecordType.Keyframe ? keyframes : others).push(bytes);
  }
  if (keyframes.length > 0) yield ['keyframes', Buffer.concat(keyframes)];
  if (others.length > 0) yield ['other records', Buffer.concat(others)];
}

function* columnsOf(record: Uint8Array): Generator<[name: string, part: Uint8Array]> {
  const reader = new ByteReader(record, 'DAMAGED');
  reader.varint();
  while (reader.left > 0) {
    const tag = reader.byte();
    const name = COLUMNS[tag] ?? `column ${tag}`;
    yield [name === 'bodies' ? name : `column ${name}`, reader.raw(reader.varint())];
  }
}
