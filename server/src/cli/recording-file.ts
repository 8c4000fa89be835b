import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { HttpSource, openRecording, type Tape } from '@gametape/client-sdk';
import {
  type ByteSink,
  BytesSink,
  BytesSource,
  isGametapeError,
  located,
  makeRecordingId,
  RecordingReader,
  recordingIdBytes,
} from '@gametape/shared';
import { FileSource } from '../file-source.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { type FileFormat, type RecognisedFile, readPlain, recogniseFile } from './file-format.ts';
import { MeteredSource, withProgress } from './progress.ts';
import { openRemote, type RemoteFile, spoolUrl } from './remote-file.ts';
import { type SpooledFile, spoolStdin } from './spool.ts';
import { say } from './terminal.ts';

/** A FILE argument, wherever it comes from. Close it. */
export interface InputFile extends RecognisedFile {
  /** What to call it: its path or URL, or `<stdin>`. */
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
  /** What `reader` reads from; `onRead` of it says how far that is. */
  readonly source: MeteredSource;
  /** What had to be left out of it, in readable lines. */
  readonly losses: readonly string[];
  tape(): Promise<Tape>;
  close(): Promise<void>;
}

/** The same for a file whatever is in it, damaged or not: where its bytes are. @throws GametapeError naming the file */
export async function openBytes(path: string): Promise<Pick<InputFile, 'name' | 'path' | 'close'>> {
  if (path === '-') return { ...(await spoolStdin()), name: '<stdin>' };
  if (HttpSource.isUrl(path)) return { ...(await spoolUrl(path)), name: path };
  return { name: path, path, close: () => {} };
}

/**
 * For what reads all of a file. Standard input (`-`) and what is at a URL are put into a temporary file, because a recording is
 * not read from front to back.
 */
export async function openInput(path: string): Promise<InputFile> {
  if (path === '-') return recogniseSpooled(await spoolStdin(), '<stdin>');
  if (HttpSource.isUrl(path)) return recogniseSpooled(await spoolUrl(path), path);
  const recognised = await recogniseFile(path);
  return { ...recognised, name: path, path, bytes: (await stat(path)).size, close: () => {} };
}

/**
 * Opens a file of any format for reading. A `.lmsp` at a URL is read by range requests: two to open, one to seek (R2). A text is imported into a recording in memory, which is as small as its `.lmsp`.
 *
 * @throws GametapeError naming the file and what is wrong where
 */
export async function openRecordingFile(path: string): Promise<RecordingFile> {
  if (!HttpSource.isUrl(path)) return openInputRecording(await openInput(path));
  const remote = await openRemote(path);
  if (remote.file) return openInputRecording(await recogniseSpooled(remote.file, path));
  return openRanges(remote);
}

/** The same for a file that is here. Closes it when it is closed, or cannot be opened. */
export async function openInputRecording(input: InputFile): Promise<RecordingFile> {
  try {
    return input.format === 'lmsp' ? await openBinary(input) : await openText(input);
  } catch (error) {
    input.close();
    throw error;
  }
}

/** Writes what a text file, or one of version 1, holds to `sink` as `.lmsp`. Resolves with what had to be left out. */
export async function importText(input: InputFile, sink: ByteSink): Promise<readonly string[]> {
  const { name, path, isGzip, format } = input;
  const options = { recordingId: await identify(input), compression: NODE_COMPRESSION };
  // The canonical JSON is read twice: what describes it may come last.
  const passes = format === 'ndjson' ? 1 : 2;
  try {
    return await withProgress('Reading', passes * input.bytes, async (advance) => {
      const open = () => readPlain(path, isGzip, name, advance);
      if (format === 'pickle') {
        const { importPickle } = await import('../pickle/import-pickle.ts');
        await importPickle(open, sink, options);
        return [];
      }
      // What checks texts takes long to load, and a .lmsp needs none of it.
      const { importLmsp, importNdjson } = await import('@gametape/shared/lmsp');
      if (format === 'ndjson') {
        const { torn } = await importNdjson(open(), sink, options);
        return torn === undefined ? [] : [`${name}: ${torn}`];
      }
      await importLmsp(open, sink, options);
      return [];
    });
  } catch (error) {
    if (isGametapeError(error) && error.message.startsWith(name)) throw error;
    throw located(name, error);
  }
}

async function openBinary(input: InputFile): Promise<RecordingFile> {
  const file = await FileSource.open(input.path);
  try {
    const source = new MeteredSource(file, { name: input.name });
    const reader = await RecordingReader.open(source, NODE_COMPRESSION);
    const close = async () => {
      await file.close();
      input.close();
    };
    return { ...input, reader, source, losses: lossesOf(reader), tape: () => openRecording(input.path), close };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openText(input: InputFile): Promise<RecordingFile> {
  const sink = new BytesSink();
  const losses = await importText(input, sink);
  const bytes = sink.bytes();
  const source = new MeteredSource(new BytesSource(bytes, input.name));
  const reader = await RecordingReader.open(source, NODE_COMPRESSION);
  return { ...input, reader, source, losses, tape: () => openRecording(bytes), close: async () => input.close() };
}

async function openRanges({ source: ranges, bytes, close }: RemoteFile): Promise<RecordingFile> {
  try {
    const source = new MeteredSource(ranges);
    const reader = await RecordingReader.open(source, NODE_COMPRESSION);
    // A tape of it shares what is known of the file already; closing that must not close this.
    const tape = () => openRecording(new MeteredSource(ranges));
    return { name: ranges.name, format: 'lmsp', bytes, reader, source, losses: lossesOf(reader), tape, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** For verbs that read a file in the order it lies in: one that was never finished is in the order of arrival (T6). */
export function sayOrder({ name, reader }: RecordingFile): void {
  if (reader.summary) return;
  say(
    `${name}: never finished, so its events lie in the order they arrived in; gametape recover puts them in that of their times`,
  );
}

function lossesOf({ summary, source }: RecordingReader): readonly string[] {
  if (summary) return [];
  return [`${source.name}: the recording was never finished; what follows its last whole block is lost`];
}

async function recogniseSpooled(file: SpooledFile, name: string): Promise<InputFile> {
  try {
    return { ...(await recogniseFile(file.path, name)), ...file, name };
  } catch (error) {
    file.close();
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
