import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JSON_PROFILE } from '@gametape/shared';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';
import { WrittenSession } from '../support/written-session.ts';
import { gametape } from './gametape.ts';

/** Each of them clears the screen, renames the window or turns text around: JSON escapes only the first. */
const HOSTILE = '\u001b[2J\u009b2J\u009d0;x\u007f\u202e';

/** One sign, joined of three. */
const FAMILY = '\u{1f469}\u200d\u{1f469}\u200d\u{1f467}';

test('what is recorded, and what is named in an error, is printed so that no terminal obeys it', {
  timeout: 60_000,
}, async () => {
  const session = new WrittenSession(JSON_PROFILE, { ann: { text: HOSTILE } });
  await session.add(
    'ann',
    { type: HOSTILE, data: { [HOSTILE]: HOSTILE } },
    { state: { text: `${HOSTILE}\n\t${FAMILY}` } },
  );
  await session.add('ann', { type: 'checkpoint', data: { name: HOSTILE } });
  const path = join(await tempDir(), 'a.lmsp');
  await writeFile(path, await session.finish());
  const verbs = [
    ['cat', path, '--state'],
    ['play', path],
    ['info', path],
    ['stats', path],
    ['state', path, '--at', '0'],
    ['state', path, '--at', '99'],
    ['play', path, '--from', '@nowhere'],
    ['cut', path, '-o', `${path}.lmsp`, '--from', '@nowhere'],
    ['cat', path, '--player', HOSTILE],
    ['info', HOSTILE],
    [HOSTILE],
  ];
  for (const verb of verbs) {
    const { stdout, stderr } = await gametape(verb);
    expect(stdout + stderr, verb.join(' ')).not.toMatch(/(?![\n\t\u200d])[\p{Cc}\p{Cf}]/u);
    expect(stderr, verb.join(' ')).not.toContain('a bug of gametape');
  }
  const { stdout } = await gametape(['cat', path, '--type', HOSTILE]);
  expect(stdout).toContain('="\\u001b[2J\\u009b2J\\u009d0;x\\u007f\\u202e"');
  expect((await gametape(['state', path, '--at', '99'])).stdout).toContain(`\n    \t${FAMILY}\n`);
  // JSON is data, for programs.
  const json = (await gametape(['cat', path, '--json', '--type', HOSTILE])).stdout;
  expect(JSON.parse(json)).toMatchObject({ event: { data: { [HOSTILE]: HOSTILE } } });
});
