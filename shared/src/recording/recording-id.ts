import { GametapeError } from '../errors.ts';

/** Crockford's base 32: no I, L, O or U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
export const RECORDING_ID_BYTES = 16;
const ID_LENGTH = 26;

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
  let number = 0n;
  for (const byte of bytes) number = number * 256n + BigInt(byte);
  let text = '';
  for (let i = 0; i < ID_LENGTH; i++) {
    text = (ALPHABET[Number(number % 32n)] as string) + text;
    number /= 32n;
  }
  return text;
}

/** @throws GametapeError `BAD_ID` when `text` is not a recording id. */
export function recordingIdBytes(text: string): Uint8Array {
  let number = 0n;
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) throw badId(text);
    number = number * 32n + BigInt(digit);
  }
  if (text.length !== ID_LENGTH || number >= 2n ** 128n) throw badId(text);
  const bytes = new Uint8Array(RECORDING_ID_BYTES);
  for (let i = RECORDING_ID_BYTES - 1; i >= 0; i--) {
    bytes[i] = Number(number % 256n);
    number /= 256n;
  }
  return bytes;
}

function badId(text: string): GametapeError {
  return new GametapeError(
    'BAD_ID',
    `recording id ${JSON.stringify(text.slice(0, 80))}: expected 26 characters of ${ALPHABET}`,
  );
}
