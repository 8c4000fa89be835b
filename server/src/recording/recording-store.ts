import { join } from 'node:path';
import { GametapeError, isGametapeError, isId, RecordingReader } from '@gametape/shared';
import { type Files, NODE_FILES, type ReadableFile } from '../journal/files.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { compressedInfo } from './compressed-info.ts';
import { dueTimeMs } from './due-time.ts';
import { type RecordingInfo, recordingInfo } from './recording-info.ts';

const FINISHED = /^(.+?)\.lmsp(?:\.gz)?$/;

/** The finished recordings of a data directory: `DIR/recordings/<recordingId>.lmsp` and `.lmsp.gz`. */
export class RecordingStore {
  readonly directory: string;
  readonly #files: Files;

  private constructor(directory: string, files: Files) {
    this.#files = files;
    this.directory = directory;
  }

  static async open(dataDirectory: string, files: Files = NODE_FILES): Promise<RecordingStore> {
    const directory = join(dataDirectory, 'recordings');
    await files.makeDirectory(directory);
    return new RecordingStore(directory, files);
  }

  /** Where the `.lmsp` file of a recording is or will be. @throws GametapeError `BAD_ID` (S1) */
  path(recordingId: string): string {
    if (!isId(recordingId)) {
      const found = JSON.stringify(String(recordingId).slice(0, 80));
      throw new GametapeError('BAD_ID', `recording id: expected 1 to 64 letters, digits, "_" or "-", found ${found}`);
    }
    return join(this.directory, `${recordingId}.lmsp`);
  }

  /** Ids of the finished recordings, oldest first. */
  async list(): Promise<readonly string[]> {
    const ids = new Set<string>();
    for (const name of await this.#files.list(this.directory)) {
      const id = FINISHED.exec(name)?.[1];
      if (isId(id)) ids.add(id);
    }
    // Ids of recordings start with their time.
    return [...ids].sort();
  }

  /** The file of a recording that is there: `.lmsp`, or `.lmsp.gz` where only that was asked for; undefined for neither. */
  async find(recordingId: string): Promise<string | undefined> {
    const binary = this.path(recordingId);
    for (const path of [binary, `${binary}.gz`]) if (await this.#exists(path)) return path;
    return undefined;
  }

  /**
   * What the index of a recording says (R2), or all of its `.lmsp.gz` where there is no other file.
   *
   * @throws GametapeError `BAD_ID`, `NOT_FOUND` when there is no file of it, `DAMAGED`
   */
  async info(recordingId: string): Promise<RecordingInfo> {
    const path = (await this.find(recordingId)) ?? this.path(recordingId);
    if (path.endsWith('.gz')) return await compressedInfo(path, recordingId);
    const source = await this.#files.read(path);
    try {
      return recordingInfo(await RecordingReader.open(source, NODE_COMPRESSION));
    } finally {
      await source.close();
    }
  }

  /**
   * When spectators of its room have been shown all of it (V2): milliseconds since 1970, undefined where there is no `.lmsp` file
   * that says so.
   */
  async dueMs(recordingId: string): Promise<number | undefined> {
    let source: ReadableFile | undefined;
    try {
      source = await this.#files.read(this.path(recordingId));
      const { meta, summary } = await RecordingReader.open(source, NODE_COMPRESSION);
      return dueTimeMs(meta, { endedAt: summary?.endedAt ?? 0 });
    } catch (error) {
      // Whoever asks for a recording that cannot be read is told why.
      if (isGametapeError(error)) return undefined;
      throw error;
    } finally {
      await source?.close();
    }
  }

  async #exists(path: string): Promise<boolean> {
    try {
      await (await this.#files.read(path)).close();
      return true;
    } catch {
      return false;
    }
  }
}
