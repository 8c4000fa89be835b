import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { builtViewer } from '../../server/dist/http/built-viewer.js';
import { tempDir } from '../support/temp-dir.ts';

test('a viewer that was never built is named, with what to do', async () => {
  const directory = await tempDir();
  expect(() => builtViewer(directory)).toThrow(`there is no index.html in ${directory}`);
  expect(() => builtViewer(directory)).toThrow(
    expect.objectContaining({ code: 'NOT_FOUND', hint: expect.stringContaining('npm run setup') }),
  );
  await writeFile(join(directory, 'index.html'), '<!doctype html>');
  expect(builtViewer(directory)).toBe(directory);
});
