import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileServer } from '../support/file-server.ts';
import { largeRecording } from '../support/large-recording.ts';
import { tempDir } from '../support/temp-dir.ts';
import { demoRecording } from './demo-recording.ts';
import { gametape } from './gametape.ts';

const recording = demoRecording(11);
const json = new TextEncoder().encode(JSON.stringify(recording));
const at = String(recording.events[150]?.timestamp ?? 0);

let directory: string;
/** One recording in every format, by the name it is served under. */
let files: Record<string, Uint8Array>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-cli-'));
  const path = (name: string) => join(directory, name);
  await writeFile(path('a.json'), json);
  await gametape(['convert', path('a.json'), '-o', path('a.lmsp')]);
  await gametape(['convert', path('a.lmsp'), '-o', path('a.ndjson')]);
  const lmsp = await readFile(path('a.lmsp'));
  await writeFile(path('cut.lmsp'), lmsp.subarray(0, -100));
  files = {
    '/a.json': json,
    '/a.lmsp': lmsp,
    '/a.ndjson': await readFile(path('a.ndjson')),
    '/a.lmsp.gz': gzipSync(json),
    '/cut.lmsp': lmsp.subarray(0, -100),
    '/large.lmsp': await largeRecording(),
    '/empty.lmsp': new Uint8Array(0),
  };
});
afterAll(() => rm(directory, { recursive: true }));

/** Every verb that reads a recording. */
const VERBS = [
  ['info', 'FILE', '--json'],
  ['verify', 'FILE', '--json'],
  ['cat', 'FILE', '--json', '--player', 'bob', '--from', at],
  ['cat', 'FILE', '--json', '--state', '--type', 'checkpoint'],
  ['state', 'FILE', '--at', at, '--json'],
  ['convert', 'FILE', '-o', '-', '--to', 'ndjson'],
  ['convert', 'FILE', '-o', '-', '--to', 'lmsp'],
];

/** What a verb says of a file, its name apart. */
async function said(args: readonly string[], file: string, options = {}) {
  const { code, stdout, stderr } = await gametape(
    args.map((arg) => (arg === 'FILE' ? file : arg)),
    options,
  );
  return { code, stdout: stdout.replaceAll(file === '-' ? '<stdin>' : file, 'FILE'), stderr };
}

function without(...headers: string[]) {
  return ({ headers: asked }: IncomingMessage) => {
    for (const header of headers) delete asked[header];
    return false;
  };
}

function refusing(status: number) {
  return (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status).end();
    return true;
  };
}

describe('a FILE may be a path, "-" or a URL', () => {
  test.each(VERBS.map((args) => [args.join(' '), args] as const))('gametape %s', async (_name, args) => {
    const server = await FileServer.start(files);
    const plain = await FileServer.start(files, { misbehave: without('range') });
    const temporary = await tempDir();
    const env = { TMPDIR: temporary };
    const file = join(directory, 'a.lmsp');
    const expected = await said(args, file);
    expect(expected).toMatchObject({ code: 0, stderr: '' });
    expect(expected.stdout).not.toBe('');
    expect(await said(args, '-', { stdin: await readFile(file), env })).toEqual(expected);
    for (const { origin } of [server, plain]) {
      expect(await said(args, `${origin}/a.lmsp?token=1`, { env })).toEqual(expected);
    }
    expect(await readdir(temporary)).toEqual([]);
  });

  test('in every format, also when its name tells another', async () => {
    const temporary = await tempDir();
    const server = await FileServer.start({ ...files, '/wrong.ndjson': files['/a.lmsp'] ?? json, '/nameless': json });
    for (const [path, format] of [
      ['/a.json', 'json'],
      ['/a.ndjson', 'ndjson'],
      ['/a.lmsp.gz', 'lmsp.gz'],
      ['/wrong.ndjson', 'lmsp'],
      ['/nameless', 'json'],
    ] as const) {
      const { stdout, stderr } = await gametape(['info', server.url(path), '--json'], { env: { TMPDIR: temporary } });
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toMatchObject({
        format,
        events: recording.events.length,
        bytes: server.files.get(path)?.size,
      });
    }
    // A text that is named as one is taken at once.
    expect(server.requests.slice(0, 3)).toEqual(['GET /a.json', 'GET /a.ndjson', 'GET /a.lmsp.gz']);
    expect(await readdir(temporary)).toEqual([]);
  });

  test('one that was never finished is read from its URL too', async () => {
    const server = await FileServer.start(files);
    const url = server.url('/cut.lmsp');
    const { code, stdout, stderr } = await gametape(['info', url, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ finished: false, events: recording.events.length });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`${url}: the recording was never`) });
    expect((await gametape(['verify', url])).code).toBe(5);
    const copied = await gametape(['convert', url, '-o', join(await tempDir(), 'b.lmsp')]);
    expect(copied).toMatchObject({ code: 3, stderr: expect.stringContaining(`${url}: the recording was never`) });
  });

  test('"-" can be given once only', async () => {
    const { spoolStdin } = await import('../../server/dist/cli/spool.js');
    process.stdin.destroy();
    await spoolStdin().catch(() => {});
    await expect(spoolStdin()).rejects.toMatchObject({ name: 'UsageError' });
  });
});

