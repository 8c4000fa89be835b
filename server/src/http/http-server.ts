import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import send from 'send';
import sirv from 'sirv';
import type { Embargo } from '../recording/embargo.ts';

const RECORDING_FILE = /^\/v1\/recordings\/([A-Za-z0-9_-]{1,64}\.lmsp(?:\.gz)?)$/;
const SUFFIX_RANGE = /^bytes=-0*[1-9]\d*$/;
/** A directory that is not there: of what is not due, not even that can be told (V2). */
const NOT_THERE = 'not-due';
const API = /^\/(v1(\/|$)|livez$|readyz$)/;

export interface HttpServerOptions {
  readonly api: Hono;
  /** Where `/v1/recordings/<id>.lmsp` files lie. */
  readonly recordingsDirectory: string;
  /** Recordings that are not there yet for anybody who asks (V2). */
  readonly embargo: Pick<Embargo, 'holds'>;
  /** Built viewer, undefined to serve none. */
  readonly viewerDirectory: string | undefined;
}

/** One server for the API, the recordings as files with ranges and ETags, and the viewer. */
export function httpServer({ api, recordingsDirectory, embargo, viewerDirectory }: HttpServerOptions): Server {
  const handleApi = getRequestListener(api.fetch);
  const handleViewer = viewerDirectory === undefined ? undefined : sirv(viewerDirectory, { single: true, etag: true });
  const listener: RequestListener = (request, response) => {
    const path = pathOf(request);
    const file = RECORDING_FILE.exec(path)?.[1];
    if (file !== undefined) void sendIfDue(request, response, { embargo, root: recordingsDirectory, file });
    else if (API.test(path) || !handleViewer) void handleApi(request, response);
    else handleViewer(request, response, () => void handleApi(request, response));
  };
  return createServer({ requestTimeout: 30_000, headersTimeout: 5_000 }, listener);
}

async function sendIfDue(
  request: IncomingMessage,
  response: ServerResponse,
  { embargo, root, file }: { embargo: HttpServerOptions['embargo']; root: string; file: string },
): Promise<void> {
  try {
    const isHeld = await embargo.holds(file.slice(0, file.indexOf('.')));
    sendRecording(request, response, isHeld ? join(root, NOT_THERE) : root, file);
  } catch {
    response.writeHead(500).end();
  }
}

function sendRecording(request: IncomingMessage, response: ServerResponse, root: string, file: string): void {
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader('access-control-expose-headers', 'content-range, accept-ranges, etag');
  response.setHeader('content-type', file.endsWith('.gz') ? 'application/gzip' : 'application/octet-stream');
  send(request, file, { root, dotfiles: 'deny', index: false, immutable: true, maxAge: '1d' })
    .on('error', (error: NodeJS.ErrnoException & { status?: number }) => {
      const status = error.status ?? 500;
      if (status === 416 && SUFFIX_RANGE.test(request.headers.range ?? '')) {
        // "The last n bytes" of a file that is shorter are the whole file (RFC 9110, 14.1.2); send refuses them.
        request.headers.range = 'bytes=0-';
        sendRecording(request, response, root, file);
        return;
      }
      const code = status === 404 ? 'NOT_FOUND' : 'BAD_MESSAGE';
      const why = status === 404 ? 'there is no such recording' : error.message;
      const hint = status === 404 ? 'Check the id, or list them with GET /v1/recordings.' : 'Check the range.';
      // No cache may keep it as if it were the file.
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify({ error: { code, message: `${file}: ${why}`, hint } }));
    })
    .pipe(response);
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}
