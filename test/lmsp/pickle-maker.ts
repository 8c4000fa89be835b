import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { BytesSink, type RecordingReader } from '@gametape/shared';
import { importPickle } from '../../server/dist/pickle/import-pickle.js';
import { chunksOf, openBytes, RECORDING_ID } from './session-maker.ts';

/** A short session of the seed's BinaryFormat, written by Python 3.11 (protocol 4); `.json` is what the seed makes of it. */
export const V1_FILE = fileURLToPath(new URL('v1/session.bin', import.meta.url));
export const V1_JSON = fileURLToPath(new URL('v1/session.json', import.meta.url));

type Piece = string | number | Uint8Array;

/** A pickle from texts (Latin-1), opcodes as numbers, and bytes. */
export function pickle(...pieces: readonly Piece[]): Uint8Array {
  return Buffer.concat(
    pieces.map((piece) => {
      if (typeof piece === 'string') return Buffer.from(piece, 'latin1');
      return typeof piece === 'number' ? Uint8Array.of(piece) : piece;
    }),
  );
}

/** SHORT_BINUNICODE. */
export function text(value: string): Uint8Array {
  return pickle(0x8c, Buffer.byteLength(value), Buffer.from(value));
}

/** STACK_GLOBAL with both names before it. */
export function named(module: string, name: string): Uint8Array {
  return pickle(text(module), text(name), 0x93);
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Where the parts of a file of version 1 begin: the first pickle, each of the events, the checkpoints. */
export function partsOf(file: Uint8Array): { offset: number; bytes: Uint8Array }[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  let at = 8;
  const take = () => {
    const length = view.getUint32(at, true);
    parts.push({ offset: at + 4, bytes: file.subarray(at + 4, at + 4 + length) });
    at += 4 + length;
  };
  take();
  const count = view.getUint32(at, true);
  at += 4;
  for (let index = 0; index <= count; index++) take();
  return parts;
}

/** The committed session with `event` in place of its event 0. `offset` is where that begins. */
export async function fileWithEvent(event: Uint8Array): Promise<{ file: Uint8Array; offset: number }> {
  const whole = await readFile(V1_FILE);
  const [, first] = partsOf(whole);
  if (!first) throw new Error('the committed session has no event');
  const { offset, bytes } = first;
  const before = whole.subarray(0, offset - 4);
  return {
    file: Buffer.concat([before, u32(event.length), event, whole.subarray(offset + bytes.length)]),
    offset,
  };
}

export async function importBinary(
  file: Uint8Array,
  chunk = 1_000,
): Promise<{ reader: RecordingReader; bytes: Uint8Array }> {
  const sink = new BytesSink();
  await importPickle(() => chunksOf(file, chunk), sink, { recordingId: RECORDING_ID });
  return { reader: await openBytes(sink), bytes: sink.bytes() };
}
