import { HttpSource } from '@gametape/client-sdk';
import { type ByteSource, decodeFooter, FOOTER_BYTES, located } from '@gametape/shared';
import { FileSource } from '../file-source.ts';
import { NODE_COMPRESSION } from '../node-compression.ts';
import { formatOfName } from './file-format.ts';
import { metered, withProgress } from './progress.ts';
import { type SpooledFile, spool } from './spool.ts';

/** A finished `.lmsp` that is read by range requests. Close it, not its source. */
export interface RemoteFile {
  readonly file?: undefined;
  readonly source: HttpSource;
  readonly bytes: number;
  close(): Promise<void>;
}

/** Takes all of a file, in one request. @throws GametapeError naming the URL */
export async function spoolUrl(url: string): Promise<SpooledFile> {
  try {
    return await spoolWhole(new HttpSource(url));
  } catch (error) {
    throw located(url, error);
  }
}

/**
 * A finished `.lmsp` as it is on its server, known by its footer; anything else in a temporary file: a text, a recording without
 * an index, whatever a server sends whole because it knows no ranges.
 *
 * @throws GametapeError naming the URL
 */
export async function openRemote(url: string): Promise<RemoteFile | { file: SpooledFile }> {
  let whole: { file: SpooledFile; source: FileSource } | undefined;
  const keepWhole = async (parts: AsyncIterable<Uint8Array>): Promise<ByteSource> => {
    const file = await spoolParts(parts, undefined);
    whole = { file, source: await FileSource.open(file.path) };
    return whole.source;
  };
  const source = new HttpSource(url, { keepWhole });
  const close = async () => {
    await whole?.source.close();
    whole?.file.close();
  };
  try {
    if (isTextName(url)) return { file: await spoolWhole(source) };
    const bytes = await source.size();
    // A server may still stop to know ranges later: then the file is put aside, and removed by `close`.
    if (!whole && (await hasFooter(source, bytes))) return { source, bytes, close };
    if (!whole) return { file: await spoolWhole(source) };
    await whole.source.close();
    return { file: whole.file };
  } catch (error) {
    await close();
    throw located(url, error);
  }
}

async function spoolWhole(source: HttpSource): Promise<SpooledFile> {
  const { bytes, parts } = await source.readWhole();
  return spoolParts(parts, bytes);
}

function spoolParts(parts: AsyncIterable<Uint8Array>, bytes: number | undefined): Promise<SpooledFile> {
  return withProgress('Fetching', bytes, (advance) => spool(metered(parts, advance)));
}

async function hasFooter(source: HttpSource, bytes: number): Promise<boolean> {
  const end = await source.read(Math.max(0, bytes - FOOTER_BYTES), FOOTER_BYTES);
  return decodeFooter(end, NODE_COMPRESSION) !== undefined;
}

/** The name only saves a request: what a file is, its bytes say. */
function isTextName(url: string): boolean {
  const path = URL.canParse(url) ? new URL(url).pathname : url;
  return (formatOfName(path) ?? 'lmsp') !== 'lmsp';
}
