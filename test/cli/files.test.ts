import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demoRecording } from './demo-recording.ts';
import { gametape } from './gametape.ts';

const MAIN = fileURLToPath(new URL('../../server/dist/cli/main.js', import.meta.url));
const recording = demoRecording(11);

let directory: string;
let json: string;
let lmsp: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-cli-'));
  json = join(directory, 'demo.json');
  lmsp = join(directory, 'demo.lmsp');
  await writeFile(json, JSON.stringify(recording));
  expect(await gametape(['convert', json, '-o', lmsp])).toMatchObject({ code: 0, stderr: '' });
});
afterAll(() => rm(directory, { recursive: true }));

/** The demo with one byte changed. */
async function damaged(name: string, at: (bytes: Uint8Array) => number): Promise<string> {
  const bytes = await readFile(lmsp);
  const offset = at(bytes);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}

async function jsonOf(args: readonly string[]): Promise<unknown> {
  return JSON.parse((await gametape([...args, '--json'])).stdout);
}

describe('convert', () => {
  test('[L2] there and back again loses nothing', async () => {
    for (const suffix of ['lmsp.gz', 'json', 'ndjson']) {
      const there = join(directory, `there.${suffix}`);
      const back = join(directory, `back-from-${suffix}.lmsp`);
      const again = join(directory, `again-from-${suffix}.json`);
      expect(await gametape(['convert', lmsp, '-o', there])).toMatchObject({ code: 0 });
      expect(await gametape(['convert', there, '-o', back])).toMatchObject({ code: 0 });
      expect(await gametape(['convert', back, '-o', again])).toMatchObject({ code: 0 });
      expect(JSON.parse(await readFile(again, 'utf8'))).toEqual(recording);
    }
    const zipped = gunzipSync(await readFile(join(directory, 'there.lmsp.gz'))).toString();
    expect(JSON.parse(zipped)).toEqual(recording);
    expect(await readFile(join(directory, 'there.json'), 'utf8')).toContain(
      '\n  "events": [\n    {\n      "timestamp"',
    );
  });

  test('reads standard input and writes standard output', async () => {
    const { code, stdout } = await gametape(['convert', '-', '-o', '-', '--to', 'json'], {
      stdin: await readFile(lmsp),
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(recording);
  });

  test('does not overwrite unless told to, and leaves nothing behind', async () => {
    const own = join(directory, 'own');
    await mkdir(own);
    const target = join(own, 'there.json');
    await writeFile(target, 'mine');
    const refused = await gametape(['convert', lmsp, '-o', target]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('there.json: there is such a file already');
    expect(refused.stderr).toContain('--overwrite');
    expect(await readFile(target, 'utf8')).toBe('mine');
    expect((await gametape(['convert', lmsp, '-o', target, '--overwrite'])).code).toBe(0);
    expect(JSON.parse(await readFile(target, 'utf8'))).toEqual(recording);
    const failed = await gametape(['convert', await damaged('bad.lmsp', () => 200), '-o', join(own, 'bad.json')]);
    expect(failed.code).toBe(5);
    expect(await readdir(own)).toEqual(['there.json']);
  });

  test('can put a file in its own place', async () => {
    const path = join(directory, 'self.json');
    await writeFile(path, JSON.stringify(recording));
    expect((await gametape(['convert', path, '-o', path, '--overwrite'])).code).toBe(0);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(recording);
  });

  test('says when a torn end was left out', async () => {
    const { stdout } = await gametape(['convert', lmsp, '-o', '-', '--to', 'ndjson']);
    const torn = join(directory, 'torn.ndjson');
    await writeFile(torn, stdout.slice(0, -20));
    const { code, stderr } = await gametape(['convert', torn, '-o', join(directory, 'torn.lmsp')]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/torn\.ndjson: line \d+ at byte \d+ is cut off/);
    expect((await gametape(['verify', torn])).code).toBe(5);
  });

  test('needs to know the format', async () => {
    expect(await gametape(['convert', lmsp, '-o', '-'])).toMatchObject({ code: 2, stdout: '' });
    const { code, stderr } = await gametape(['convert', lmsp, '-o', join(directory, 'x.txt')]);
    expect(code).toBe(1);
    expect(stderr).toContain('x.txt: the suffix names no format');
    expect(stderr).toContain('.lmsp, .lmsp.gz, .json or .ndjson');
  });
});

describe('info', () => {
  test('[R2] says what the recording holds', async () => {
    const info = await jsonOf(['info', lmsp]);
    const count = (player: string) => recording.events.filter(({ event }) => event.player_id === player).length;
    const players = recording.events[0]?.event.player_id === 'ann' ? ['ann', 'bob'] : ['bob', 'ann'];
    expect(info).toMatchObject({
      format: 'lmsp',
      version: 2,
      createdAt: '2023-11-14T22:13:20.500Z',
      durationS: 60.25,
      complete: true,
      players: players.map((id) => ({ id, events: count(id), expected: count(id), received: count(id), gaps: [] })),
      events: recording.events.length,
      blocks: 1,
      bytes: (await readFile(lmsp)).length,
    });
    const { checkpoints } = info as { checkpoints: { name: string; timeS: number; eventIndex: number }[] };
    expect(Object.fromEntries(checkpoints.map(({ name, eventIndex }) => [name, eventIndex]))).toEqual(
      recording.checkpoints,
    );
    for (const { timeS, eventIndex } of checkpoints) expect(timeS).toBe(recording.events[eventIndex]?.timestamp);
  });

  test('tells the format by content first, by name second', async () => {
    const misnamed = join(directory, 'misnamed.lmsp');
    await writeFile(misnamed, gzipSync(JSON.stringify(recording)));
    expect(await jsonOf(['info', misnamed])).toMatchObject({ format: 'lmsp.gz', version: '1.0.0' });
    expect(await jsonOf(['info', json])).toMatchObject({ format: 'json', events: recording.events.length });
  });

  test('gives the same recording id for the same text', async () => {
    expect(await jsonOf(['info', json])).toEqual(await jsonOf(['info', json]));
  });

  test.each([
    ['empty', '', 1, 'BAD_RECORDING', 'the file is empty'],
    ['no recording', 'hello', 1, 'FORMAT_UNKNOWN', 'expected a recording'],
    ['version 1, cut off', Buffer.from('LMSP\x01\0\0\0\x10\0\0\0\x80\x04', 'latin1'), 5, 'DAMAGED', 'PROTO at byte 12'],
    ['version 7', Buffer.from('LMSP\x07\0\0\0\0\0\0\0\0\0\0\0', 'latin1'), 1, 'VERSION_UNKNOWN', 'found 7'],
    ['gzip cut off', gzipSync(JSON.stringify(recording)).subarray(0, 900), 5, 'DAMAGED', 'not a whole gzip file'],
    ['a bad event', JSON.stringify({ ...recording, checkpoints: {}, events: [{}] }), 1, 'BAD_', 'event 0'],
  ])('of a file that is %s names what is wrong', async (name, bytes, code, errorCode, message) => {
    const path = join(directory, 'strange');
    await writeFile(path, bytes);
    const { stderr, ...result } = await gametape(['info', path, '--json']);
    expect(result, `${name}: ${stderr}`).toEqual({ code, stdout: '' });
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string; hint: string } };
    expect(error.code).toContain(errorCode);
    expect(error.message).toContain(path);
    expect(error.message).toContain(message);
    expect(error.hint).not.toBe('');
  });

  test('[S4] takes any time that a file says it was made at', async () => {
    for (const [createdAt, shown] of [
      [1e20, '+275760-09-13T00:00:00.000Z'],
      [-1e300, '-271821-04-20T00:00:00.000Z'],
    ] as const) {
      const path = join(directory, 'made-some-day.json');
      await writeFile(path, JSON.stringify({ ...recording, created_at: createdAt }));
      const binary = join(directory, 'made-some-day.lmsp');
      expect(await gametape(['convert', path, '-o', binary, '--overwrite'])).toMatchObject({ code: 0, stderr: '' });
      for (const verb of ['info', 'stats']) {
        expect(JSON.parse((await gametape([verb, binary, '--json'])).stdout)).toMatchObject({ createdAt: shown });
      }
      expect(await gametape(['diff', path, binary])).toMatchObject({ code: 0 });
    }
  });

  test('of a file that is not there says so', async () => {
    const { code, stderr } = await gametape(['info', join(directory, 'nothing.lmsp')]);
    expect(code).toBe(1);
    expect(stderr).toContain('nothing.lmsp: there is no such file');
  });
});

describe('verify', () => {
  test('[R4] finds nothing wrong with an intact file of any format', async () => {
    for (const path of [lmsp, json]) {
      expect(await gametape(['verify', path])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('intact and complete'),
      });
    }
    expect(await jsonOf(['verify', lmsp])).toMatchObject({
      intact: true,
      finished: true,
      complete: true,
      events: recording.events.length,
      checkpoints: 4,
      problems: [],
    });
  });

  test.each([
    ['header', () => 5, 'header'],
    ['block header', () => 16 + 40, 'block 0 at byte 16'],
    ['block payload', () => 16 + 92 + 50, 'block 0 at byte 16'],
    ['index', (bytes: Uint8Array) => bytes.length - 60, 'index'],
    ['footer', (bytes: Uint8Array) => bytes.length - 20, 'footer'],
  ])('[R3] finds a flipped bit in the %s and says where', async (name, at, where) => {
    const path = await damaged(`${name}.lmsp`, at);
    const { code, stdout } = await gametape(['verify', path, '--json']);
    expect(code).toBe(5);
    const { intact, problems } = JSON.parse(stdout) as { intact: boolean; problems: { where: string }[] };
    expect(intact).toBe(false);
    expect(problems.map((problem) => problem.where).join()).toContain(where);
    expect((await gametape(['verify', path])).stdout).toContain('wrong  ');
  });

  test('[R3] a file that is cut off is reported, with what is intact of it', async () => {
    const path = join(directory, 'cut.lmsp');
    const bytes = await readFile(lmsp);
    // The footer alone is gone: the index still tells everything.
    await writeFile(path, bytes.subarray(0, -10));
    expect(await gametape(['verify', path])).toMatchObject({ code: 5, stdout: expect.stringContaining('footer') });
    expect(await jsonOf(['info', path])).toMatchObject({ complete: true, events: recording.events.length });
    // A part of the index is gone too.
    await writeFile(path, bytes.subarray(0, -100));
    expect(await gametape(['verify', path])).toMatchObject({
      code: 5,
      stdout: expect.stringContaining('never finished'),
    });
    expect(await jsonOf(['info', path])).toMatchObject({
      finished: false,
      complete: false,
      events: recording.events.length,
    });
    const converted = await gametape(['convert', path, '-o', join(directory, 'cut.json')]);
    expect(converted).toMatchObject({ code: 3, stderr: expect.stringContaining('never finished') });
  });
});

