import { type ByteSource, GametapeError } from '@gametape/shared';

/** How much of the end is asked for with the size: footer and index of all but very long recordings. */
const TAIL_BYTES = 64 * 1024;

/** A file on a web server, read by range requests (RFC 9110); a server that ignores ranges is read whole, once. */
export class HttpSource implements ByteSource {
  readonly name: string;
  #whole: Uint8Array | undefined;
  #tail: { offset: number; bytes: Uint8Array } | undefined;
  #size: number | undefined;

  constructor(url: string) {
    this.name = url;
  }

  /** Takes the end of the file along: opening a recording reads it next. */
  async size(): Promise<number> {
    if (this.#size !== undefined) return this.#size;
    // A file shorter than the range asked for is all of it (RFC 9110), but some servers refuse that.
    const tail = (await this.#request(`bytes=-${TAIL_BYTES}`)) ?? (await this.#request('bytes=0-'));
    if (!tail) throw new GametapeError('BAD_RECORDING', `${this.name}: an empty file`);
    const { bytes, offset, total } = tail;
    this.#size = total;
    this.#tail = { offset, bytes };
    return total;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#whole) return this.#whole.subarray(offset, offset + length);
    const tail = this.#tail;
    if (tail && offset >= tail.offset && offset + length <= tail.offset + tail.bytes.length)
      return tail.bytes.subarray(offset - tail.offset, offset - tail.offset + length);
    return (await this.#request(`bytes=${offset}-${offset + length - 1}`))?.bytes ?? new Uint8Array(0);
  }

  /** Undefined when the server says that the range is outside the file. */
  async #request(range: string): Promise<{ bytes: Uint8Array; offset: number; total: number } | undefined> {
    let response: Response;
    try {
      response = await fetch(this.name, { headers: { range } });
    } catch (cause) {
      throw new GametapeError('UNREACHABLE', `${this.name}: no answer`, { cause });
    }
    if (response.status === 404) throw new GametapeError('NOT_FOUND', `${this.name}: not found`);
    if (response.status === 416) return undefined;
    if (!response.ok) throw new GametapeError('UNREACHABLE', `${this.name}: answered with status ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    // Some servers answer a range from the end with one from the start: what they say they sent counts.
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    if (response.status === 206 && total !== undefined) return { bytes, offset: Number(start), total: Number(total) };
    this.#whole = bytes;
    return { bytes, offset: 0, total: bytes.length };
  }
}
