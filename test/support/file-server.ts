import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a server has to give: bytes, or a file too long to be in memory. */
export interface ServedFile {
  readonly size: number;
  slice(start: number, end: number): Uint8Array;
}

/** Bounds are inclusive, as in `Content-Range`. */
export interface AskedRange {
  readonly start: number;
  readonly last: number;
}

export interface FileServerOptions {
  /** Answers in its own way where it returns true; otherwise the request is answered as it should be. */
  readonly misbehave?: (request: IncomingMessage, response: ServerResponse, server: FileServer) => boolean;
  /** Ends with the test if undefined; else the caller closes it. */
  readonly stays?: true;
}

/** A plain static server on 127.0.0.1 that knows ranges, ETags and HEAD (RFC 9110), and remembers what it was asked. */
export class FileServer {
  /** Method, path and range of every request, such as `GET /a.lmsp bytes=-65536`. */
  readonly requests: string[] = [];
  readonly files = new Map<string, ServedFile>();
  readonly etags = new Map<string, string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(
    files: Readonly<Record<string, Uint8Array | ServedFile>>,
    { misbehave = () => false, stays }: FileServerOptions = {},
  ): Promise<FileServer> {
    const http = createServer((request, response) => {
      server.requests.push([request.method, request.url, request.headers.range].filter(Boolean).join(' '));
      if (!misbehave(request, response, server)) server.answer(request, response);
    });
    const server = new FileServer(http);
    for (const [path, file] of Object.entries(files)) server.put(path, file);
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    if (!stays) onTestFinished(() => server.close());
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  put(path: string, file: Uint8Array | ServedFile, etag = '"1"'): void {
    this.files.set(path, file instanceof Uint8Array ? served(file) : file);
    this.etags.set(path, etag);
  }

  url(path: string): string {
    return `${this.origin}${path}`;
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url ?? '/', this.origin).pathname;
    const file = this.files.get(path);
    if (!file) {
      response.writeHead(404).end('not found');
      return;
    }
    response.setHeader('content-type', TYPES[path.slice(path.lastIndexOf('.'))] ?? 'application/octet-stream');
    response.setHeader('etag', this.etags.get(path) ?? '');
    response.setHeader('accept-ranges', 'bytes');
    const isHead = request.method === 'HEAD';
    const range = isHead ? undefined : askedRange(request.headers.range, file.size);
    if (range === null) {
      response.writeHead(416, { 'content-range': `bytes */${file.size}` }).end();
      return;
    }
    const { start, last } = range ?? { start: 0, last: file.size - 1 };
    response.setHeader('content-length', last - start + 1);
    if (range) response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${file.size}` });
    if (isHead) response.end();
    else response.end(file.slice(start, last + 1));
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

/** Undefined when all of the file is asked for, null when nothing of it is. */
export function askedRange(header: string | undefined, size: number): AskedRange | undefined | null {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === '' || to === '' ? size - 1 : Math.min(size - 1, Number(to));
  return start < size && start <= last ? { start, last } : null;
}

function served(bytes: Uint8Array): ServedFile {
  return { size: bytes.length, slice: (start, end) => bytes.subarray(start, end) };
}
