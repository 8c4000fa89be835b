import type { ByteSource } from '@gametape/shared';
import { openHere } from './bytes-source.ts';
import { HttpSource } from './http-source.ts';
import type { TapeSource } from './platform.ts';

/** What to read a recording from in a browser, where every text is a URL. */
export function openInBrowser(source: TapeSource): ByteSource {
  return typeof source === 'string' ? new HttpSource(source) : openHere(source);
}
