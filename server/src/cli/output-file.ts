import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GametapeError } from '@gametape/shared';
import { FileSink } from '../file-sink.ts';
import { syncDirectory } from '../sync-directory.ts';
import { onKilled } from './interruption.ts';

/**
 * Lets `write` write a file that appears under its name only when it is whole and on stable storage: until then it has a
 * temporary name in the same directory, which is removed if anything fails.
 *
 * @throws GametapeError `FILE_EXISTS` unless `overwrite`, `NOT_FOUND` when there is no such directory; what `write` throws
 */
export async function writeOutput<Result>(
  path: string,
  { overwrite }: { overwrite: boolean },
  write: (sink: FileSink) => Promise<Result>,
): Promise<Result> {
  await checkTarget(path, overwrite);
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const remove = () => rmSync(temporary, { force: true });
  const forget = onKilled(remove);
  const sink = await FileSink.create(temporary);
  try {
    const result = await write(sink);
    await sink.finish();
    // Somebody else may have made it meanwhile.
    await checkTarget(path, overwrite);
    await rename(temporary, path);
    await syncDirectory(directory);
    return result;
  } catch (error) {
    await sink.close().catch(() => {});
    remove();
    throw error;
  } finally {
    forget();
  }
}

async function checkTarget(path: string, overwrite: boolean): Promise<void> {
  if (!existsSync(dirname(path))) throw new GametapeError('NOT_FOUND', `${path}: there is no such directory`);
  if (!existsSync(path)) return;
  if (!(await stat(path)).isFile()) {
    const hint = 'Choose another name, or write to standard output with `-o -`.';
    throw new GametapeError('FILE_EXISTS', `${path}: expected a file, found a directory or a device`, { hint });
  }
  if (!overwrite) throw new GametapeError('FILE_EXISTS', `${path}: there is such a file already`);
}
