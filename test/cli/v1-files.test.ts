import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileWithEvent, pickle, V1_FILE, V1_JSON } from '../lmsp/pickle-maker.ts';
import { tempDir } from '../support/temp-dir.ts';
import { gametape } from './gametape.ts';

describe("a file of the seed's BinaryFormat", () => {
  test('[L3] is told by its content, and every verb reads it', async () => {
    const seed = JSON.parse(await readFile(V1_JSON, 'utf8')) as { events: { game_state: object }[] };
    const path = join(await tempDir(), 'named-anything.lmsp');
    await writeFile(path, await readFile(V1_FILE));
    const info = await gametape(['info', path, '--json']);
    expect(JSON.parse(info.stdout)).toMatchObject({
      format: 'pickle',
      version: 1,
      events: 3,
      durationS: 0.3,
      complete: true,
    });
    const converted = await gametape(['convert', path, '-o', '-', '--to', 'json']);
    expect(JSON.parse(converted.stdout)).toEqual(seed);
    const state = await gametape(['state', path, '--at', '99', '--json']);
    expect(JSON.parse(state.stdout)).toEqual({ zoé: seed.events.at(-1)?.game_state });
    const cat = await gametape(['cat', path, '--json', '--type', 'keystroke']);
    expect(JSON.parse(cat.stdout)).toMatchObject({ index: 1, event: { data: { char: 'é😀' } } });
    expect(await gametape(['verify', path])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('intact and complete'),
    });
    const piped = await gametape(['info', '-', '--json'], { stdin: await readFile(V1_FILE) });
    expect(JSON.parse(piped.stdout)).toMatchObject({ recordingId: JSON.parse(info.stdout).recordingId, events: 3 });
  });

  test('[L3] is converted, checkpoints and all, and is the same JSON again', async () => {
    const lmsp = join(await tempDir(), 'new.lmsp');
    expect(await gametape(['convert', V1_FILE, '-o', lmsp])).toMatchObject({ code: 0, stderr: '' });
    const { stdout } = await gametape(['convert', lmsp, '-o', '-', '--to', 'json']);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(await readFile(V1_JSON, 'utf8')));
  });

  test('[L3] that is hostile is refused in one line, runs nothing and leaves nothing', async () => {
    const directory = await tempDir();
    const path = join(directory, 'hostile.bin');
    const { file, offset } = await fileWithEvent(pickle(`cos\nsystem\n(Vtouch ${join(directory, 'ran')}\ntR.`));
    await writeFile(path, file);
    const { code, stdout, stderr } = await gametape(['convert', path, '-o', join(directory, 'out.lmsp')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(
      `${path}: event 0: GLOBAL at byte ${offset}: refused: "os.system" is none of the seed's classes`,
    );
    expect(stderr).toContain('Nothing of it was run');
    expect(await readdir(directory)).toEqual(['hostile.bin']);
  });

  test('[L3] that is cut off is damaged', async () => {
    const path = join(await tempDir(), 'cut.bin');
    await writeFile(path, (await readFile(V1_FILE)).subarray(0, 700));
    const { code, stderr } = await gametape(['info', path]);
    expect(code).toBe(5);
    expect(stderr).toMatch(/cut\.bin: event \d: [A-Z_0-9]+ at byte \d+: /);
  });
});
