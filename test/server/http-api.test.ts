import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { connect, openRecording } from '@gametape/client-sdk';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { TestRelay } from '../support/relay.ts';

describe('rooms', () => {
  test('they are listed with their players while they live', async () => {
    const relay = await TestRelay.start();
    expect(await json(relay, '/v1/rooms')).toEqual([200, { rooms: [] }]);
    const session = await connect({ url: relay.wsUrl, room: 'arena', player: 'ann', name: 'Ann', profile: 'json' });
    await session.checkpoint('start');
    const room = {
      room: 'arena',
      recordingId: session.recordingId,
      profile: 'json',
      players: [{ id: 'ann', name: 'Ann', connected: true }],
      spectators: 0,
      spectatorIds: [],
      events: 2,
      checkpoints: ['start'],
      durationS: expect.any(Number),
    };
    expect(await json(relay, '/v1/rooms')).toEqual([200, { rooms: [room] }]);
    expect(await json(relay, '/v1/rooms/arena')).toEqual([200, room]);
    await session.end();
    expect(await json(relay, '/v1/rooms')).toEqual([200, { rooms: [] }]);
    expect(await json(relay, '/v1/rooms/arena')).toEqual([
      404,
      { error: expect.objectContaining({ code: 'NOT_FOUND' }) },
    ]);
  });

  test('the relay says that it is alive and ready', async () => {
    const relay = await TestRelay.start();
    for (const path of ['/livez', '/readyz']) expect((await relay.get(path)).status).toBe(200);
  });
});

