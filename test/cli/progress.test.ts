import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { FileServer } from '../support/file-server.ts';
import { largeRecording } from '../support/large-recording.ts';
import { tempDir } from '../support/temp-dir.ts';
import { hasTerminal, inTerminal } from '../support/terminal.ts';
import { gametape } from './gametape.ts';

if (!hasTerminal) console.warn('SKIPPED: progress on a terminal: no /usr/bin/script (apt-get install bsdutils)');
const ERASED = '\r\u001b[K';

let bytes: Uint8Array;
beforeAll(async () => {
  bytes = await largeRecording(2_000);
});

async function recordingIn(directory: string): Promise<string> {
  const path = join(directory, 'a.lmsp');
  await writeFile(path, bytes);
  return path;
}

/** What is left on the screen of what was written over and over. */
function leftOn(screen: string): string {
  return screen
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf(ERASED) + (line.includes(ERASED) ? ERASED.length : 0)))
    .join('\n');
}

describe.skipIf(!hasTerminal)('progress on a terminal', () => {
  test('is shown while a long verb runs, and taken away', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    const { screen, code } = await inTerminal(`gametape verify ${path}`);
    expect(code).toBe(0);
    expect(screen).toMatch(/Verifying .*0%.* of 0\.1 MB/);
    expect(screen).toMatch(/[━─]{32}/);
    expect(leftOn(screen)).toMatch(/^.*a\.lmsp: .*intact and complete/);
    expect(leftOn(screen)).not.toContain('Verifying');
  });

  test('goes forwards, and is named for each part of a conversion', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    const there = await inTerminal(`gametape convert ${path} -o ${directory}/a.json`);
    expect(there.screen).toContain('Converting');
    expect(leftOn(there.screen)).toBe('');
    const back = await inTerminal(`gametape convert ${directory}/a.json -o ${directory}/b.lmsp`);
    const shown = [...stripVTControlCharacters(back.screen).matchAll(/Reading\D+(\d+)%/g)].map(([, percent]) =>
      Number(percent),
    );
    expect(shown.length).toBeGreaterThan(1);
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
  });

  test('is taken away when the verb fails', async () => {
    const directory = await tempDir();
    const damaged = bytes.slice();
    damaged[2_000] = (damaged[2_000] ?? 0) ^ 1;
    await writeFile(join(directory, 'a.lmsp'), damaged);
    const { screen, code } = await inTerminal(`gametape convert ${directory}/a.lmsp -o ${directory}/a.json`);
    expect(code).toBe(5);
    expect(screen).toContain('Converting');
    expect(leftOn(screen)).toMatch(/^.*error.*: .*block 0 at byte/);
    expect(await readdir(directory)).toEqual(['a.lmsp']);
  });

  test('is taken away by Ctrl-C, which cleans up and exits with 130', async () => {
    const directory = await tempDir();
    // Sends a part, and then nothing.
    const server = await FileServer.start(
      { '/a.json': bytes },
      {
        misbehave: (_request, response) => {
          response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 10_000));
          return true;
        },
      },
    );
    const command = `TMPDIR=${directory} gametape verify ${server.url('/a.json')}`;
    const { screen, code } = await inTerminal(command, { at: /Fetching/, type: '\u0003' });
    expect(code).toBe(130);
    expect(leftOn(screen).replace('^C', '').trim()).toBe('');
    expect(await readdir(directory)).toEqual([]);
  });

  test('is not shown where stderr or a file takes it, nor over data', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    const file = await inTerminal(`gametape verify ${path} 2>${directory}/err`);
    expect(file.screen).not.toContain('\u001b[K');
    const data = await inTerminal(`gametape convert ${path} --to ndjson -o -`);
    expect(data.screen).not.toContain('Converting');
    const dumb = await inTerminal(`TERM=dumb gametape verify ${path}`);
    expect(dumb.screen).not.toContain('Verifying');
  });

  test('is never wider than the terminal', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    for (const columns of [200, 40, 10]) {
      const { screen } = await inTerminal(`stty cols ${columns}; gametape verify ${path}`);
      const lines = screen.split(ERASED).slice(1, -1);
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect([...stripVTControlCharacters(line)].length).toBeLessThan(columns);
    }
  });

  test('leaves standard input to whoever comes after', async () => {
    const directory = await tempDir();
    const path = await recordingIn(directory);
    const loop = `printf 'one\\ntwo\\n' | while read -r word; do echo "read $word"; gametape verify ${path}; done`;
    const { screen } = await inTerminal(loop);
    expect(screen).toContain('read two');
  });
});

test('progress is not shown in a pipe', async () => {
  const directory = await tempDir();
  const path = await recordingIn(directory);
  expect(await gametape(['verify', path])).toMatchObject({ code: 0, stderr: '' });
  expect(await gametape(['convert', path, '-o', join(directory, 'a.json')])).toMatchObject({ stdout: '', stderr: '' });
  expect(existsSync(join(directory, 'a.json'))).toBe(true);
  expect(await gametape(['verify', join(directory, 'a.json'), '--json'])).toMatchObject({ code: 0, stderr: '' });
});
