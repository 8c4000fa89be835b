import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FOOTER_BYTES } from '@gametape/shared';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demoRecording } from './demo-recording.ts';
import { gametape } from './gametape.ts';

const recording = demoRecording(11);

let directory: string;
let json: string;
let lmsp: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-analysis-'));
  json = join(directory, 'demo.json');
  lmsp = join(directory, 'demo.lmsp');
  await writeFile(json, JSON.stringify(recording));
  expect(await gametape(['convert', json, '-o', lmsp])).toMatchObject({ code: 0, stderr: '' });
});
afterAll(() => rm(directory, { recursive: true }));

/** The demo, after `change`, as a file of the seed's JSON. */
async function variant(name: string, change: (copy: typeof recording) => void): Promise<string> {
  const copy = structuredClone(recording);
  change(copy);
  const path = join(directory, name);
  await writeFile(path, JSON.stringify(copy));
  return path;
}

async function damaged(): Promise<string> {
  const bytes = await readFile(lmsp);
  bytes[200] = (bytes[200] ?? 0) ^ 0x10;
  const path = join(directory, 'damaged.lmsp');
  await writeFile(path, bytes);
  return path;
}

async function cutOff(): Promise<string> {
  const path = join(directory, 'cut.lmsp');
  const bytes = await readFile(lmsp);
  // Without its last index too: that one tells how the recording ended.
  await writeFile(path, bytes.subarray(0, Number(bytes.readBigUInt64LE(bytes.length - FOOTER_BYTES))));
  return path;
}