describe('cat', () => {
  test('[L2] prints the events of the canonical JSON, one a line', async () => {
    const { stdout } = await gametape(['cat', lmsp, '--json', '--state']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ index, seq, ...event }) => event)).toEqual(recording.events);
    expect(events.map(({ index }) => index)).toEqual([...recording.events.keys()]);
  });

  test('leaves the states out unless asked for them', async () => {
    const { stdout } = await gametape(['cat', json, '--json', '--type', 'checkpoint']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const expected = recording.events.flatMap(({ timestamp, event }, index) =>
      event.type === 'checkpoint' ? [{ index, seq: index + 1, timestamp, event }] : [],
    );
    expect(lines).toEqual(expected);
  });

  test('filters by player and time, the end exclusive', async () => {
    const from = recording.events[20]?.timestamp ?? 0;
    const to = recording.events[40]?.timestamp ?? 0;
    const wanted = recording.events.filter(({ timestamp, event }) => {
      return event.player_id === 'bob' && timestamp >= from && timestamp < to;
    });
    for (const state of [[], ['--state']]) {
      const args = ['cat', lmsp, '--player', 'bob', '--from', String(from), '--to', String(to), '--json', ...state];
      expect((await gametape(args)).stdout.trimEnd().split('\n')).toHaveLength(wanted.length);
    }
  });

  test('is readable without --json', async () => {
    const { stdout } = await gametape(['cat', lmsp]);
    expect(stdout).toMatch(/^ +\d+\.\d{3} {2}(ann|bob) {2}keystroke {2}char="d" modifiers=\[\]$/m);
    expect(stdout).not.toContain('\u001b');
  });

  test('of a player that is not there names those who are', async () => {
    const { code, stderr } = await gametape(['cat', lmsp, '--player', 'eve']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/there is no player eve; its players are (ann, bob|bob, ann)/);
  });

  test.skipIf(!existsSync('/dev/full'))('says so where there is no room for what it prints', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [MAIN, 'cat', lmsp], { stdio: ['ignore', full, 'pipe'] });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    closeSync(full);
    expect({ code, said }).toEqual({ code: 1, said: expect.stringMatching(/ENOSPC.*\n.*The disk is full/) });
  });

  test('is silent when its reader has seen enough', async () => {
    const child = spawn('/bin/sh', [
      '-c',
      '"$0" "$@" | head -1',
      process.execPath,
      MAIN,
      'cat',
      lmsp,
      '--json',
      '--state',
    ]);
    const output = { out: '', err: '' };
    child.stdout.on('data', (chunk) => {
      output.out += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      output.err += String(chunk);
    });
    await once(child, 'close');
    expect(output.err).toBe('');
    expect(JSON.parse(output.out)).toMatchObject({ index: 0 });
  });
});

describe('state', () => {
  test('[V3] is what the events before led to, for all players or one', async () => {
    const at = recording.events[150]?.timestamp ?? 0;
    const last = (player: string) =>
      recording.events.findLast((e) => e.timestamp <= at && e.event.player_id === player);
    // session_duration follows the clock of the player's last event (D5).
    const expected = { ann: last('ann')?.game_state, bob: last('bob')?.game_state };
    expect(await jsonOf(['state', lmsp, '--at', String(at)])).toEqual(expected);
    expect(await jsonOf(['state', json, '--at', String(at), '--player', 'bob'])).toEqual(expected.bob);
  });

  test('past the end is the last', async () => {
    const last = recording.events.findLast(({ event }) => event.player_id === 'ann');
    expect(await jsonOf(['state', lmsp, '--at', '99999', '--player', 'ann'])).toEqual(last?.game_state);
  });

  test('of nobody is an error', async () => {
    expect(await gametape(['state', lmsp, '--at', '1', '--player', 'eve'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('eve'),
    });
    expect(await gametape(['state', lmsp, '--at', 'soon'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Expected seconds'),
    });
  });
});
