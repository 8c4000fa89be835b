import { open } from 'node:fs/promises';

/** Makes the names in a directory stable: of files made, renamed or removed there. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows has no such thing: it does not open directories, and NTFS journals their names.
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
