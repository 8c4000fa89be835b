import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openRecording, type Tape } from '@gametape/client-sdk';
import {
  type ByteSink,
  type ByteSource,
  BytesSink,
  BytesSource,
  isGametapeError,
  located,
  makeRecordingId,
  RecordingReader,
  recordingIdBytes,
} from '@gametape/shared';
import { importLmsp, importNdjson } from '@gametape/shared/lmsp';
import { FileSource } from '../file-source.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { type FileFormat, type RecognisedFile, readPlain, recogniseFile } from './file-format.ts';
import { onKilled } from './interruption.ts';

/** A FILE argument, wherever it comes from. Close it. */
export interface InputFile extends RecognisedFile {
  /** What to call it: its path, or `<stdin>`. */
  readonly name: string;
  /** Where its bytes are. */
  readonly path: string;
  readonly bytes: number;
  close(): void;
}

/** A recording that is open, whatever the format of its file. Close it. */
export interface RecordingFile {
  readonly name: string;
  readonly format: FileFormat;
  /** Length of the file as it is. */
  readonly bytes: number;
  readonly reader: RecordingReader;
  /** What had to be left out of it, in readable lines. */
  readonly losses: readonly string[];
  tape(): Promise<Tape>;
  close(): Promise<void>;
}

/** `-` is standard input: it is put into a temporary file, because a recording is not read from front to back. */
export async function openInput(path: string): Promise<InputFile> {
  if (path === '-') return spoolStdin();
  const recognised = await recogniseFile(path);
  return { ...recognised, name: path, path, bytes: (await stat(path)).size, close: () => {} };
}

/**
 * Opens a file of any format for reading. A text is imported into a recording in memory, which is as small as its `.lmsp`.
 *
 * @throws GametapeError naming the file and what is wrong where
 */
export async function openRecordingFile(path: string): Promise<RecordingFile> {
  const input = await openInput(path);
  try {
    return input.format === 'lmsp' ? await openBinary(input) : await openText(input);
  } catch (error) {
    input.close();
    throw error;
  }
}

/** Writes what a text file holds to `sink` as `.lmsp`. Resolves with what had to be left out. */
export async function importText(input: InputFile, sink: ByteSink): Promise<readonly string[]> {
  const { name, path, isGzip, format } = input;
  const options = { recordingId: await identify(input), compression: NODE_COMPRESSION };
  const open = () => readPlain(path, isGzip, name);
  try {
    if (format === 'ndjson') {
      const { torn } = await importNdjson(open(), sink, options);
      return torn === undefined ? [] : [`${name}: ${torn}`];
    }
    await importLmsp(open, sink, options);
    return [];
  } catch (error) {
    if (isGametapeError(error) && error.message.startsWith(name)) throw error;
    throw located(name, error);
  }
}

async function openBinary(input: InputFile): Promise<RecordingFile> {
  const source = await FileSource.open(input.path);
  try {
    const reader = await RecordingReader.open(named(source, input.name), NODE_COMPRESSION);
    const close = async () => {
      await source.close();
      input.close();
    };
    const losses = reader.summary
      ? []
      : [`${input.name}: the recording was never finished; what follows its last whole block is lost`];
    return { ...input, reader, losses, tape: () => openRecording(input.path), close };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openText(input: InputFile): Promise<RecordingFile> {
  const sink = new BytesSink();
  const losses = await importText(input, sink);
  const bytes = sink.bytes();
  const reader = await RecordingReader.open(new BytesSource(bytes, input.name), NODE_COMPRESSION);
  return { ...input, reader, losses, tape: () => openRecording(bytes), close: async () => input.close() };
}

async function spoolStdin(): Promise<InputFile> {
  const name = '<stdin>';
  const directory = await mkdtemp(join(tmpdir(), 'gametape-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const forget = onKilled(remove);
  const close = () => {
    forget();
    remove();
  };
  try {
    const path = join(directory, 'stdin');
    await pipeline(process.stdin, createWriteStream(path));
    const recognised = await recogniseFile(path, name);
    return { ...recognised, name, path, bytes: (await stat(path)).size, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The id that the text itself names, else one made from its bytes: the same file is the same recording. */
async function identify({ path, start }: InputFile): Promise<string> {
  const top = start.split('"events"', 1)[0] ?? '';
  const [, own] = /"(?:recording_id|recordingId)"\s*:\s*"([0-9A-Z]{26})"/.exec(top) ?? [];
  if (own !== undefined && isRecordingId(own)) return own;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return makeRecordingId(0, hash.digest());
}

function isRecordingId(text: string): boolean {
  try {
    recordingIdBytes(text);
    return true;
  } catch {
    return false;
  }
}

function named(source: FileSource, name: string): ByteSource {
  if (source.name === name) return source;
  return { name, size: () => source.size(), read: (offset, length) => source.read(offset, length) };
}
