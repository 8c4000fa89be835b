import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isId } from '@gametape/shared';

/** Who this relay is to others that share its journal: the same for as long as its data directory is. */
export async function relayIdOf(dataDirectory: string): Promise<string> {
  const path = join(dataDirectory, 'relay-id');
  const known = await readFile(path, 'utf8').catch(() => '');
  if (isId(known.trim())) return known.trim();
  const relayId = randomBytes(8).toString('hex');
  await mkdir(dataDirectory, { recursive: true });
  await writeFile(path, `${relayId}\n`, { flush: true });
  return relayId;
}
