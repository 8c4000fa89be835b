const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder('latin1');

const SHOWN_LENGTH = 40;

const NUMBER_LINES: Readonly<Record<string, RegExp>> = {
  INT: /^-?\d+$/,
  LONG: /^-?\d+L?$/,
  FLOAT: /^-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan)$/,
};

/** Longest run of code units that is handed to `fromCharCode` at once. */
const UNITS = 4_096;

/**
 * A text as Python pickles it: UTF-8 in which lone surrogates are encoded like any other code point ("surrogatepass").
 * Undefined for anything else.
 */
export function decodePickledText(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return decodeWithSurrogates(bytes);
  }
}

/** A text of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`. Undefined when those are not whole. */
export function decodeRawUnicodeEscape(bytes: Uint8Array): string | undefined {
  // The label says Latin-1, but the standard makes it windows-1252, which differs from 0x80 to 0x9f.
  const text = bytes.every((byte) => byte < 0x80) ? latin1.decode(bytes) : fromUnits(bytes);
  if (!/\\[uU]/.test(text)) return text;
  let isWhole = true;
  // Two backslashes are two backslashes; Python writes each of its own as \u005c.
  const decoded = text.replaceAll(
    /\\\\|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\[uU]/g,
    (whole: string, short: string | undefined, long: string | undefined) => {
      if (whole === '\\\\') return whole;
      const code = Number.parseInt(short ?? long ?? '', 16);
      // Not a number when there are too few digits.
      if (code <= 0x10ffff) return String.fromCodePoint(code);
      isWhole = false;
      return '';
    },
  );
  return isWhole ? decoded : undefined;
}

/** What is wrong with a number of protocol 0; undefined if nothing is. */
export function numberLineFault(opcode: string, text: string): string | undefined {
  if (!NUMBER_LINES[opcode]?.test(text))
    return `expected a number, found ${JSON.stringify(text.slice(0, SHOWN_LENGTH))}`;
  // pickleparser rounds whole numbers of protocol 0 in silence.
  if (opcode === 'FLOAT' || Number.isSafeInteger(Number.parseInt(text, 10))) return undefined;
  const whole = text.replace('L', '');
  if (Number.isFinite(Number(whole)) && BigInt(whole) === BigInt(Number(whole))) return undefined;
  return `the whole number ${whole.slice(0, SHOWN_LENGTH)} is too large to be kept exactly`;
}

function decodeWithSurrogates(bytes: Uint8Array): string | undefined {
  let text = '';
  let start = 0;
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 1)) {
    const [second = 0, third = 0] = bytes.subarray(at + 1, at + 3);
    if (second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue;
    try {
      text += utf8.decode(bytes.subarray(start, at));
    } catch {
      return undefined;
    }
    text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f));
    start = at + 3;
  }
  try {
    return text + utf8.decode(bytes.subarray(start));
  } catch {
    return undefined;
  }
}

function fromUnits(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += UNITS) text += String.fromCharCode(...bytes.subarray(at, at + UNITS));
  return text;
}
