import { constants, type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { type ByteSource, GametapeError } from '@gametape/shared';
import { FileSource } from '../file-source.ts';
import { syncDirectory } from '../sync-directory.ts';

/** What journal and recordings read and write through. Tests hand in a file system that fails. */
export interface Files {
  /** Makes a file that is not there yet. */
  create(path: string): Promise<WritableFile>;
  /** Opens a file, and makes it if it is not there. */
  open(path: string): Promise<WritableFile>;
  /** Opens a file to read from. @throws GametapeError `NOT_FOUND` when there is no such file */
  read(path: string): Promise<ReadableFile>;
  /** Names in a directory, in no order. */
  list(path: string): Promise<readonly string[]>;
  /** Makes a directory, and those above it, where they are not there yet. */
  makeDirectory(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export interface ReadableFile extends ByteSource {
  close(): Promise<void>;
}

export interface WritableFile {
  /** Returns how many bytes were written, which may be fewer. */
  writev(buffers: readonly Uint8Array[], position: number): Promise<number>;
  datasync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export const NODE_FILES: Files = {
  create: async (path) => writable(await open(path, 'wx')),
  // Not 'a+': with O_APPEND, Linux ignores the position of a write.
  open: async (path) => writable(await open(path, constants.O_RDWR | constants.O_CREAT)),
  read: (path) => FileSource.open(path),
  list: (path) => readdir(path),
  makeDirectory: async (path) => void (await mkdir(path, { recursive: true })),
  syncDirectory,
  rename,
  remove: unlink,
};

/** Writes all of `buffers`, in as many writes as it takes, and returns how many bytes they are. */
export async function writeAll(file: WritableFile, buffers: readonly Uint8Array[], position: number): Promise<number> {
  let rest = buffers.filter((buffer) => buffer.length > 0);
  let at = position;
  while (rest.length > 0) {
    const written = await file.writev(rest, at);
    if (written <= 0) throw new GametapeError('JOURNAL_FAILED', `the disk took nothing at byte ${at}`);
    at += written;
    rest = after(rest, written);
  }
  return at - position;
}

function writable(file: FileHandle): WritableFile {
  return {
    writev: async (buffers, position) => (await file.writev(buffers, position)).bytesWritten,
    datasync: () => file.datasync(),
    truncate: (bytes) => file.truncate(bytes),
    close: () => file.close(),
  };
}

function after(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  for (const [index, buffer] of buffers.entries()) {
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(index + 1)];
    skip -= buffer.length;
  }
  return [];
}
