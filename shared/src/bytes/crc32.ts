const POLYNOMIAL = 0xedb88320 | 0;
/** The polynomials 1 and x^8, reflected: the highest bit is the lowest power. */
const ONE = 0x8000_0000;
const ONE_BYTE = 0x0080_0000;
const TABLE = makeTable();
const SCRATCH = new Uint8Array(8 * 1_024);
/** Of short lengths, 0 until they are needed: making one takes longer than the crc of a short text. */
const SHIFTS = new Uint32Array(4 * 1_024);
const encoder = new TextEncoder();
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPES = makeEscapes();

/** CRC-32 as in gzip and PNG (reflected 0xEDB88320). Continues from `before`, the crc of the bytes so far. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number;

/** Works everywhere. Node has a native one (`zlib.crc32`), which platforms hand in where speed matters. */
export const crc32: Crc32 = (bytes, before = 0) => {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
};

/** Continues `before` with a text in UTF-8. Short ones go through a buffer that is kept: `encode` would make one for 2 us. */
export function textCrc32(text: string, crc32: Crc32, before = 0): { crc: number; bytes: number } {
  if (text.length * 3 > SCRATCH.length) {
    const bytes = encoder.encode(text);
    return { crc: crc32(bytes, before), bytes: bytes.length };
  }
  const { written } = encoder.encodeInto(text, SCRATCH);
  return { crc: crc32(SCRATCH.subarray(0, written), before), bytes: written };
}

/** The same with the JSON of a text, without its quotes. `JSON.stringify` takes ten times as long for the usual text. */
export function jsonTextCrc32(text: string, crc32: Crc32, before = 0): { crc: number; bytes: number } {
  const bytes = text.length * 2 > SCRATCH.length ? undefined : writeAsciiJson(text);
  if (bytes === undefined) return textCrc32(JSON.stringify(text).slice(1, -1), crc32, before);
  return { crc: crc32(SCRATCH.subarray(0, bytes), before), bytes };
}

/** Into `SCRATCH`; undefined for a text with characters beyond ASCII, or with rare ones of it. */
function writeAsciiJson(text: string): number | undefined {
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return undefined;
    if (unit >= 0x20 && unit !== QUOTE && unit !== BACKSLASH) {
      SCRATCH[at++] = unit;
      continue;
    }
    const letter = ESCAPES[unit] as number;
    if (letter === 0) return undefined;
    SCRATCH[at++] = BACKSLASH;
    SCRATCH[at++] = letter;
  }
  return at;
}

/** The crc of bytes of crc `before` followed by bytes of crc `next`, whose length `shift` stands for. */
export function combineCrc32(before: number, next: number, shift: number): number {
  return (multiply(shift, before) ^ next) >>> 0;
}

/** What `combineCrc32` takes for the length of what follows: x^(8 length), never 0. */
export function crc32Shift(length: number): number {
  if (length >= SHIFTS.length) return makeShift(length);
  SHIFTS[length] ||= makeShift(length);
  return SHIFTS[length] as number;
}

function makeShift(length: number): number {
  let shift = ONE;
  let power = ONE_BYTE;
  for (let rest = length; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shift = multiply(shift, power);
    power = multiply(power, power);
  }
  return shift >>> 0;
}

/** The product of two polynomials modulo that of the crc. Without branches, which nobody could predict: a third of the time. */
function multiply(a: number, b: number): number {
  let product = 0;
  let term = b;
  for (let bit = 31; bit >= 0; bit--) {
    product ^= term & -((a >>> bit) & 1);
    term = (term >>> 1) ^ (POLYNOMIAL & -(term & 1));
  }
  return product;
}

function makeTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[n] = crc;
  }
  return table;
}

/** By its code, the letter that JSON has behind a backslash for a character of ASCII; 0 for none. */
function makeEscapes(): Uint8Array {
  const letters = { '\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r', '"': '"', '\\': '\\' };
  const escapes = new Uint8Array(128);
  for (const [character, letter] of Object.entries(letters)) escapes[character.charCodeAt(0)] = letter.charCodeAt(0);
  return escapes;
}
