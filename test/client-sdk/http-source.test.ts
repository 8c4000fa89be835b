import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { HttpSource } from '@gametape/client-sdk';
import { BytesSource } from '@gametape/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type AskedRange, askedRange, FileServer, type ServedFile } from '../support/file-server.ts';

const KIB = 1024;
const PATH = '/a.lmsp';
/** 200 KiB in which every byte tells where it is. */
const FILE = patterned(200 * KIB);

function patterned(size: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => byteAt(at, seed));
}

function byteAt(at: number, seed = 0): number {
  return (at ^ (at / 251) ^ (at / 4_294_967_291) ^ seed) & 0xff;
}

type Misbehave = (request: IncomingMessage, response: ServerResponse, server: FileServer) => boolean;

async function served(misbehave: Misbehave = () => false, file: Uint8Array | ServedFile = FILE): Promise<FileServer> {
  return FileServer.start({ [PATH]: file }, { misbehave });
}

/** Behaves when it is asked for the end, and answers any other range by `answer`. */
function badRange(answer: (response: ServerResponse, start: number, last: number) => void): Misbehave {
  return (request, response) => {
    const range = askedRange(request.headers.range, FILE.length);
    if (!range || range.last === FILE.length - 1) return false;
    answer(response, range.start, range.last);
    return true;
  };
}

const isTail = ({ headers }: IncomingMessage) => headers.range === 'bytes=-65536';
const isPart = (request: IncomingMessage) => !isTail(request);

/** Hangs up in the middle of its answer. */
function cut({ headers }: IncomingMessage, response: ServerResponse): boolean {
  const { start, last } = askedRange(headers.range, FILE.length) as AskedRange;
  const range = { 'content-range': `bytes ${start}-${last}/${FILE.length}`, 'content-length': last - start + 1 };
  response.writeHead(206, range).write(FILE.subarray(start, start + 40), () => response.destroy());
  return true;
}

function status(code: number): Misbehave {
  return (_request, response) => {
    response.writeHead(code).end('no');
    return true;
  };
}

/** The first 100 bytes: they are never in the tail. */
async function readStart(misbehave: Misbehave, options = {}): Promise<Uint8Array> {
  const server = await served(misbehave);
  return new HttpSource(server.url(PATH), options).read(0, 100);
}

