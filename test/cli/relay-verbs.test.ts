import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connect, spectate } from '@gametape/client-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { waitFor } from '../support/wait-for.ts';
import { gametape, startGametape, stop } from './gametape.ts';

const MAIN = fileURLToPath(new URL('../../server/dist/cli/main.js', import.meta.url));

let directory: string;
let relay: Awaited<ReturnType<typeof startGametape>>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-bots-'));
  await Promise.all(['ann', 'bob'].map((name, index) => writeTrace(`${name}.json`, 1_200 + index)));
  relay = await startGametape(['serve', '--port', '0', '--data', join(directory, 'data'), '--json']);
});
afterAll(async () => {
  await stop(relay.child);
  await rm(directory, { recursive: true });
});

/** A trace of somebody who types lines, with every tenth edit taking something back, and an emoji now and then. */
async function writeTrace(name: string, edits: number): Promise<void> {
  const points: string[] = ['#'];
  const txns: { patches: [number, number, string][] }[] = [];
  for (let i = 0; i < edits; i++) {
    const at = i % 50 === 49 ? Math.floor(points.length / 2) : points.length;
    const char = i % 97 === 0 ? '😀' : i % 31 === 30 ? '\n' : String.fromCharCode(97 + (i % 26));
    const isBack = i % 10 === 9;
    txns.push({ patches: [isBack ? [at - 1, 1, ''] : [at, 0, char]] });
    if (isBack) points.splice(at - 1, 1);
    else points.splice(at, 0, char);
  }
  await writeFile(join(directory, name), JSON.stringify({ startContent: '#', endContent: points.join(''), txns }));
}

async function endContentOf(name: string): Promise<string> {
  return (JSON.parse(await readFile(join(directory, name), 'utf8')) as { endContent: string }).endContent;
}

const traces = () => ['--trace', join(directory, 'ann.json'), join(directory, 'bob.json')];

interface Report {
  readonly room: string;
  readonly players: string[];
  readonly events: number;
  readonly recording: { readonly id: string; readonly path: string; readonly complete: boolean };
}

describe('bots', () => {
  test('type their traces into one complete recording that verifies', async () => {
    const { code, stdout, stderr } = await gametape([
      'bots',
      '--url',
      relay.ws,
      '--room',
      'full',
      ...traces(),
      '--speed',
      'max',
      '--end',
      '--json',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout) as Report;
    // Of each bot: 1,200 keystrokes, 6 test runs with their outcome, 4 messages, 1 checkpoint; bob types one edit more.
    expect(report).toMatchObject({ room: 'full', players: ['ann', 'bob'], events: 2 * (1_200 + 12 + 4 + 1) + 1 });
    expect(report.recording).toMatchObject({
      complete: true,
      path: expect.stringContaining(`${report.recording.id}.lmsp`),
    });
    const { path } = report.recording;
    expect(await gametape(['verify', path])).toMatchObject({ code: 0 });
    const info = JSON.parse((await gametape(['info', path, '--json'])).stdout) as { checkpoints: { name: string }[] };
    expect(info.checkpoints.map(({ name }) => name).sort()).toEqual(['ann-1000', 'bob-1000']);
    const states = JSON.parse((await gametape(['state', path, '--at', '9999', '--json'])).stdout);
    for (const player of ['ann', 'bob']) {
      const { current_code, cursor_position, tests_passing, session_duration } = states[player];
      expect(current_code).toBe(await endContentOf(`${player}.json`));
      expect(cursor_position).toHaveLength(2);
      expect(tests_passing).toBeGreaterThan(0);
      expect(session_duration).toBeGreaterThan(0);
    }
    const count = async (type: string) =>
      (await gametape(['cat', path, '--type', type])).stdout.trimEnd().split('\n').length;
    expect(await count('keystroke')).toBe(2_401);
    expect(await count('test_run')).toBe(12);
    expect(await count('player_message')).toBe(8);
  });

  test('take the time that their gaps say, divided by the speed, the same for the same seed', async () => {
    const started = performance.now();
    const args = [
      'bots',
      '--url',
      relay.ws,
      '--room',
      'timed',
      ...traces(),
      '--limit',
      '100',
      '--speed',
      '10',
      '--seed',
      '5',
      '--json',
      '--end',
    ];
    const { stdout } = await gametape(args);
    // 100 edits at a median of 150 ms, a tenth of that.
    expect(performance.now() - started).toBeGreaterThan(1_000);
    const { recording } = JSON.parse(stdout) as Report;
    const { durationS } = JSON.parse((await gametape(['info', recording.path, '--json'])).stdout) as {
      durationS: number;
    };
    expect(durationS).toBeGreaterThan(1);
    expect(durationS).toBeLessThan(6);
  });

  test('without --end leave, and the room goes on', async () => {
    const { code, stdout } = await gametape([
      'bots',
      '--url',
      relay.ws,
      '--room',
      'open',
      ...traces(),
      '--limit',
      '20',
      '--speed',
      'max',
      '--json',
    ]);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Report).recording).toMatchObject({ path: null, complete: null });
    const live = await spectate({ url: relay.ws, room: 'open' });
    expect([...live.players.keys()].sort()).toEqual(['ann', 'bob']);
    live.close();
  });

  test('say where no relay answers', async () => {
    const { code, stderr } = await gametape([
      'bots',
      '--url',
      'ws://127.0.0.1:9',
      '--room',
      'x',
      ...traces(),
      '--json',
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'UNREACHABLE', message: expect.stringContaining('127.0.0.1:9') },
    });
  });

  test('stop when somebody else ends their room', async () => {
    const bots = gametape(['bots', '--url', relay.ws, '--room', 'taken', ...traces(), '--json']);
    (await untilRoom(relay.ws, 'taken')).close();
    const other = await connect({ url: relay.ws, room: 'taken', player: 'eve' });
    await other.end();
    const { code, stdout, stderr } = await bots;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'SESSION_CLOSED' } });
  });

  test('leave when they are interrupted', async () => {
    const args = ['bots', '--url', relay.ws, '--room', 'interrupted', ...traces()];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    const errors = text(child.stderr);
    const live = await untilRoom(relay.ws, 'interrupted');
    const seen = (wanted: string) => {
      return new Promise<void>((resolve) => live.on('event', ({ type }) => type === wanted && resolve()));
    };
    const left = seen('player_leave');
    await seen('keystroke');
    // Those who watch hear of it later than the process may live.
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    await left;
    await exited;
    expect({ code: child.exitCode, errors: await errors }).toEqual({ code: 130, errors: '' });
    live.close();
  });

  test('[J4] go on by themselves after kill -9 of the relay, and nothing is lost', async () => {
    const port = String(await freePort());
    const serve = ['serve', '--port', port, '--data', join(directory, 'killed'), '--json'];
    const first = await startGametape(serve);
    const url = `ws://127.0.0.1:${port}`;
    const args = [
      'bots',
      '--url',
      url,
      '--room',
      'killed',
      ...traces(),
      '--limit',
      '600',
      '--speed',
      '40',
      '--end',
      '--json',
    ];
    const bots = gametape(args);
    const live = await untilRoom(url, 'killed');
    await new Promise<void>((resolve) => live.on('event', ({ seq }) => seq > 200 && resolve()));
    live.close();
    await stop(first.child, 'SIGKILL');
    const second = await startGametape(serve);
    const { code, stdout, stderr } = await bots;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { recording } = JSON.parse(stdout) as Report;
    expect(recording.complete).toBe(true);
    expect((await gametape(['cat', recording.path, '--type', 'keystroke'])).stdout.trimEnd().split('\n')).toHaveLength(
      1_200,
    );
    expect((await gametape(['verify', recording.path])).code).toBe(0);
    expect(await stop(second.child)).toBe(0);
  });
});