describe('recordings', () => {
  test('they are listed, newest first, and described', async () => {
    const relay = await TestRelay.start();
    const ids = [await recorded(relay, 'one'), await recorded(relay, 'two')];
    const [, { recordings }] = (await json(relay, '/v1/recordings')) as [number, { recordings: { id: string }[] }];
    expect(recordings.map(({ id }) => id)).toEqual(ids.reverse());
    const [status, info] = await json(relay, `/v1/recordings/${ids[0]}`);
    expect([status, info]).toEqual([
      200,
      expect.objectContaining({ id: ids[0], room: 'two', complete: true, events: 22, finished: true }),
    ]);
  });

  test('one that was only asked for as gzip is described from that, also to a client that returns after the end', async () => {
    const relay = await TestRelay.start({ format: 'gzip' });
    const id = await recorded(relay, 'one');
    const [status, info] = await json(relay, `/v1/recordings/${id}`);
    expect([status, info]).toEqual([
      200,
      expect.objectContaining({
        id,
        room: 'one',
        complete: true,
        events: 22,
        path: expect.stringMatching(/\.lmsp\.gz$/),
      }),
    ]);
    const late = await RawClient.open(relay.wsUrl);
    late.hello({ room: 'one', player: 'late', resume: { recordingId: id, epoch: 1, seq: 1 } });
    expect((await late.next('ended')).summary).toMatchObject({ recordingId: id, complete: true, events: 22 });
  });

  test('one that is damaged hides no other', async () => {
    const relay = await TestRelay.start();
    const id = await recorded(relay, 'one');
    await writeFile(join(relay.dataDir, 'recordings', 'broken.lmsp'), 'no recording');
    await writeFile(join(relay.dataDir, 'recordings', 'no id at all!.lmsp'), 'nor this');
    const [status, { recordings }] = (await json(relay, '/v1/recordings')) as [
      number,
      { recordings: { id: string }[] },
    ];
    expect([status, recordings.map((one) => one.id).sort()]).toEqual([200, [id, 'broken'].sort()]);
    expect(recordings.find((one) => one.id === 'broken')).toMatchObject({ error: { code: 'BAD_RECORDING' } });
  });

  test('[R2] a recording is served whole and in ranges', async () => {
    const relay = await TestRelay.start({ format: 'both' });
    const id = await recorded(relay, 'one');
    const path = `/v1/recordings/${id}.lmsp`;
    const whole = await relay.get(path);
    const bytes = new Uint8Array(await whole.arrayBuffer());
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    expect(whole.headers.get('access-control-allow-origin')).toBe('*');
    const size = bytes.length;
    const ranges: [string, Uint8Array, string][] = [
      ['bytes=0-9', bytes.subarray(0, 10), `bytes 0-9/${size}`],
      ['bytes=100-', bytes.subarray(100), `bytes 100-${size - 1}/${size}`],
      ['bytes=-32', bytes.subarray(size - 32), `bytes ${size - 32}-${size - 1}/${size}`],
      [`bytes=10-${size + 500}`, bytes.subarray(10), `bytes 10-${size - 1}/${size}`],
    ];
    for (const [range, expected, contentRange] of ranges) {
      const part = await relay.get(path, { headers: { range } });
      expect([part.status, part.headers.get('content-range')], range).toEqual([206, contentRange]);
      expect(Buffer.from(await part.arrayBuffer()).equals(expected), range).toBe(true);
    }
    const beyond = await relay.get(path, { headers: { range: `bytes=${size}-` } });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${size}`]);
    expect(beyond.headers.get('cache-control')).toBe('no-store');
    expect(await beyond.json()).toMatchObject({ error: { code: expect.any(String), hint: expect.any(String) } });
    const head = await relay.get(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(size)]);
    const gzip = new Uint8Array(await (await relay.get(`/v1/recordings/${id}.lmsp.gz`)).arrayBuffer());
    expect([...gzip.subarray(0, 2)]).toEqual([0x1f, 0x8b]);
    const tape = await openRecording(`${relay.url}${path}`);
    expect([tape.eventCount, tape.complete]).toEqual([22, true]);
    await tape.close();
  });

  test('one that has not changed is not sent again', async () => {
    const relay = await TestRelay.start();
    const path = `/v1/recordings/${await recorded(relay, 'one')}.lmsp`;
    const first = await relay.get(path);
    await first.arrayBuffer();
    const etag = first.headers.get('etag') as string;
    // Not with `fetch`: it asks for a fresh copy as soon as it is given this header.
    expect(await rawGet(relay.port, path, { 'if-none-match': etag })).toEqual({ status: 304, body: '' });
    expect((await rawGet(relay.port, path, { 'if-none-match': '"something else"' })).status).toBe(200);
  });

  test.each([
    ['/v1/recordings/none', 404, 'NOT_FOUND'],
    ['/v1/recordings/none.lmsp', 404, 'NOT_FOUND'],
    ['/v1/recordings/none.lmsp.gz', 404, 'NOT_FOUND'],
    [`/v1/recordings/${'x'.repeat(65)}`, 400, 'BAD_ID'],
    ['/v1/recordings/a%20b', 400, 'BAD_ID'],
    ['/v1/rooms/a%2Fb', 404, 'NOT_FOUND'],
    ['/v1/nothing', 404, 'NOT_FOUND'],
    ['/v1', 404, 'NOT_FOUND'],
  ])('%s answers %i %s', async (path, status, code) => {
    const relay = await TestRelay.start();
    const found = await json(relay, path);
    expect(found).toEqual([status, { error: { code, message: expect.any(String), hint: expect.any(String) } }]);
  });

  test('[S1] no path leads out of the directory of recordings', async () => {
    const relay = await TestRelay.start();
    await mkdir(join(relay.dataDir, 'recordings', '.hidden'));
    for (const name of [
      'secret.lmsp',
      'journal/secret.lmsp',
      'recordings/.hidden/secret.lmsp',
      'recordings/.secret.lmsp',
    ]) {
      await writeFile(join(relay.dataDir, name), 'SECRET');
    }
    const paths = [
      '/v1/recordings/../secret.lmsp',
      '/v1/recordings/..%2fsecret.lmsp',
      '/v1/recordings/%2e%2e/secret.lmsp',
      '/v1/recordings/%2e%2e%2fsecret.lmsp',
      '/v1/recordings/..%5csecret.lmsp',
      '/v1/recordings/..%252fsecret.lmsp',
      '/v1/recordings/....//secret.lmsp',
      '/v1/recordings/..%2fjournal%2fsecret.lmsp',
      '/v1/recordings/.hidden/secret.lmsp',
      '/v1/recordings/.secret.lmsp',
      '/v1/recordings//secret.lmsp',
      '/v1/recordings/%00.lmsp',
      '/v1/recordings/secret.lmsp%00.lmsp',
      '/v1/recordings/..%2fsecret',
      '/v1/recordings/%2e%2e%2fsecret',
      '/v1/rooms/..%2f..%2fsecret',
      '//secret.lmsp',
      '/../secret.lmsp',
      '/%ff%fe',
      '/v1/recordings/%',
    ];
    for (const path of paths) {
      const { status, body } = await rawGet(relay.port, path);
      expect([400, 403, 404], path).toContain(status);
      expect(body, path).not.toContain('SECRET');
    }
  });
});

async function recorded(relay: TestRelay, room: string): Promise<string> {
  const session = await connect({ url: relay.wsUrl, room, player: 'ann', profile: 'json' });
  for (let i = 0; i < 20; i++) session.say(`t${i}`);
  return (await session.end()).recordingId;
}

async function json(relay: TestRelay, path: string): Promise<[status: number, body: unknown]> {
  const response = await relay.get(path);
  return [response.status, await response.json()];
}

/** A path as it is: `fetch` would tidy it up. */
function rawGet(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on('error', reject);
    sent.end();
  });
}
