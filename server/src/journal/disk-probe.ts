import { join } from 'node:path';
import { type Files, writeAll } from './files.ts';

/** Room for that much is room for rooms to come back: less would only be filled at once. */
const PROBE_BYTES = 512 * 1024;
const NAME = 'probe';

/** Whether a directory can be written: makes a file there, writes, syncs and removes it. @throws the error of the disk if not */
export async function probeDisk(files: Files, directory: string): Promise<void> {
  const path = join(directory, NAME);
  const file = await files.open(path);
  try {
    await writeAll(file, [new Uint8Array(PROBE_BYTES)], 0);
    await file.datasync();
    await files.syncDirectory(directory);
  } finally {
    await file.close();
    await files.remove(path);
  }
}

/** Whether a file is what a kill has left of `probeDisk`. */
export function isProbe(name: string): boolean {
  return name === NAME;
}
