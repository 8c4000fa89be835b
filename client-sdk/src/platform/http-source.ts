import { type ByteSource, BytesSource, GametapeError, isGametapeError } from '@gametape/shared';
import { tryAgain } from '../try-again.ts';
import { askHttp, type ContentRange, CUT_OFF, type HttpAnswer, joined } from './http-answer.ts';

/** How much of the end is asked for with the size: footer and index of all but very long recordings. */
const TAIL_BYTES = 64 * 1024;
/** Read at once when one read follows another, as in playing: a request for every block would wait for each. */
const READ_AHEAD_BYTES = 512 * 1024;
const MAX_WHOLE_BYTES = 256 * 1024 * 1024;
const SILENCE_MS = 30_000;
const DOWNLOAD_HINT = 'Download the file and open that; the server, or a cache before it, answers ranges wrongly.';

export interface HttpSourceOptions {
  /** How long the server may be silent, in milliseconds. @default 30_000 */
  readonly silenceMs?: number;
  /** Whether the server has answered something else before: what is cut off is then asked for again from the first request on. @default false */
  readonly hasAnswered?: boolean;
  /** Keeps a file that a server sends whole because it knows no ranges. @default in memory, up to 256 MiB */
  readonly keepWhole?: (parts: AsyncIterable<Uint8Array>) => Promise<ByteSource>;
}

/** A part of the file that is here already. */
interface Held {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Not a compressed form of it. With a range, `fetch` says this by itself. */
const WHOLE: RequestInit = { headers: { 'accept-encoding': 'identity' } };
const NOTHING: Held = { offset: 0, bytes: new Uint8Array(0) };

/**
 * A file on a web server, read by range requests (RFC 9110): one for its size and end, one for every read after that, and few
 * where reads follow each other (R2). A server that ignores ranges is read whole, once. All bytes are of one version of the
 * file, or a read fails. What is cut off is asked for again, a few times, of a server that has answered before.
 *
 * Errors do not name the file: whoever reads it does. Codes: `NOT_FOUND`, `NOT_ALLOWED`, `UNREACHABLE`, `TIMED_OUT`;
 * `BAD_RECORDING` for an empty file, `DAMAGED` when the file changes or the server does not send what it says,
 * `LIMIT_EXCEEDED`.
 */
export class HttpSource implements ByteSource {
  readonly name: string;
  readonly #silenceMs: number;
  readonly #keepWhole: (parts: AsyncIterable<Uint8Array>) => Promise<ByteSource>;
  /** Where redirects led to: a seek takes one request only if it goes there at once. */
  #url: string;
  #hasAnswered: boolean;
  #opening: Promise<number> | undefined;
  #version: ReadonlyMap<string, string> | undefined;
  #tail = NOTHING;
  #window = NOTHING;
  #lastEnd = -1;
  #whole: ByteSource | undefined;

  constructor(url: string, options: HttpSourceOptions = {}) {
    const { silenceMs = SILENCE_MS, hasAnswered = false, keepWhole = keepInMemory } = options;
    this.name = url;
    this.#hasAnswered = hasAnswered;
    this.#url = url;
    this.#silenceMs = silenceMs;
    this.#keepWhole = keepWhole;
  }

  static isUrl(text: string): boolean {
    return /^https?:\/\//i.test(text);
  }

  /** Takes the end of the file along: opening a recording reads it next. */
  size(): Promise<number> {
    this.#opening ??= this.#again(() => this.#open()).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const size = await this.size();
    const end = Math.min(offset + length, size);
    const parts: Uint8Array[] = [];
    let at = offset;
    const isNext = at === this.#lastEnd;
    this.#lastEnd = end;
    while (at < end) {
      if (this.#whole) return this.#whole.read(offset, length);
      const upTo = isNext ? at + READ_AHEAD_BYTES : end;
      const held = this.#heldAt(at) ?? (await this.#again(() => this.#fetch(at, upTo, end, size)));
      const part = held?.subarray(0, end - at);
      if (!part) continue;
      parts.push(part);
      at += part.length;
    }
    return joined(parts, Math.max(0, end - offset));
  }

  /** All of it from its start, in one request. `bytes` is undefined where the server does not say it. */
  async readWhole(): Promise<{ bytes: number | undefined; parts: AsyncIterable<Uint8Array> }> {
    const answer = await this.#ask(WHOLE);
    if (answer.status !== 200) throw refusal(answer);
    return { bytes: lengthOf(answer), parts: answer.parts() };
  }

  async close(): Promise<void> {
    await this.#whole?.close?.();
  }

  /** Where nothing has ever come from, nothing will: that is told at once. */
  #again<Result>(work: () => Promise<Result>): Promise<Result> {
    const isWorthIt = (error: unknown) => this.#hasAnswered && CUT_OFF.isWorthIt(error);
    return tryAgain(work, { ...CUT_OFF, isWorthIt });
  }