describe('stats', () => {
  test('prints one object that agrees with info', async () => {
    const { code, stdout, stderr } = await gametape(['stats', lmsp, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const stats = JSON.parse(stdout);
    const info = JSON.parse((await gametape(['info', lmsp, '--json'])).stdout);
    for (const name of ['recordingId', 'room', 'profile', 'createdAt', 'durationS', 'events', 'bytes', 'format']) {
      expect(stats[name], name).toEqual(info[name]);
    }
    expect(stats.checkpoints).toEqual(info.checkpoints);
    expect(stats).toMatchObject({
      file: lmsp,
      finished: true,
      complete: true,
      bytesPerEvent: info.bytes / info.events,
    });
    const messages = recording.events.filter(({ event }) => event.type === 'player_message').length;
    expect(stats.players.reduce((sum: number, { messages: own }: { messages: number }) => sum + own, 0)).toBe(messages);
    expect(stats.types.player_message).toBe(messages);
    expect(stats.tests.points.length).toBeGreaterThan(2);
  });

  test('is the same whatever the format, but for the bytes', async () => {
    const [a, b] = await Promise.all([lmsp, json].map((path) => gametape(['stats', path, '--json'])));
    const [binary, text] = [JSON.parse(a?.stdout ?? ''), JSON.parse(b?.stdout ?? '')];
    expect({ ...text, file: '', format: '', bytes: 0, bytesPerEvent: 0 }).toEqual({
      ...{ ...binary, file: '', format: '', bytes: 0, bytesPerEvent: 0 },
    });
  });

  test('is one readable screen without --json', async () => {
    const { code, stdout } = await gametape(['stats', lmsp]);
    expect(code).toBe(0);
    expect(stdout.split('\n').length).toBeLessThan(40);
    expect(stdout).toMatch(/^player +events +active +idle/m);
    expect(stdout).toMatch(/^typing +characters +a minute +words\/min/m);
    expect(stdout).toMatch(/^tests +passing/m);
    expect(stdout).toMatch(/^keystroke +\d+/m);
    expect(stdout).not.toContain('\u001b');
    for (const line of stdout.split('\n')) expect(line).toBe(line.trimEnd());
  });

  test('takes a player and a span of time', async () => {
    const inside = recording.events.filter(
      ({ timestamp, event }) => timestamp >= 5 && timestamp < 20 && event.player_id === 'bob',
    );
    const args = ['--player', 'bob', '--from', '5', '--to', '20'];
    const { stdout } = await gametape(['stats', lmsp, ...args, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ events: inside.length, asked: { from: 5, to: 20, player: 'bob' }, size: null, bytesPerEvent: null },
    });
    expect((await gametape(['stats', lmsp, ...args])).stdout).toContain('part     player bob, from 5 s to 20 s');
    expect(await gametape(['stats', lmsp, '--player', 'eve'])).toMatchObject({
      ...{ code: 1, stdout: '', stderr: expect.stringContaining('there is no player eve') },
    });
  });

  test('[R3] says when a recording is damaged or was never finished', async () => {
    expect(await gametape(['stats', await damaged()])).toMatchObject({
      ...{ code: 5, stdout: '', stderr: expect.stringContaining('block 0 at byte 16') },
    });
    const { code, stdout, stderr } = await gametape(['stats', await cutOff(), '--json']);
    expect(code).toBe(0);
    expect(stderr).toContain('never finished');
    expect(JSON.parse(stdout)).toMatchObject({ finished: false, events: recording.events.length });
  });

  test('[T6] cat and state say that a recording that was never finished is in the order of arrival', async () => {
    const path = await cutOff();
    for (const args of [
      ['cat', path],
      ['state', path, '--at', '1'],
    ]) {
      expect(await gametape(args)).toMatchObject({ code: 0, stderr: expect.stringContaining('gametape recover') });
    }
  });

  test('of a recording without events, and of names that would take over a terminal', async () => {
    const empty = await variant('empty.json', (copy) => {
      copy.events = [];
      copy.checkpoints = {};
    });
    expect(await gametape(['stats', empty])).toMatchObject({ code: 0, stderr: '' });
    const evil = '\u001b[2J\u001b]0;mine\u0007\n\u202e';
    const hostile = await variant('hostile.json', (copy) => {
      for (const { event, game_state } of copy.events) {
        if (event.player_id !== 'bob') continue;
        event.player_id = evil;
        game_state.player_id = evil;
      }
    });
    for (const args of [
      ['stats', hostile],
      ['diff', json, hostile],
    ]) {
      const { stdout } = await gametape(args);
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });
});

describe('diff', () => {
  test('[L2] of any two formats of one session says equal, and exits with 0', async () => {
    for (const suffix of ['lmsp.gz', 'json', 'ndjson']) {
      const converted = join(directory, `converted.${suffix}`);
      expect(await gametape(['convert', lmsp, '-o', converted])).toMatchObject({ code: 0 });
      expect(await gametape(['diff', lmsp, converted]), suffix).toMatchObject({
        ...{ code: 0, stderr: '', stdout: expect.stringMatching(/^equal: \d+ events equal, \d+ states compared\n$/) },
      });
    }
  });

  test('says what differs, and exits with 5', async () => {
    const other = await variant('other.json', ({ events }) => {
      (events[30]?.event.data as Record<string, unknown>).extra = 'new';
      events.splice(100, 1);
    });
    const { code, stdout, stderr } = await gametape(['diff', json, other, '--ignore', 'checkpoints']);
    expect({ code, stderr }).toEqual({ code: 5, stderr: '' });
    expect(stdout).toMatch(/event 30 \w+ changed\n +extra\n +- \(none\)\n +\+ "new"\n/);
    expect(stdout).toMatch(/event 100 \w+ is only in a\n/);
    const found = JSON.parse((await gametape(['diff', other, json, '--json', '--limit', '1'])).stdout);
    expect(found).toMatchObject({
      equal: false,
      a: { file: other, format: 'json', events: recording.events.length - 1 },
      b: { file: json, events: recording.events.length, complete: true },
      events: { changed: 1, removed: 0, added: 1 },
      differences: [expect.anything()],
    });
    expect(await gametape(['diff', json, other, '--limit', '0'])).toMatchObject({
      ...{ code: 5, stdout: expect.stringContaining('more: list them with --limit') },
    });
  });

  test('takes times loosely when told to', async () => {
    const later = await variant('later.json', ({ events }) => {
      for (const event of events) event.timestamp += 0.5;
    });
    const ignore = ['--ignore', 'duration'];
    expect((await gametape(['diff', json, later, ...ignore])).code).toBe(5);
    expect((await gametape(['diff', json, later, ...ignore, '--times', '0.5'])).code).toBe(0);
    expect((await gametape(['diff', json, later, '--times', 'ignore'])).code).toBe(0);
  });

  test('reads one of them from standard input', async () => {
    expect(await gametape(['diff', '-', json], { stdin: await readFile(lmsp) })).toMatchObject({ code: 0 });
  });

  test('[R3] does not take a damaged or missing file for an equal one', async () => {
    const bad = await damaged();
    for (const pair of [
      [bad, lmsp],
      [lmsp, bad],
      [bad, bad],
    ]) {
      expect(await gametape(['diff', ...pair])).toMatchObject({
        ...{ code: 5, stdout: '', stderr: expect.stringContaining('damaged.lmsp') },
      });
    }
    expect(await gametape(['diff', lmsp, join(directory, 'none.lmsp')])).toMatchObject({ code: 1, stdout: '' });
    const { code, stdout, stderr } = await gametape(['diff', lmsp, await cutOff(), '--json']);
    expect(code).toBe(5);
    expect(stderr).toContain('never finished');
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ differences: [{ kind: 'header', key: 'complete', a: 'true', b: 'false' }], events: { removed: 0 } },
    });
  });
});
