import {
  type ByteSource,
  type Compression,
  decodeFooter,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  type Footer,
  GametapeError,
  isGametapeError,
  RecordingReader,
  startsWithMagic,
} from '@gametape/shared';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { type Problem, Problems } from './problems.ts';
import { ReplayCheck } from './replay-check.ts';

export interface VerifyReport {
  readonly file: string;
  /** Null when nothing in the file says it. */
  readonly recordingId: string | null;
  readonly room: string | null;
  /** Nothing is wrong: every byte is what was written, and every state what it was. */
  readonly intact: boolean;
  /** It has its index and footer. */
  readonly finished: boolean;
  /** Every event that any player recorded is in it. */
  readonly complete: boolean;
  readonly bytes: number;
  readonly blocks: number;
  readonly entries: number;
  readonly events: number;
  readonly checkpoints: number;
  /** States that were compared with the hash that was recorded of them (R4). */
  readonly statesChecked: number;
  readonly problems: readonly Problem[];
  /** Problems that are not listed, because there are too many. */
  readonly moreProblems: number;
}

/**
 * Re-reads all of a recording: checksums, the chain of blocks, the order of the timeline, every delta, every state hash, and
 * every number of the index (R3, R4). Memory does not grow with the file (R6).
 *
 * What is wrong is reported, not thrown.
 * @throws GametapeError `BAD_RECORDING` for what is no recording at all, `VERSION_UNKNOWN`
 */
export async function verifyRecording(
  source: ByteSource,
  compression: Compression = NODE_COMPRESSION,
): Promise<VerifyReport> {
  const problems = new Problems();
  const bytes = await source.size();
  const reader = await openDamaged(source, problems, compression);
  const replay = new ReplayCheck(reader, problems, compression);
  const { summary, meta } = reader;
  if (summary) await checkFooter(reader, problems, compression);
  await replay.run();
  return {
    file: source.name,
    recordingId: meta.recordingId,
    room: meta.room,
    intact: problems.isEmpty,
    finished: summary !== undefined,
    complete: summary?.complete ?? false,
    bytes,
    blocks: reader.blocks.length,
    entries: replay.entries,
    events: replay.events,
    checkpoints: reader.checkpoints.length,
    statesChecked: replay.statesChecked,
    problems: problems.list,
    moreProblems: problems.more,
  };
}

/** Opens a file as far as it can be read, and says why not further. */
async function openDamaged(source: ByteSource, problems: Problems, compression: Compression): Promise<RecordingReader> {
  const mended = await mendHeader(source, problems, compression);
  const size = await mended.size();
  try {
    const reader = await RecordingReader.open(mended, compression);
    if (!reader.summary) reportUnfinished(reader, size, problems);
    return reader;
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    if (!(await hasFooter(mended, size, compression))) throw error;
    problems.add('index', withoutName(error.message, mended.name));
    // Without its last byte a file has no footer: it is read as if it had never been finished.
    const reader = await RecordingReader.open(new CutSource(mended, size - 1), compression);
    return reader;
  }
}

/** The same file with a header as it should be, so that the rest of it can be verified too. */
async function mendHeader(source: ByteSource, problems: Problems, compression: Compression): Promise<ByteSource> {
  const expected = encodeFileHeader(compression);
  const found = await source.read(0, FILE_HEADER_BYTES);
  if (expected.every((byte, index) => found[index] === byte)) return source;
  const size = await source.size();
  const isRecording = startsWithMagic(found) || (await hasFooter(source, size, compression));
  if (!isRecording)
    throw new GametapeError('BAD_RECORDING', `${source.name}: expected a recording that starts with LMSP`);
  const sealed = found.length === FILE_HEADER_BYTES && hasOwnCrc(found, compression);
  if (sealed) return source;
  problems.add('header', `the first ${FILE_HEADER_BYTES} bytes are not the header of a version 2 recording`);
  return new MendedSource(source, expected);
}

function hasOwnCrc(header: Uint8Array, { crc32 }: Compression): boolean {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  return view.getUint32(12, true) === crc32(header.subarray(0, 12));
}

async function hasFooter(source: ByteSource, size: number, compression: Compression): Promise<boolean> {
  return (await readFooter(source, size, compression)) !== undefined;
}

async function readFooter(source: ByteSource, size: number, compression: Compression): Promise<Footer | undefined> {
  return decodeFooter(await source.read(Math.max(0, size - FOOTER_BYTES), FOOTER_BYTES), compression);
}

function reportUnfinished(reader: RecordingReader, size: number, problems: Problems): void {
  const last = reader.blocks.at(-1);
  const end = last ? last.offset + last.length : FILE_HEADER_BYTES;
  const blocks = `${reader.blocks.length} intact blocks before it`;
  if (end < size) problems.add(`byte ${end}`, `the next ${size - end} bytes are no intact block; ${blocks}`);
  problems.add('footer', 'there is none that is intact: the recording was never finished, or its end is gone');
}

/** What the footer says against what the index says. */
async function checkFooter(reader: RecordingReader, problems: Problems, compression: Compression): Promise<void> {
  const { summary } = reader;
  const footer = await readFooter(reader.source, reader.bytes, compression);
  if (!footer || !summary) return;
  if (footer.events !== summary.events) {
    problems.add('footer', `it says ${footer.events} events, the index says ${summary.events}`);
  }
  if (footer.complete !== summary.complete) {
    problems.add('footer', `it says ${footer.complete ? '' : 'not '}complete, the index says otherwise`);
  }
}

function withoutName(message: string, name: string): string {
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
}

class MendedSource implements ByteSource {
  readonly name: string;
  readonly #source: ByteSource;
  readonly #start: Uint8Array;

  constructor(source: ByteSource, start: Uint8Array) {
    this.name = source.name;
    this.#source = source;
    this.#start = start;
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = Uint8Array.from(await this.#source.read(offset, length));
    if (offset < this.#start.length) bytes.set(this.#start.subarray(offset, offset + bytes.length));
    return bytes;
  }
}

class CutSource implements ByteSource {
  readonly name: string;
  readonly #source: ByteSource;
  readonly #size: number;

  constructor(source: ByteSource, size: number) {
    this.name = source.name;
    this.#source = source;
    this.#size = size;
  }

  async size(): Promise<number> {
    return this.#size;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#source.read(offset, Math.min(length, this.#size - offset));
  }
}
