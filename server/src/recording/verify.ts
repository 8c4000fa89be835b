import {
  BLOCK_HEADER_BYTES,
  type ByteSource,
  type Compression,
  decodeBlockHeader,
  decodeFooter,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  FOOTER_BYTES,
  type Footer,
  GametapeError,
  isGametapeError,
  RecordingReader,
  type RecordingSummary,
  startsWithMagic,
} from '@gametape/shared';
import { BufferedSource } from '../journal/buffered-source.ts';
import { scanLog } from '../journal/log-scan.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { surveyBlocks } from './block-survey.ts';
import { refuseLaterVersion } from './file-version.ts';
import { rememberLastInflated } from './last-inflated.ts';
import { type Problem, Problems } from './problems.ts';
import { findMeta } from './recovered-meta.ts';
import { ReplayCheck } from './replay-check.ts';
import { ResyncCheck } from './resync-check.ts';

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
export async function verifyRecording(source: ByteSource, base: Compression = NODE_COMPRESSION): Promise<VerifyReport> {
  const compression = rememberLastInflated(base);
  const problems = new Problems();
  const bytes = await source.size();
  const mended = await mendHeader(source, problems, compression);
  const reader = await openDamaged(mended, problems, compression);
  const replay = reader && new ReplayCheck(reader, problems, compression);
  const summary = reader?.summary;
  const footer = await readFooter(source, bytes, compression);
  if (summary && footer) checkFooter(footer, summary, problems);
  await replay?.run();
  const further = summary ? undefined : await checkFurther(mended, reader, problems, compression);
  const meta = reader?.meta ?? further?.meta;
  return {
    file: source.name,
    recordingId: meta?.recordingId ?? null,
    room: meta?.room ?? null,
    intact: problems.isEmpty,
    finished: summary !== undefined && footer !== undefined,
    complete: summary?.complete ?? false,
    bytes,
    blocks: (reader?.blocks.length ?? 0) + (further?.blocks ?? 0),
    entries: (replay?.entries ?? 0) + (further?.entries ?? 0),
    events: (replay?.events ?? 0) + (further?.events ?? 0),
    checkpoints: (reader?.checkpoints.length ?? 0) + (further?.checkpoints ?? 0),
    statesChecked: replay?.statesChecked ?? 0,
    problems: problems.list,
    moreProblems: problems.more,
  };
}

/**
 * Opens a file as far as it can be read, and says why not further. Undefined where not even its first block is intact.
 *
 * @throws GametapeError `DAMAGED` where no block is
 */
async function openDamaged(
  mended: ByteSource,
  problems: Problems,
  compression: Compression,
): Promise<RecordingReader | undefined> {
  const size = await mended.size();
  try {
    const reader = await RecordingReader.open(mended, compression);
    // The last index of a finished file says everything, also where the footer behind it is damaged.
    if (reader.summary && !(await hasFooter(mended, size, compression))) problems.add('footer', NO_FOOTER);
    return reader;
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    if (!(await hasFooter(mended, size, compression))) return undefined;
    problems.add('index', withoutName(error.message, mended.name));
  }
  try {
    // Without its last byte a file has no footer: it is read as if it had never been finished.
    return await RecordingReader.open(new CutSource(mended, size - 1), compression);
  } catch (error) {
    if (!isGametapeError(error, 'DAMAGED')) throw error;
    return undefined;
  }
}

/** Looks for intact blocks after those that can be read from the start, past any damage. */
async function checkFurther(
  mended: ByteSource,
  reader: RecordingReader | undefined,
  problems: Problems,
  compression: Compression,
): Promise<ResyncCheck> {
  problems.add('footer', NO_FOOTER);
  const size = await mended.size();
  const source = new BufferedSource(
    (await hasFooter(mended, size, compression)) ? new CutSource(mended, size - FOOTER_BYTES) : mended,
  );
  const last = reader?.blocks.at(-1);
  const from = last ? last.offset + last.length : FILE_HEADER_BYTES;
  const meta = reader?.meta ?? (await findMeta(source, await surveyBlocks(source, compression), compression, {})).meta;
  const check = new ResyncCheck({ meta, producers: new Map(reader?.producers) }, problems, compression);
  const header = last && decodeBlockHeader(await source.read(last.offset, BLOCK_HEADER_BYTES), 0, compression);
  await check.run(source, from, header);
  return check;
}

const NO_FOOTER = 'there is none that is intact: the recording was never finished, or its end is gone';

/** The same file with a header as it should be, so that the rest of it can be verified too. */
async function mendHeader(source: ByteSource, problems: Problems, compression: Compression): Promise<ByteSource> {
  const expected = encodeFileHeader(compression);
  const found = await source.read(0, FILE_HEADER_BYTES);
  if (expected.every((byte, index) => found[index] === byte)) return source;
  const size = await source.size();
  const isRecording =
    startsWithMagic(found) || (await hasFooter(source, size, compression)) || (await hasBlock(source, compression));
  if (!isRecording)
    throw new GametapeError('BAD_RECORDING', `${source.name}: expected a recording that starts with LMSP`);
  refuseLaterVersion(found, compression, source.name);
  problems.add('header', `the first ${FILE_HEADER_BYTES} bytes are not the header of a version 2 recording`);
  return new MendedSource(source, expected);
}

async function hasBlock(source: ByteSource, compression: Compression): Promise<boolean> {
  for await (const { kind } of scanLog(new BufferedSource(source), 0, await source.size(), compression)) {
    if (kind === 'block') return true;
  }
  return false;
}

async function hasFooter(source: ByteSource, size: number, compression: Compression): Promise<boolean> {
  return (await readFooter(source, size, compression)) !== undefined;
}

async function readFooter(source: ByteSource, size: number, compression: Compression): Promise<Footer | undefined> {
  return decodeFooter(await source.read(Math.max(0, size - FOOTER_BYTES), FOOTER_BYTES), compression);
}

/** What the footer says against what the index says. */
function checkFooter(footer: Footer, summary: RecordingSummary, problems: Problems): void {
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