describe('[R2] requests', () => {
  test('info takes two at most, state one more, and neither reads all of the file', async () => {
    const server = await FileServer.start(files);
    expect((await gametape(['info', server.url('/a.lmsp')])).code).toBe(0);
    expect(server.requests).toHaveLength(1);
    expect((await gametape(['info', server.url('/large.lmsp')])).code).toBe(0);
    expect(server.requests).toHaveLength(3);
    expect((await gametape(['state', server.url('/large.lmsp'), '--at', '700'])).code).toBe(0);
    expect(server.requests).toHaveLength(6);
  });

  test('verify takes one, and a server that knows no ranges is asked once', async () => {
    const server = await FileServer.start(files, { misbehave: without('range') });
    for (const verb of ['verify', 'info']) {
      server.requests.length = 0;
      expect((await gametape([verb, server.url('/large.lmsp')])).code).toBe(0);
      expect(server.requests).toHaveLength(1);
    }
  });
});

describe('a URL that gives no recording', () => {
  test.each([
    [404, 1, 'NOT_FOUND'],
    [403, 4, 'NOT_ALLOWED'],
    [500, 1, 'UNREACHABLE'],
  ])('because of status %i exits with %i', async (status, code, errorCode) => {
    const server = await FileServer.start(files, { misbehave: refusing(status) });
    for (const [verb, path] of [
      ['info', '/a.lmsp'],
      ['info', '/a.json'],
      ['verify', '/a.lmsp'],
    ] as const) {
      const url = server.url(path);
      const { stderr, ...result } = await gametape([verb, url, '--json']);
      expect(result).toEqual({ code, stdout: '' });
      expect(JSON.parse(stderr)).toEqual({
        error: {
          code: errorCode,
          message: `${url}: the server answered with status ${status}`,
          hint: expect.stringMatching(/./),
        },
      });
    }
  });

  test('because it is empty, is no recording, or nobody listens', async () => {
    const server = await FileServer.start({ ...files, '/page.html': new TextEncoder().encode('<!doctype html>') });
    for (const verb of ['info', 'verify']) {
      const empty = await gametape([verb, server.url('/empty.lmsp')]);
      expect(empty).toMatchObject({ code: 1, stderr: expect.stringContaining('empty.lmsp: the file is empty') });
      const page = await gametape([verb, server.url('/page.html')]);
      expect(page).toMatchObject({ code: 1, stderr: expect.stringContaining('page.html: expected a recording') });
    }
    const url = server.url('/a.lmsp');
    await server.close();
    expect(await gametape(['info', url])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/a\.lmsp: no answer \(.*ECONNREFUSED.*\)\n.*hint/),
    });
  });

  test('because it is changed between two requests exits with 5', async () => {
    const server = await FileServer.start(files, {
      misbehave: (_request, _response, self) => {
        const tag = `"${self.requests.length}"`;
        self.etags.set('/large.lmsp', tag);
        return false;
      },
    });
    const { code, stderr } = await gametape(['info', server.url('/large.lmsp')]);
    expect({ code, stderr }).toEqual({ code: 5, stderr: expect.stringContaining('was changed while it was read') });
  });

  test('because it hangs up in the middle leaves nothing behind', async () => {
    const temporary = await tempDir();
    const server = await FileServer.start(files, {
      misbehave: (_request, response) => {
        response.writeHead(200, { 'content-length': json.length });
        response.write(json.subarray(0, 1_000), () => response.destroy());
        return true;
      },
    });
    for (const path of ['/a.json', '/a.lmsp']) {
      const { code, stderr } = await gametape(['info', server.url(path)], { env: { TMPDIR: temporary } });
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('the connection broke after') });
    }
    expect(await readdir(temporary)).toEqual([]);
  });
});
