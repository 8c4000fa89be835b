import { createWriteStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { UsageError } from './failure.ts';
import { onKilled } from './interruption.ts';

/** A temporary file. Closing it removes it, and so does a signal that ends the process. */
export interface SpooledFile {
  readonly path: string;
  readonly bytes: number;
  close(): void;
}

let isStdinTaken = false;

/** @throws UsageError when `-` is given twice: the second would find it empty. */
export async function spoolStdin(): Promise<SpooledFile> {
  if (isStdinTaken) throw new UsageError('standard input can be read only once', 'Give "-" for one file only.');
  isStdinTaken = true;
  return spool(process.stdin);
}

/** Puts bytes into a temporary file that only this user can read. */
export async function spool(parts: AsyncIterable<Uint8Array>): Promise<SpooledFile> {
  // Made and opened synchronously: a signal in between would find nothing to remove yet.
  const directory = mkdtempSync(join(tmpdir(), 'gametape-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const forget = onKilled(remove);
  const close = () => {
    forget();
    remove();
  };
  try {
    const path = join(directory, 'input');
    await pipeline(parts, createWriteStream(path, { fd: openSync(path, 'wx', 0o600) }));
    return { path, bytes: (await stat(path)).size, close };
  } catch (error) {
    close();
    throw error;
  }
}