describe('a source at a URL', () => {
  test('[R2] reads any part, as a file on disk does', async () => {
    const server = await served();
    const source = new HttpSource(server.url(PATH));
    expect(await source.size()).toBe(FILE.length);
    const { length } = FILE;
    for (const [offset, count] of [
      [0, 16],
      [16, 5_000],
      [5_016, 1],
      [5_017, length],
      [length - 70 * KIB, 40 * KIB],
      [0, length],
      [length - 1, 1],
      [length - 1, 9],
      [length, 5],
      [length + 99, 5],
      [7, 0],
    ] as const) {
      expect(Buffer.from(FILE.subarray(offset, offset + count)).equals(await source.read(offset, count))).toBe(true);
    }
  });

  test('[R2] asks once for its size and end, and for nothing that it has', async () => {
    const server = await served();
    const source = new HttpSource(server.url(PATH));
    await Promise.all([source.size(), source.size(), source.read(FILE.length - 64 * KIB, 64 * KIB)]);
    expect(server.requests).toEqual([`GET ${PATH} bytes=-65536`]);
    await source.read(FILE.length - 65 * KIB, 65 * KIB);
    expect(server.requests.slice(1)).toEqual([`GET ${PATH} bytes=138240-139263`]);
  });

  test('reads ahead when one read follows another', async () => {
    const server = await served();
    const source = new HttpSource(server.url(PATH));
    for (let at = 0; at < FILE.length; at += 10 * KIB) await source.read(at, 10 * KIB);
    expect(server.requests).toEqual([
      `GET ${PATH} bytes=-65536`,
      `GET ${PATH} bytes=0-10239`,
      `GET ${PATH} bytes=10240-139263`,
    ]);
  });

  test('of more than 2^31 bytes is read at its true offsets', async () => {
    const size = 5 * 2 ** 30;
    const slice = (start: number, end: number) =>
      Uint8Array.from({ length: end - start }, (_, at) => byteAt(start + at));
    const source = new HttpSource((await served(undefined, { size, slice })).url(PATH));
    expect(await source.size()).toBe(size);
    for (const at of [2 ** 31 - 50, 2 ** 32 - 3, size - 70_000]) {
      expect(await source.read(at, 100)).toEqual(slice(at, at + 100));
    }
  });

  test('that is shorter than the end that is asked for is read whole, also from servers that refuse that', async () => {
    const short = FILE.subarray(0, 500);
    const strict: Misbehave = ({ headers }, response) => {
      if (headers.range !== 'bytes=-65536') return false;
      response.writeHead(416, { 'content-range': 'bytes */500' }).end();
      return true;
    };
    const silent: Misbehave = ({ headers }, response) => {
      if (headers.range !== 'bytes=-65536') return false;
      response.writeHead(416).end();
      return true;
    };
    for (const [misbehave, requests] of [
      [undefined, 1],
      [strict, 2],
      [silent, 3],
    ] as const) {
      const server = await served(misbehave, short);
      expect(await new HttpSource(server.url(PATH)).read(0, 1_000)).toEqual(short);
      expect(server.requests).toHaveLength(requests);
    }
  });

  test('takes a range from the end that is answered from the start for what it is', async () => {
    const bytes = await readStart(({ headers }, response) => {
      if (headers.range !== 'bytes=-65536') return false;
      response.writeHead(206, { 'content-range': `bytes 0-65535/${FILE.length}` }).end(FILE.subarray(0, 65_536));
      return true;
    });
    expect(bytes).toEqual(FILE.subarray(0, 100));
  });

  test('asks on when a server sends less of a range than it may', async () => {
    const server = await served(
      badRange((response, start, last) => {
        const end = Math.min(start + 30, last + 1);
        response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${FILE.length}` });
        response.end(FILE.subarray(start, end));
      }),
    );
    expect(await new HttpSource(server.url(PATH)).read(0, 100)).toEqual(FILE.subarray(0, 100));
    expect(server.requests).toHaveLength(5);
  });

  test('asks for no compressed form', async () => {
    const asked: unknown[] = [];
    const server = await served(({ headers }) => {
      asked.push(headers['accept-encoding']);
      return false;
    });
    const source = new HttpSource(server.url(PATH));
    await source.read(0, 10);
    for await (const _ of (await source.readWhole()).parts);
    expect(asked).toEqual(['identity', 'identity', 'identity']);
  });
});

describe('a server that knows no ranges', () => {
  const ignorant: Misbehave = ({ headers }) => {
    delete headers.range;
    return false;
  };

  test('is read whole, once', async () => {
    const server = await served(ignorant);
    const source = new HttpSource(server.url(PATH));
    expect(await source.size()).toBe(FILE.length);
    expect(await source.read(5, 100)).toEqual(FILE.subarray(5, 105));
    expect(await source.read(FILE.length - 5, 100)).toEqual(FILE.subarray(-5));
    expect(server.requests).toHaveLength(1);
  });

  test('and sends it compressed is read whole, decompressed', async () => {
    const bytes = await readStart((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(FILE));
      return true;
    });
    expect(bytes).toEqual(FILE.subarray(0, 100));
  });

  test('leaves it to whoever opened it where the file is kept', async () => {
    const server = await served(ignorant);
    let closed = false;
    const keepWhole = async (parts: AsyncIterable<Uint8Array>) => {
      const kept: Uint8Array[] = [];
      for await (const part of parts) kept.push(part);
      const bytes = new BytesSource(Uint8Array.from(Buffer.concat(kept)));
      const close = async () => {
        closed = true;
      };
      return Object.assign(bytes, { close });
    };
    const source = new HttpSource(server.url(PATH), { keepWhole });
    expect(await source.read(0, 100)).toEqual(FILE.subarray(0, 100));
    await source.close();
    expect(closed).toBe(true);
  });

  test('from some request on is read whole from there', async () => {
    const server = await served(({ headers }) => {
      if (headers.range !== 'bytes=-65536') delete headers.range;
      return false;
    });
    const source = new HttpSource(server.url(PATH));
    for (const at of [0, 5_000, FILE.length - 9]) {
      expect(await source.read(at, 100)).toEqual(FILE.subarray(at, at + 100));
    }
    expect(server.requests).toHaveLength(2);
  });

  test('nor tells how long the file is, is read whole', async () => {
    const server = await served(({ method, headers }, response) => {
      if (method === 'HEAD') {
        response.writeHead(405).end();
        return true;
      }
      if (headers.range === undefined) return false;
      response.writeHead(206).end(FILE.subarray(0, 10));
      return true;
    });
    expect(await new HttpSource(server.url(PATH)).read(7, 100)).toEqual(FILE.subarray(7, 107));
  });
});

describe('a server that hides what it sends', () => {
  /** As a browser sees a server of another origin that exposes no header. */
  const hiding: Misbehave = (_request, response) => {
    const { setHeader, writeHead } = response;
    response.setHeader = (name, value) => (name === 'etag' ? response : setHeader.call(response, name, value));
    response.writeHead = ((code: number) => writeHead.call(response, code)) as typeof writeHead;
    return false;
  };

  test('is asked for the size by HEAD', async () => {
    const server = await served(hiding);
    const source = new HttpSource(server.url(PATH));
    expect(await source.read(3, 100)).toEqual(FILE.subarray(3, 103));
    expect(server.requests.map((line) => line.split(' ')[0])).toEqual(['GET', 'HEAD', 'GET']);
  });

  test('and cuts a range short is found out', async () => {
    const cut = badRange((response) => response.writeHead(206).end(FILE.subarray(0, 50)));
    const misbehave: Misbehave = (...all) => hiding(...all) || cut(...all);
    await expect(readStart(misbehave)).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});

describe('a server that lies is never believed', () => {
  test.each<[string, Misbehave, string]>([
    [
      'another start',
      badRange((response, start, last) => {
        response.writeHead(206, { 'content-range': `bytes ${start + 1}-${last}/${FILE.length}` });
        response.end(FILE.subarray(start + 1, last + 1));
      }),
      'asked the server for bytes 0-99, was sent bytes 1-99',
    ],
    [
      'an earlier start',
      ({ headers }, response) => {
        if (headers.range === 'bytes=-65536') return false;
        response.writeHead(206, { 'content-range': `bytes 5-104/${FILE.length}` }).end(FILE.subarray(5, 105));
        return true;
      },
      'was sent bytes 5-104',
    ],
    [
      'a later end',
      badRange((response, start, last) => {
        response.writeHead(206, { 'content-range': `bytes ${start}-${last + 1}/${FILE.length}` });
        response.end(FILE.subarray(start, last + 2));
      }),
      'was sent bytes 0-100',
    ],
    [
      'an end before its start',
      badRange((response) => response.writeHead(206, { 'content-range': `bytes 0-0/${FILE.length}` }).end()),
      'was sent only 0 bytes',
    ],
    [
      'a short body',
      badRange((response, start, last) => {
        response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${FILE.length}` });
        response.end(FILE.subarray(start, last - 9));
      }),
      'was sent only 90 bytes',
    ],
    [
      'a long body',
      badRange((response, start, last) => {
        response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${FILE.length}` });
        response.end(FILE);
      }),
      'was sent more bytes',
    ],
    [
      'a part of its compressed form',
      badRange((response, start, last) => {
        const headers = { 'content-range': `bytes ${start}-${last}/${FILE.length}`, 'content-encoding': 'gzip' };
        response.writeHead(206, headers).end(gzipSync(FILE.subarray(start, last + 1)));
      }),
      'compressed form (gzip)',
    ],
    [
      'an end beyond the end',
      (_request, response) => {
        response.writeHead(206, { 'content-range': 'bytes 0-99/50' }).end(FILE.subarray(0, 100));
        return true;
      },
      'was sent bytes 0-99 of 50',
    ],
  ])('with %s', async (_name, misbehave, message) => {
    const error = await readStart(misbehave).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DAMAGED', message: expect.stringContaining(message) });
    expect(error).toHaveProperty('hint', expect.stringContaining('Download the file'));
  });

  test('with a tail that never ends takes no memory for it', async () => {
    const huge = 2 ** 40;
    const server = await served(({ headers }, response) => {
      if (headers.range !== 'bytes=-65536') return false;
      response.writeHead(206, { 'content-range': `bytes 0-${huge - 1}/${huge}` });
      const more = () => {
        while (response.write(FILE));
        response.once('drain', more);
      };
      more();
      return true;
    });
    expect(await new HttpSource(server.url(PATH)).size()).toBe(huge);
  });
});

describe('a file that is changed while it is read', () => {
  test.each<[string, (server: FileServer) => void, string]>([
    [
      'has another ETag',
      (server) => server.put(PATH, patterned(FILE.length, 1), '"2"'),
      'its etag was "1", and is "2"',
    ],
    ['is longer', (server) => server.put(PATH, patterned(FILE.length + 5)), 'it had 204800 bytes, and has 204805'],
    ['is shorter', (server) => server.put(PATH, patterned(40)), 'it had 204800 bytes, and has no byte 1000'],
    ['is gone', (server) => server.files.delete(PATH), 'status 404'],
  ])('%s: not a byte of the new one is returned', async (_name, change, message) => {
    const server = await served();
    const source = new HttpSource(server.url(PATH));
    expect(await source.read(0, 100)).toEqual(FILE.subarray(0, 100));
    change(server);
    const error = await source.read(1_000, 100).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    expect(error).toMatchObject({ code: message === 'status 404' ? 'NOT_FOUND' : 'DAMAGED' });
    // What was here before is still right.
    expect(await source.read(FILE.length - 10, 10)).toEqual(FILE.subarray(-10));
  });

  test('is found out by a server that knows no ranges any more', async () => {
    let ranges = true;
    const server = await served(({ headers }) => {
      if (!ranges) delete headers.range;
      return false;
    });
    const source = new HttpSource(server.url(PATH));
    await source.read(0, 10);
    ranges = false;
    server.put(PATH, patterned(FILE.length, 1), '"2"');
    await expect(source.read(50, 10)).rejects.toMatchObject({ code: 'DAMAGED' });
    server.put(PATH, patterned(FILE.length - 1), '"1"');
    await expect(source.read(50, 10)).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});

describe('a server that gives nothing', () => {
  test.each([
    [404, 'NOT_FOUND'],
    [410, 'NOT_FOUND'],
    [401, 'NOT_ALLOWED'],
    [403, 'NOT_ALLOWED'],
    [400, 'UNREACHABLE'],
    [500, 'UNREACHABLE'],
    [503, 'UNREACHABLE'],
  ])('because of status %i says %s', async (code, expected) => {
    const error = await readStart(status(code)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: expected, message: `the server answered with status ${code}` });
  });

  test('because the file is empty says so', async () => {
    const server = await served(undefined, new Uint8Array(0));
    const source = new HttpSource(server.url(PATH));
    await expect(source.size()).rejects.toMatchObject({ code: 'BAD_RECORDING', message: 'the file is empty' });
    const ignorant = await served((request) => {
      delete request.headers.range;
      return false;
    }, new Uint8Array(0));
    await expect(new HttpSource(ignorant.url(PATH)).size()).rejects.toMatchObject({ code: 'BAD_RECORDING' });
  });

  test('because nobody listens says why', async () => {
    const server = await served();
    const url = server.url(PATH);
    await server.close();
    const error = await new HttpSource(url).size().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('ECONNREFUSED') });
  });

  test('because redirects go round in circles says so', async () => {
    const circle: Misbehave = (_request, response) => {
      response.writeHead(302, { location: PATH }).end();
      return true;
    };
    await expect(readStart(circle)).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('redirect'),
    });
  });

  test('for a while is given up, whether before its answer, in a tail, or in the middle of a range', async () => {
    const options = { silenceMs: 150 };
    const late = { code: 'TIMED_OUT', message: 'the server has sent nothing for 0.15 s' };
    await expect(readStart(() => true, options)).rejects.toMatchObject(late);
    const inTail: Misbehave = (_request, response) => {
      const range = `bytes ${FILE.length - 65_536}-${FILE.length - 1}/${FILE.length}`;
      response.writeHead(206, { 'content-range': range }).write(FILE.subarray(-65_536, -1));
      return true;
    };
    await expect(readStart(inTail, options)).rejects.toMatchObject(late);
    const inRange = badRange((response, start, last) => {
      response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${FILE.length}` });
      response.write(FILE.subarray(start, last));
    });
    await expect(readStart(inRange, options)).rejects.toMatchObject(late);
  });

  test('that is slow, but never silent for long, is waited for', async () => {
    const bytes = await readStart(
      badRange((response, start, last) => {
        response.writeHead(206, { 'content-range': `bytes ${start}-${last}/${FILE.length}` });
        let at = start;
        const timer = setInterval(() => {
          response.write(FILE.subarray(at, at + 10));
          at += 10;
          if (at <= last) return;
          clearInterval(timer);
          response.end();
        }, 400);
      }),
      // Less than all of it takes, and more than a busy machine stands still.
      { silenceMs: 3_000 },
    );
    expect(bytes).toEqual(FILE.subarray(0, 100));
  });

  test('because it hangs up in the middle says how far it came', async () => {
    await expect(readStart((request, response) => isPart(request) && cut(request, response))).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/^the connection broke after \d+ bytes/),
    });
  });

  test('that hangs up in the middle is asked again, for the end and for any part', async () => {
    for (const isCut of [isTail, isPart]) {
      let cuts = 3;
      const server = await served(
        (request, response) => cuts > 0 && isCut(request) && cuts-- > 0 && cut(request, response),
      );
      const source = new HttpSource(server.url(PATH));
      expect(await source.read(0, 100)).toEqual(FILE.subarray(0, 100));
      expect([cuts, server.requests.length]).toEqual([0, 5]);
    }
  });

  test('[V1] of a room that was watched, the first answer may be cut off too', async () => {
    let requests = 0;
    const hangUp: Misbehave = (_request, response) => {
      if (++requests > 4) return false;
      response.destroy();
      return true;
    };
    const server = await served(hangUp);
    await expect(new HttpSource(server.url(PATH)).size()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    requests = 0;
    expect(await new HttpSource(server.url(PATH), { hasAnswered: true }).size()).toBe(FILE.length);
    expect(requests).toBeGreaterThan(4);
  });

  test('that has never answered is not asked again', async () => {
    let requests = 0;
    const server = createServer((socket) => {
      requests++;
      socket.on('error', () => {}).destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}${PATH}`;
    await expect(new HttpSource(url).read(0, 100)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    // By its end and by HEAD.
    expect(requests).toBe(2);
  });

  test('that is HTTP is told from a server that is', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address() as { port: number };
    try {
      const source = new HttpSource(`http://127.0.0.1:${address.port}${PATH}`);
      await expect(source.size()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    } finally {
      server.close();
    }
  });

  test('works again after a failure', async () => {
    let fails = true;
    const server = await served((_request, response) => fails && status(503)(_request, response, server));
    const source = new HttpSource(server.url(PATH));
    await expect(source.size()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    fails = false;
    expect(await source.size()).toBe(FILE.length);
  });
});
