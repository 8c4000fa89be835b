import { GametapeError } from '../errors.ts';

/** Crockford's base 32: no I, L, O or U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
export const RECORDING_ID_BYTES = 16;
const ID_LENGTH = 26;
/** The first letter holds three bits. */
const ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** A new id: 48 bits of milliseconds, then 80 random bits, so that ids sort by time. `random` holds 10 bytes. */
export function makeRecordingId(nowMs: number, random: Uint8Array): string {
  const bytes = new Uint8Array(RECORDING_ID_BYTES);
  let rest = Math.floor(nowMs);
  for (let i = 5; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(random.subarray(0, 10), 6);
  return recordingIdText(bytes);
}

/** 26 letters and digits for the 16 bytes of a block header. */
export function recordingIdText(bytes: Uint8Array): string {
  let text = '';
  // 26 letters hold 130 bits: two zeros come first.
  let [rest, bits] = [0, ID_LENGTH * 5 - RECORDING_ID_BYTES * 8];
  for (const byte of bytes) {
    rest = (rest << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[rest >>> bits];
      rest &= (1 << bits) - 1;
    }
  }
  return text;
}

/** @throws GametapeError `BAD_ID` when `text` is not a recording id. */
export function recordingIdBytes(text: string): Uint8Array {
  if (!ID.test(text)) throw badId(text);
  const bytes = new Uint8Array(RECORDING_ID_BYTES);
  let at = 0;
  let [rest, bits] = [0, RECORDING_ID_BYTES * 8 - ID_LENGTH * 5];
  for (const letter of text) {
    rest = (rest << 5) | ALPHABET.indexOf(letter);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = rest >>> bits;
    rest &= (1 << bits) - 1;
  }
  return bytes;
}

function badId(text: string): GametapeError {
  return new GametapeError(
    'BAD_ID',
    `recording id ${JSON.stringify(text.slice(0, 80))}: expected 26 characters of ${ALPHABET}`,
  );
}
