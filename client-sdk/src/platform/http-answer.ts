import { GametapeError, isGametapeError } from '@gametape/shared';
import { doubling, type Persistence } from '../try-again.ts';

/** What is cut off is asked for again: a connection that is bad for one request need not be for the next. */
export const CUT_OFF: Persistence = {
  tries: 6,
  pauseMs: doubling(100),
  isWorthIt: (error) => isGametapeError(error, 'UNREACHABLE'),
};

/** A bounded part of a file, or all of it, as `Content-Range` names it. `last` is inclusive. */
export interface ContentRange {
  readonly start: number;
  readonly last: number;
  readonly total: number;
}

/** The answer to one request, its body still to come. Read the body, or `cancel` it. */
export class HttpAnswer {
  readonly status: number;
  /** Where redirects led to. */
  readonly url: string;
  readonly #response: Response;
  readonly #patience: Patience;

  constructor(response: Response, patience: Patience) {
    this.status = response.status;
    this.url = response.url;
    this.#response = response;
    this.#patience = patience;
  }

  /** Null too where a browser hides it: only a few headers of other origins are shown. */
  header(name: string): string | null {
    return this.#response.headers.get(name);
  }

  /** Undefined when there is none that says all three. */
  get contentRange(): ContentRange | undefined {
    const [, start, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(this.header('content-range') ?? '') ?? [];
    if (total === undefined) return undefined;
    return { start: Number(start), last: Number(last), total: Number(total) };
  }

  async *parts(): AsyncGenerator<Uint8Array> {
    const reader = this.#response.body?.getReader();
    if (!reader) return;
    let bytes = 0;
    try {
      for (;;) {
        const { done, value } = await this.#patience.during(reader.read(), `the connection broke after ${bytes} bytes`);
        if (done) return;
        bytes += value.length;
        yield value;
      }
    } finally {
      this.cancel();
    }
  }

  /** The body, up to `limit` bytes and one more part. */
  async bytes(limit: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of this.parts()) {
      parts.push(part);
      length += part.length;
      if (length > limit) break;
    }
    return joined(parts, length);
  }

  /** Ends the connection if the body has not been read to its end. */
  cancel(): void {
    this.#patience.end();
  }
}

/**
 * Asks a web server, following redirects.
 *
 * @throws GametapeError `UNREACHABLE`, `TIMED_OUT` when it says nothing for `silenceMs`. Messages do not name the file.
 */
export async function askHttp(url: string, request: RequestInit, silenceMs: number): Promise<HttpAnswer> {
  const patience = new Patience(silenceMs);
  // Chromium splits a range that its cache holds a part of into several requests: a seek would take three.
  const response = fetch(url, { cache: 'no-store', ...request, signal: patience.signal });
  return new HttpAnswer(await patience.during(response, 'no answer'), patience);
}

export function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first) return first;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Bounds how long a server may be silent, however long its answer is. */
class Patience {
  readonly #silenceMs: number;
  readonly #controller = new AbortController();

  constructor(silenceMs: number) {
    this.#silenceMs = silenceMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async during<Result>(work: Promise<Result>, failure: string): Promise<Result> {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      this.end();
    }, this.#silenceMs);
    try {
      return await work;
    } catch (cause) {
      if (isOver) {
        const message = `the server has sent nothing for ${this.#silenceMs / 1_000} s`;
        throw new GametapeError('TIMED_OUT', message, {
          cause,
          hint: 'Try again, or download the file by other means.',
        });
      }
      const hint = 'Check the address, and that the server is running.';
      throw new GametapeError('UNREACHABLE', `${failure} (${reasonOf(cause)})`, { cause, hint });
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#controller.abort();
  }
}

/** Node says only `fetch failed`, and why in its cause, whose message may be empty. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || message || String(error);
}