describe('serve', () => {
  test('[J7] stops in order on SIGTERM with 0, on SIGINT with 130', async () => {
    for (const [signal, code] of [
      ['SIGTERM', 0],
      ['SIGINT', 130],
    ] as const) {
      const { child, http } = await startGametape([
        'serve',
        '--port',
        '0',
        '--data',
        join(directory, 'stop'),
        '--json',
      ]);
      expect((await fetch(`${http}/livez`)).status).toBe(200);
      expect(await stop(child, signal)).toBe(code);
    }
  });

  test('says that a port is taken', async () => {
    const { port } = new URL(relay.http);
    const { code, stderr } = await gametape(['serve', '--port', port, '--data', join(directory, 'taken')]);
    expect(code).toBe(1);
    expect(stderr).toContain(port);
    expect(stderr).toContain('Choose another port');
  });
});

describe('dev', () => {
  test('plays a demo of two bots, on the next free port', async () => {
    const { port } = new URL(relay.http);
    const { child, http, ws } = await startGametape([
      'dev',
      '--port',
      port,
      '--data',
      join(directory, 'dev'),
      '--json',
    ]);
    try {
      expect(Number(new URL(http).port)).toBeGreaterThan(Number(port));
      const live = await untilRoom(ws, 'demo');
      await new Promise<void>((resolve) => live.on('event', ({ type }) => type === 'keystroke' && resolve()));
      expect([...live.players.keys()].sort()).toEqual(['ann', 'bob']);
      live.close();
    } finally {
      expect(await stop(child, 'SIGINT')).toBe(130);
    }
  });

  test('[T8] a demo that somebody rewinds is followed by another; one whose data is deleted still stops', {
    timeout: 180_000,
  }, async () => {
    const data = join(directory, 'rewound');
    const { port } = new URL(relay.http);
    const { child, http, ws } = await startGametape(['dev', '--port', port, '--data', data, '--json']);
    try {
      const live = await untilRoom(ws, 'demo');
      const ended = new Promise<void>((resolve) => live.on('end', () => resolve()));
      await new Promise<void>((resolve) => live.on('event', ({ type }) => type === 'keystroke' && resolve()));
      for (const command of ['checkpoints', 'rewind']) {
        const headers = { 'content-type': 'application/json' };
        const body = JSON.stringify({ name: 'here' });
        const answer = await fetch(`${http}/v1/rooms/demo/${command}`, { method: 'POST', headers, body });
        expect(answer.ok, await answer.text()).toBe(true);
      }
      await ended;
      live.close();
      (await untilRoom(ws, 'demo')).close();
      await rm(join(data, 'journal'), { recursive: true });
    } finally {
      expect(await stop(child, 'SIGTERM')).not.toBeNull();
    }
  });
});

/** The room, as soon as there is one. */
async function untilRoom(url: string, room: string): ReturnType<typeof spectate> {
  return await waitFor(`the room ${room}`, () => spectate({ url, room }).catch(() => undefined));
}