  async #open(): Promise<number> {
    let answer: HttpAnswer;
    try {
      answer = await this.#ask({ headers: { range: `bytes=-${TAIL_BYTES}` } });
    } catch (error) {
      // A browser asks other origins whether it may ask for the end of a file, which some do not understand.
      if (isGametapeError(error, 'UNREACHABLE')) return this.#openByHead(error);
      throw error;
    }
    try {
      return (await this.#takeEnd(answer)) ?? (await this.#openByHead());
    } finally {
      answer.cancel();
    }
  }

  /** The size of the file, or undefined where the answer does not say it. */
  async #takeEnd(answer: HttpAnswer): Promise<number | undefined> {
    const { status, contentRange } = answer;
    if (status === 200) return this.#takeWhole(answer);
    // Some servers refuse a range from the end that is longer than the file, and say how long that is.
    const [, said] = /^bytes \*\/(\d+)$/.exec(answer.header('content-range') ?? '') ?? [];
    if (status === 416 && said !== undefined) return nonEmpty(Number(said));
    if (status !== 206 && status !== 416) throw refusal(answer);
    if (!contentRange) return undefined;
    this.#checkVersion(answer);
    const { start, last, total } = contentRange;
    if (last < start || last >= total) throw wrongRange(`bytes ${start}-${last} of ${total}`, `the last ${TAIL_BYTES}`);
    // Some servers take a range from the end for one from the start: what they say they sent counts.
    if (last - start < 2 * TAIL_BYTES) this.#tail = { offset: start, bytes: await bodyOf(answer, contentRange) };
    return total;
  }

  /** For servers whose ranges do not say how long the file is, or who do not know ranges from the end. */
  async #openByHead(reason?: GametapeError): Promise<number> {
    let answer: HttpAnswer;
    try {
      answer = await this.#ask({ method: 'HEAD', headers: { range: 'bytes=0-' } });
    } catch (error) {
      throw reason ?? error;
    }
    answer.cancel();
    const length = lengthOf(answer);
    if (answer.status < 300 && length !== undefined) {
      this.#checkVersion(answer);
      return nonEmpty(length);
    }
    const whole = await this.#ask(WHOLE);
    if (whole.status !== 200) throw refusal(whole);
    return this.#takeWhole(whole);
  }

  #heldAt(offset: number): Uint8Array | undefined {
    for (const held of [this.#tail, this.#window]) {
      const at = offset - held.offset;
      if (at >= 0 && at < held.bytes.length) return held.bytes.subarray(at);
    }
    return undefined;
  }

  /** At least one byte from `offset` on; undefined when the server has sent the whole file instead. */
  async #fetch(offset: number, upTo: number, needed: number, size: number): Promise<Uint8Array | undefined> {
    // What is held of the end need not come again.
    const limit = this.#tail.offset > offset ? this.#tail.offset : size;
    const end = Math.min(Math.max(upTo, needed), limit);
    const answer = await this.#ask({ headers: { range: `bytes=${offset}-${end - 1}` } });
    try {
      if (answer.status === 206) return await this.#takeRange(answer, offset, end, size);
      if (answer.status === 416) throw changed(`it had ${size} bytes, and has no byte ${offset}`);
      if (answer.status !== 200) throw refusal(answer);
      const total = await this.#takeWhole(answer);
      if (total !== size) throw changed(`it had ${size} bytes, and has ${total}`);
      return undefined;
    } finally {
      answer.cancel();
    }
  }

  async #takeRange(answer: HttpAnswer, offset: number, end: number, size: number): Promise<Uint8Array> {
    this.#checkVersion(answer);
    const range = answer.contentRange ?? { start: offset, last: end - 1, total: size };
    const { start, last, total } = range;
    if (total !== size) throw changed(`it had ${size} bytes, and has ${total}`);
    if (start !== offset || last < start || last >= end)
      throw wrongRange(`bytes ${start}-${last}`, `bytes ${offset}-${end - 1}`);
    const bytes = await bodyOf(answer, range);
    this.#window = { offset, bytes };
    return bytes;
  }

  async #ask(request: RequestInit): Promise<HttpAnswer> {
    let answer = await askHttp(this.#url, request, this.#silenceMs);
    if (answer.status >= 400 && answer.status !== 416 && this.#url !== this.name) {
      // Where it led to may be good for a while only.
      answer.cancel();
      answer = await askHttp(this.name, request, this.#silenceMs);
    }
    if (answer.status < 300) {
      this.#url = answer.url;
      this.#hasAnswered = true;
    }
    return answer;
  }

  async #takeWhole(answer: HttpAnswer): Promise<number> {
    this.#checkVersion(answer);
    const whole = await this.#keepWhole(answer.parts());
    this.#whole = whole;
    return nonEmpty(await whole.size());
  }

  /** @throws GametapeError `DAMAGED` when this answer is of another version of the file than those before. */
  #checkVersion(answer: HttpAnswer): void {
    const version = new Map<string, string>();
    for (const name of ['etag', 'last-modified']) {
      const value = answer.header(name);
      if (value === null) continue;
      version.set(name, value);
      const known = this.#version?.get(name) ?? value;
      if (known !== value) throw changed(`its ${name} was ${known}, and is ${value}`);
    }
    this.#version ??= version;
  }
}

