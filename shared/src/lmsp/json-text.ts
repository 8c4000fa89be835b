import { GametapeError } from '../errors.ts';
import type { Json } from '../values/json.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A whole number long enough that a double may round it: worth a closer look. */
const LONG_WHOLE_NUMBER = /(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const WHOLE_NUMBER = /^-?\d{16,}$/;
/** What Python writes for floats that are not finite. */
const NOT_FINITE = /-?Infinity|NaN/;

/**
 * `JSON.parse` of UTF-8, without what it passes over in silence: names that occur twice and whole numbers that JavaScript
 * would round. `colons` is how many colons the text has outside of its strings.
 *
 * @throws GametapeError `BAD_RECORDING` with `where` in front.
 */
export function parseJsonText(bytes: Uint8Array, { where, colons }: { where: string; colons?: number }): Json {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new GametapeError('BAD_RECORDING', `${where}: expected UTF-8, found other bytes`);
  }
  const value = parse(text, where);
  if (colons !== undefined && countMembers(value) !== colons) {
    throw new GametapeError('BAD_RECORDING', `${where}: expected every name once, found one twice in the same map`);
  }
  if (LONG_WHOLE_NUMBER.test(text)) refuseRounded(text, where);
  return value;
}

/** The slices one after another; a single one as it is. */
export function joined(slices: readonly Uint8Array[]): Uint8Array {
  const [first] = slices;
  if (first && slices.length === 1) return first;
  const all = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0));
  let at = 0;
  for (const slice of slices) {
    all.set(slice, at);
    at += slice.length;
  }
  return all;
}

function parse(text: string, where: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    refuseNotFinite(text, where);
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error);
    throw new GametapeError('BAD_RECORDING', `${where}: expected JSON: ${reason}`, { cause: error });
  }
}

function countMembers(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  const items: readonly Json[] = Object.values(value);
  return items.reduce<number>((sum, item) => sum + countMembers(item), Array.isArray(value) ? 0 : items.length);
}

function refuseNotFinite(text: string, where: string): void {
  for (const { name, between } of outsideTexts(text)) {
    const number = NOT_FINITE.exec(between)?.[0];
    if (number === undefined) continue;
    const field = between.trimStart().startsWith(':') ? ` in ${name}` : '';
    const found = `${number}${field}, which Python writes and JSON does not have`;
    throw new GametapeError('BAD_RECORDING', `${where}: expected a finite number, found ${found}`);
  }
}

function refuseRounded(text: string, where: string): void {
  for (const { between } of outsideTexts(text)) {
    for (const [number] of between.matchAll(NUMBER)) {
      if (!WHOLE_NUMBER.test(number) || BigInt(number) === BigInt(Number(number))) continue;
      throw new GametapeError('BAD_RECORDING', `${where}: the whole number ${number} is too large to be kept exactly`);
    }
  }
}

/** What stands between the strings of a JSON text, each with the string before it. Linear, whatever the text. */
function* outsideTexts(text: string): Generator<{ name: string; between: string }> {
  let name = '';
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    yield { name, between: text.slice(at, quote < 0 ? undefined : quote) };
    if (quote < 0) return;
    at = endOfText(text, quote);
    name = text.slice(quote, at);
  }
}

function endOfText(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
