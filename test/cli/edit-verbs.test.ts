import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseRecording } from '@gametape/shared/lmsp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTraceRecording, TRACES } from '../support/trace-recording.ts';
import { demoRecording } from './demo-recording.ts';
import { gametape } from './gametape.ts';

const recording = demoRecording(11);

let directory: string;
let lmsp: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gametape-edit-'));
  const json = join(directory, 'demo.json');
  lmsp = join(directory, 'demo.lmsp');
  await writeFile(json, JSON.stringify({ ...recording, tags: ['mine'] }));
  expect(await gametape(['convert', json, '-o', lmsp])).toMatchObject({ code: 0 });
});
afterAll(() => rm(directory, { recursive: true }));

async function jsonOf(args: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await gametape([...args, '--json'])).stdout);
}

/** The canonical JSON of a file, which has to be one that the seed could have written. */
async function canonical(path: string): Promise<Record<string, unknown>> {
  const { stdout, code } = await gametape(['convert', path, '-o', '-', '--to', 'json']);
  expect(code).toBe(0);
  parseRecording(JSON.parse(stdout));
  return JSON.parse(stdout);
}

describe('gametape cut', () => {
  test('[L2] writes a part that verifies and whose JSON is one of the seed, with what is true of the part', async () => {
    const part = join(directory, 'part.lmsp');
    const { code, stdout, stderr } = await gametape(['cut', lmsp, '-o', part, '--from', '5', '--to', '15.5', '--json']);
    expect(code).toBe(0);
    expect(stderr).toContain('part.lmsp: ');
    const inside = recording.events.filter(({ timestamp }) => timestamp >= 5 && timestamp < 15.5);
    expect(JSON.parse(stdout)).toMatchObject({
      output: part,
      from: 5,
      to: 15.5,
      durationS: 10.5,
      events: inside.length,
      losses: [],
    });
    expect(await gametape(['verify', part])).toMatchObject({ code: 0 });
    const json = await canonical(part);
    expect(json).toMatchObject({
      version: '1.0.0',
      player_id: 'ann',
      duration: 10.5,
      tags: ['mine'],
      created_at: 1_700_000_005.5,
    });
    expect(json.source).toMatchObject([{ verb: 'cut', from: 5_000_000, to: 15_500_000 }]);
    const events = json.events as typeof recording.events;
    expect(events.map(({ event, game_state }) => [event, game_state])).toEqual(
      inside.map(({ event, game_state }) => [event, game_state]),
    );
    for (const [i, { timestamp }] of events.entries())
      expect(timestamp).toBeCloseTo((inside[i]?.timestamp ?? 0) - 5, 6);
  });

  test('takes checkpoints, writes to standard output, and says what is wrong', async () => {
    const names = Object.keys(recording.checkpoints as object);
    const { stdout, code } = await gametape([
      'cut',
      lmsp,
      '-o',
      join(directory, 'cp.lmsp'),
      '--from',
      `@${names[0]}`,
      '--json',
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).from).toBe(
      recording.events[(recording.checkpoints as Record<string, number>)[names[0] ?? ''] ?? 0]?.timestamp,
    );
    expect((await gametape(['cat', join(directory, 'cp.lmsp')])).stdout.split('\n')[0]).toMatch(
      /^ +0\.000 .*checkpoint/,
    );
    const wrong = async (...args: string[]) =>
      (await gametape(['cut', lmsp, '-o', join(directory, 'no.lmsp'), ...args])).stderr;
    expect(await wrong('--from', '@nowhere')).toContain('there is no checkpoint nowhere');
    expect(await wrong('--from', '7', '--to', '3')).toContain('the part would end at 3 s');
    expect(await wrong('--from', '4000')).toContain('there is nothing from 4000 s on');
    expect(await wrong('--from', 'x')).toContain('Expected seconds from 0, such as 12.5, or a checkpoint');
    expect(existsSync(join(directory, 'no.lmsp'))).toBe(false);
    expect((await gametape(['cut', lmsp, '-o', join(directory, 'no.json')])).stderr).toContain('ends in .lmsp');
    expect(await gametape(['cut', lmsp, '-o', lmsp])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--overwrite'),
    });
  });

  test('of an unfinished recording keeps what is whole, and says that something is lost; of a damaged one writes nothing', async () => {
    const bytes = await readFile(lmsp);
    const unfinished = join(directory, 'unfinished.lmsp');
    await writeFile(unfinished, bytes.subarray(0, bytes.length - 300));
    const output = join(directory, 'of-unfinished.lmsp');
    const made = await gametape(['cut', unfinished, '-o', output, '--from', '5']);
    expect(made).toMatchObject({ code: 3, stderr: expect.stringContaining('never finished') });
    expect(await gametape(['verify', output])).toMatchObject({ code: 0 });
    expect((await jsonOf(['info', output])).complete).toBe(false);
    const damaged = join(directory, 'damaged.lmsp');
    bytes[300] = (bytes[300] ?? 0) ^ 1;
    await writeFile(damaged, bytes);
    expect((await gametape(['cut', damaged, '-o', join(directory, 'of-damaged.lmsp'), '--from', '5'])).code).toBe(5);
    expect(existsSync(join(directory, 'of-damaged.lmsp'))).toBe(false);
  });
});

