import { openAsBlob } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openRecording, type TapeSource } from '@gametape/client-sdk';
import { BytesSink, BytesSource } from '@gametape/shared';
import { importLmsp } from '@gametape/shared/lmsp';
import { beforeAll, describe, expect, test } from 'vitest';
import { demoRecording } from '../cli/demo-recording.ts';
import { FileServer } from '../support/file-server.ts';
import { largeRecording } from '../support/large-recording.ts';
import { digestOf, type TapeDigest } from '../support/tape-digest.ts';
import { tempDir } from '../support/temp-dir.ts';
import { recordingId } from '../support/typed-session.ts';

/** A name, bytes, and how many of its events are compared. */
const recordings: { name: string; bytes: Uint8Array; every: number; digest: TapeDigest }[] = [];

beforeAll(async () => {
  for (const { name, bytes, every } of [
    { name: 'small', bytes: await smallRecording(), every: 1 },
    { name: 'large', bytes: await largeRecording(), every: 97 },
  ]) {
    recordings.push({ name, bytes, every, digest: await digestOf(await openRecording(bytes), every) });
  }
});

async function smallRecording(): Promise<Uint8Array> {
  const sink = new BytesSink();
  const text = new TextEncoder().encode(JSON.stringify(demoRecording(3)));
  const parts = async function* () {
    yield text;
  };
  await importLmsp(parts, sink, { recordingId: recordingId(3) });
  return sink.bytes();
}

const SOURCES: Readonly<Record<string, (bytes: Uint8Array) => Promise<TapeSource>>> = {
  bytes: async (bytes) => bytes,
  'a Buffer that begins in the middle of its memory': async (bytes) => {
    return Buffer.concat([Buffer.alloc(13), bytes, Buffer.alloc(9)]).subarray(13, 13 + bytes.length);
  },
  'a Blob': async (bytes) => new Blob([bytes.slice(0, 100), bytes.slice(100)]),
  'a File': async (bytes) => new File([bytes.slice()], 'a.lmsp'),
  'a path': (bytes) => onDisk(bytes),
  'a Blob that is on disk': async (bytes) => openAsBlob(await onDisk(bytes)),
  'a source of its own': async (bytes) => new BytesSource(bytes),
  'a URL': async (bytes) => (await FileServer.start({ '/a.lmsp': bytes })).url('/a.lmsp'),
  'a URL without ranges': async (bytes) => {
    const server = await FileServer.start(
      { '/a.lmsp': bytes },
      {
        misbehave: (request) => {
          delete request.headers.range;
          return false;
        },
      },
    );
    return server.url('/a.lmsp').replace('http:', 'HTTP:');
  },
};

async function onDisk(bytes: Uint8Array): Promise<string> {
  const path = join(await tempDir(), 'a.lmsp');
  await writeFile(path, bytes);
  return path;
}

describe('[R2] openRecording', () => {
  test.each(Object.keys(SOURCES))('gives the same events and states from %s', async (name) => {
    for (const { bytes, every, digest } of recordings) {
      const source = await SOURCES[name]?.(bytes);
      const tape = await openRecording(source as TapeSource);
      expect(await digestOf(tape, every)).toEqual(digest);
      await tape.close();
    }
  });

  test('the digests have something to compare', () => {
    for (const { digest } of recordings) {
      expect(digest.events.length).toBeGreaterThan(200);
      expect(digest.filtered).toHaveLength(20);
      expect(new Set(digest.states.map((states) => JSON.stringify(states))).size).toBeGreaterThan(3);
    }
  });
});

describe('[R2] a recording at a URL', () => {
  test('opens in one request when its index is in the tail, else in two', async () => {
    for (const [at, { bytes, digest }] of recordings.entries()) {
      const server = await FileServer.start({ '/a.lmsp': bytes });
      const { duration, players, checkpoints, complete } = await openRecording(server.url('/a.lmsp'));
      expect(digest.about).toMatchObject({ duration, players, checkpoints, complete });
      expect(server.requests).toHaveLength(at + 1);
    }
  });

  test('takes one request for each seek, none for what is here already', async () => {
    const [small, large] = recordings as [(typeof recordings)[0], (typeof recordings)[0]];
    const server = await FileServer.start({ '/small.lmsp': small.bytes, '/large.lmsp': large.bytes });
    const tape = await openRecording(server.url('/large.lmsp'));
    for (const share of [0.5, 0.01, 0.95, 0.6, 0.3]) {
      const before = server.requests.length;
      await tape.statesAt(tape.duration * share);
      expect(server.requests.length - before, `${share}: ${server.requests}`).toBeLessThanOrEqual(1);
    }
    const whole = await openRecording(server.url('/small.lmsp'));
    const before = server.requests.length;
    await whole.statesAt(whole.duration / 2);
    expect(server.requests.length).toBe(before);
  });

  test('is played with few requests, and no byte of its index is asked for twice', async () => {
    const [, { bytes }] = recordings as [(typeof recordings)[0], (typeof recordings)[0]];
    const server = await FileServer.start({ '/a.lmsp': bytes });
    const tape = await openRecording(server.url('/a.lmsp'));
    let events = 0;
    for await (const _ of tape.events()) events++;
    expect(events).toBe(tape.eventCount);
    // Tail, index, the first block, all that follow it.
    expect(server.requests).toHaveLength(4);
    const [, index = ''] = server.requests;
    expect(Number(index.split('-').at(-1))).toBe(bytes.length - 64 * 1024 - 1);
  });

  test('asks where redirects led to, and again at the start when that is gone', async () => {
    const [, { bytes }] = recordings as [(typeof recordings)[0], (typeof recordings)[0]];
    let key = 1;
    const server = await FileServer.start(
      { '/1.lmsp': bytes, '/2.lmsp': bytes },
      {
        misbehave: ({ url }, response) => {
          if (url !== '/a.lmsp') return false;
          response.writeHead(302, { location: `/${key}.lmsp` }).end();
          return true;
        },
      },
    );
    const tape = await openRecording(server.url('/a.lmsp'));
    await tape.statesAt(1);
    expect(server.requests.map((line) => line.split(' ')[1])).toEqual(['/a.lmsp', '/1.lmsp', '/1.lmsp', '/1.lmsp']);
    server.files.delete('/1.lmsp');
    key = 2;
    await tape.statesAt(tape.duration * 0.4);
    expect(server.requests.slice(4).map((line) => line.split(' ')[1])).toEqual(['/1.lmsp', '/a.lmsp', '/2.lmsp']);
  });

  test('that does not exist is named once', async () => {
    const server = await FileServer.start({});
    const url = server.url('/nothing.lmsp');
    await expect(openRecording(url)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `${url}: the server answered with status 404`,
    });
  });
});