async function keepInMemory(parts: AsyncIterable<Uint8Array>): Promise<ByteSource> {
  const kept: Uint8Array[] = [];
  let length = 0;
  for await (const part of parts) {
    kept.push(part);
    length += part.length;
    if (length <= MAX_WHOLE_BYTES) continue;
    const message = `the server knows no ranges, and the file is longer than ${MAX_WHOLE_BYTES} bytes`;
    const hint = 'Download the file and open that, or put it where range requests are answered.';
    throw new GametapeError('LIMIT_EXCEEDED', message, { hint });
  }
  return new BytesSource(joined(kept, length));
}

/** @throws GametapeError `DAMAGED` unless the body is as long as the range says */
async function bodyOf(answer: HttpAnswer, { start, last }: ContentRange): Promise<Uint8Array> {
  const encoding = answer.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity') throw wrongRange(`a part of a compressed form (${encoding})`, `bytes ${start}-${last}`);
  const length = last - start + 1;
  const bytes = await answer.bytes(length);
  if (bytes.length === length) return bytes;
  const found = bytes.length > length ? 'more' : `only ${bytes.length}`;
  throw wrongRange(`${found} bytes`, `bytes ${start}-${last}, ${length} bytes`);
}

function lengthOf(answer: HttpAnswer): number | undefined {
  const length = answer.header('content-length');
  const isPlain = (answer.header('content-encoding') ?? 'identity') === 'identity';
  return isPlain && length !== null && /^\d+$/.test(length) ? Number(length) : undefined;
}

function nonEmpty(size: number): number {
  if (size === 0) throw new GametapeError('BAD_RECORDING', 'the file is empty');
  return size;
}

function wrongRange(found: string, expected: string): GametapeError {
  const message = `asked the server for ${expected}, was sent ${found}`;
  return new GametapeError('DAMAGED', message, { hint: DOWNLOAD_HINT });
}

function changed(how: string): GametapeError {
  const hint = 'Open it again; a recording that is still being written can be watched live.';
  return new GametapeError('DAMAGED', `the file was changed while it was read: ${how}`, { hint });
}

function refusal(answer: HttpAnswer): GametapeError {
  answer.cancel();
  const { status } = answer;
  const message = `the server answered with status ${status}`;
  if (status === 404 || status === 410) return new GametapeError('NOT_FOUND', message, { hint: 'Check the address.' });
  if (status === 401 || status === 403)
    return new GametapeError('NOT_ALLOWED', message, { hint: 'Check the address, and who may read there.' });
  const hint = status >= 500 ? 'Try again later: the server has a fault.' : 'Check the address.';
  return new GametapeError('UNREACHABLE', message, { hint });
}