describe('gametape merge', () => {
  test('puts parts back together', async () => {
    const parts = ['a.lmsp', 'b.lmsp', 'c.lmsp'].map((name) => join(directory, name));
    const ranges = [
      ['--to', '9.25'],
      ['--from', '9.25', '--to', '20'],
      ['--from', '20'],
    ];
    for (const [i, range] of ranges.entries()) {
      expect((await gametape(['cut', lmsp, '-o', parts[i] ?? '', ...range])).code).toBe(0);
    }
    const whole = join(directory, 'whole.lmsp');
    const { code, stdout } = await gametape(['merge', ...parts.reverse(), '-o', whole, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ repeated: 0, events: recording.events.length, losses: [] });
    expect(await gametape(['verify', whole])).toMatchObject({ code: 0 });
    const { source, ...json } = await canonical(whole);
    expect(source).toHaveLength(3);
    expect(json).toEqual({ ...recording, tags: ['mine'] });
    const hole = await gametape(['merge', parts[0] ?? '', parts[2] ?? '', '-o', join(directory, 'hole.lmsp')]);
    expect(hole).toMatchObject({ code: 3, stderr: expect.stringContaining('none of the recordings has that') });
    expect(await gametape(['verify', join(directory, 'hole.lmsp')])).toMatchObject({ code: 0 });
  });
});

describe('gametape redact', () => {
  test("takes out a player's name and text, and says so", async () => {
    const output = join(directory, 'redacted.lmsp');
    const { code, stdout, stderr } = await gametape(['redact', lmsp, '-o', output, '--player', 'ann', '--json']);
    expect({ code, losses: JSON.parse(stdout).losses }).toEqual({ code: 0, losses: [] });
    expect(stderr).not.toMatch(/\bann\b/);
    expect(await gametape(['verify', output])).toMatchObject({ code: 0 });
    const json = await canonical(output);
    expect(json.player_id).toBe('redacted-1');
    expect(json.redacted).toMatchObject([
      { what: 'name', player: 'redacted-1' },
      { what: 'text', player: 'redacted-1' },
    ]);
    const own = (events: typeof recording.events, player: string) =>
      events.filter(({ event }) => event.player_id === player);
    const after = own(json.events as typeof recording.events, 'redacted-1');
    const before = own(recording.events, 'ann');
    for (const [i, { game_state: state }] of after.entries()) {
      const code = before[i]?.game_state.current_code ?? '';
      expect(state.current_code).toBe(code.replaceAll(/\S/gu, (letter) => '█'.repeat(letter.length)));
      expect(state.cursor_position).toEqual(before[i]?.game_state.cursor_position);
    }
  });

  test('takes out what is looked for', async () => {
    const output = join(directory, 'matched.lmsp');
    const made = await gametape([
      'redact',
      lmsp,
      '-o',
      output,
      '--match',
      'return',
      '--match-regex',
      'de[f]',
      '--ignore-case',
    ]);
    expect(made.code).toBe(0);
    const text = JSON.stringify(await canonical(output));
    expect(text).not.toMatch(/return|def /i);
    expect(text).toContain('██████');
  });

  test.each([
    [[], 'nothing was said to be redacted'],
    [['--text'], '--name and --text are about a player'],
    [['--match', ' \n'], 'expected more than white space'],
    [['--match-regex', '(['], '--match-regex: '],
    [['--player', 'nobody'], 'there is no player nobody'],
    [['--player', 'ann', '--name', 'bob'], 'there is a player bob already'],
    [['--player', 'ann', '--name', 'a b'], 'new name: expected 1 to 64'],
    [['--player', 'ann', '--name', 'ann-2'], 'it has in it what it is to replace'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await gametape(['redact', lmsp, '-o', join(directory, 'refused.lmsp'), ...args]);
    expect(code === 1 || code === 2).toBe(true);
    expect(stderr).toContain(message);
    expect(existsSync(join(directory, 'refused.lmsp'))).toBe(false);
  });
});

describe('of a real session', () => {
  const hasTraces = existsSync(TRACES);
  if (!hasTraces) console.warn(`SKIPPED: ${fileURLToPath(TRACES)} is not there`);

  test.skipIf(!hasTraces)(
    '[R6] parts merge to the same again, and a redacted one holds nothing of what was typed',
    async () => {
      const own = join(directory, 'real');
      await mkdir(own);
      const path = join(own, 'real.lmsp');
      await writeFile(path, await makeTraceRecording('rustcode.json.gz', 2_000));
      const { durationS } = (await jsonOf(['info', path])) as { durationS: number };
      const middle = String(Math.round(durationS * 5e5) / 1e6);
      const [a, b, whole, redacted] = ['a', 'b', 'whole', 'redacted'].map((name) => join(own, `${name}.lmsp`)) as [
        string,
        string,
        string,
        string,
      ];
      expect((await gametape(['cut', path, '-o', a, '--to', middle])).code).toBe(0);
      expect((await gametape(['cut', path, '-o', b, '--from', middle])).code).toBe(0);
      expect((await gametape(['merge', b, a, '-o', whole])).code).toBe(0);
      const words = ['--match', 'self', '--match-regex', 'fn \\w+'];
      expect((await gametape(['redact', path, '-o', redacted, ...words])).code).toBe(0);
      for (const file of [a, b, whole, redacted]) expect((await gametape(['verify', file])).code).toBe(0);
      const [cat, again] = [await gametape(['cat', path, '--json']), await gametape(['cat', whole, '--json'])];
      expect(again.stdout).toBe(cat.stdout);
      const state = await gametape(['state', redacted, '--at', '1e9', '--player', 'rustcode', '--json']);
      expect(state.stdout).toContain('████');
      const { stdout } = await gametape(['convert', redacted, '-o', '-', '--to', 'ndjson']);
      expect(stdout).not.toMatch(/self|fn \w/);
    },
  );
});
