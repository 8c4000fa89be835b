import { type Compression, FILE_HEADER_BYTES, GametapeError, startsWithMagic } from '@gametape/shared';

/**
 * Readers open a recording from its end and never see its first bytes, where the version stands.
 *
 * @param start the first bytes of a file
 * @throws GametapeError `VERSION_UNKNOWN` for the intact header of another version than 2
 */
export function refuseLaterVersion(start: Uint8Array, { crc32 }: Compression, name: string): void {
  if (start.length < FILE_HEADER_BYTES || !startsWithMagic(start)) return;
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const version = view.getUint32(4, true);
  const isWhole = view.getUint32(12, true) === crc32(start.subarray(0, 12));
  if (!isWhole || version === 2) return;
  throw new GametapeError('VERSION_UNKNOWN', `${name}: expected version 2 of the format, found ${version}`);
}
