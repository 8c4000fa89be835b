import { describe, expect, test } from 'vitest';
import { gametape } from './gametape.ts';

const VERBS = [
  ...['dev', 'serve', 'rooms', 'bots', 'info', 'verify', 'cat', 'state', 'stats', 'diff'],
  ...['play', 'tail', 'convert', 'cut', 'merge', 'redact'],
];

describe('the command line', () => {
  test.each(VERBS)('%s --help explains itself, with examples', async (verb) => {
    const { code, stdout, stderr } = await gametape([verb, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: gametape ${verb}`);
    expect(stdout).toMatch(/Examples:\n {2}gametape|Examples:\n {2}curl/);
  });

  test('lists its verbs', async () => {
    const { code, stdout } = await gametape(['--help']);
    expect(code).toBe(0);
    for (const verb of VERBS) expect(stdout).toMatch(new RegExp(`^ {2}${verb} `, 'm'));
    expect((await gametape(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('without a verb shows the help and fails', async () => {
    const { code, stdout, stderr } = await gametape([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: gametape');
  });

  test('suggests the verb or option that was meant', async () => {
    expect(await gametape(['verfiy', 'x.lmsp'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('Did you mean verify?'),
    });
    expect(await gametape(['cat', 'x.lmsp', '--playr', 'ann'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean --player?'),
    });
  });

  test('says usage errors as JSON too', async () => {
    const { code, stdout, stderr } = await gametape(['info', '--json']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({
      error: { code: 'USAGE', message: "missing required argument 'file'", hint: expect.any(String) },
    });
  });

  test.each([
    [['serve', '--config', 'gametape.yaml'], '--config is not available yet'],
    [['serve', '--transport', 'uws'], '--transport uws is not available yet'],
    [['serve', '--port', '70000'], 'Expected a port'],
    [['serve', '--format', 'zip'], 'Allowed choices are binary, gzip, both'],
    [['bots', '--url', 'ws://127.0.0.1:1', '--room', 'a b', '--trace', 'x'], 'Expected 1 to 64'],
    [['bots', '--url', 'ws://127.0.0.1:1', '--room', 'a', '--trace', 'x', '--speed', '0'], 'Expected a factor'],
    [['cat', 'x.lmsp', '--from', '-3'], 'Expected seconds'],
    [['play', 'x.lmsp', '--speed', '17'], 'Expected a factor from 0.1 to 16'],
    [['play', 'x.lmsp', '--max-gap', '0'], 'Expected seconds above 0'],
    [['tail', 'room'], '--url'],
    [['tail', 'room', '--url', 'ws://127.0.0.1:1', '--from', 'yesterday'], 'seconds from 0'],
    [['stats', 'x.lmsp', '--from', '9', '--to', '9'], '--to 9 is not after --from 9'],
    [['diff', 'x.lmsp', 'y.lmsp', '--times', 'some'], 'Expected "exact"'],
    [['diff', 'x.lmsp', 'y.lmsp', '--limit', '-1'], 'Expected a whole number'],
    [['diff', '-', '-'], 'only one of the two can be standard input'],
    [['diff', 'x.lmsp'], "missing required argument 'b'"],
  ])('refuses %j', async (args, message) => {
    expect(await gametape(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });

  test('[S3] serve refuses to listen where anybody could come', async () => {
    const { code, stderr } = await gametape(['serve', '--host', '0.0.0.0', '--port', '0']);
    expect(code).toBe(2);
    expect(stderr).toContain('0.0.0.0 is no loopback address');
    expect(stderr).toContain('--insecure');
  });
});
