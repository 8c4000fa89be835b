import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';

const ROOT = new URL('../../', import.meta.url);
/** The SDK as it was built, without a bundler. */
const PAGE = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({
  imports: {
    '@gametape/client-sdk': '/client-sdk/dist/browser.js',
    '@gametape/shared': '/shared/dist/index.js',
    '@gametape/shared/lmsp': '/shared/dist/lmsp/index.js',
    fflate: '/node_modules/fflate/esm/browser.js',
    msgpackr: '/node_modules/msgpackr/index.js',
    zod: '/node_modules/zod/index.js',
  },
})}</script>`;

/**
 * Answers `/` and the modules that it may import: `misbehave` of a `FileServer`. `/sandboxed` is the same page of an origin of its
 * own, which has no storage, as in a sandboxed frame.
 */
export function servePage({ url = '/' }: IncomingMessage, response: ServerResponse): boolean {
  response.setHeader('access-control-allow-origin', '*');
  if (url === '/sandboxed') response.setHeader('content-security-policy', 'sandbox allow-scripts');
  if (url === '/' || url === '/sandboxed') response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
  else if (/^\/(client-sdk\/dist|shared\/dist|node_modules|test\/support)\/[\w./-]+\.m?js$/.test(url)) {
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(new URL(`.${url}`, ROOT)));
  } else return false;
  return true;
}
