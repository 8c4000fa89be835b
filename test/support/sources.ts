import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SourceFile } from './check-imports.ts';

const ROOT = new URL('../../', import.meta.url);

/** Every `.ts` and `.tsx` file below `folder` (from the root of the repository), sorted by path. */
export function readSources(folder: string): SourceFile[] {
  const base = fileURLToPath(new URL(folder, ROOT));
  if (!existsSync(base)) return [];
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((path) => /\.tsx?$/.test(path) && !/\/(node_modules|dist)\//.test(path))
    .sort()
    .map((path) => ({ path, source: readText(path) }));
}

/** A file of the repository, by its path from the root. A missing one throws, naming it. */
export function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}
