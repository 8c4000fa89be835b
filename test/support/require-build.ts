import { existsSync } from 'node:fs';

const BUILT_FILES = [
  'shared/dist/index.js',
  'client-sdk/dist/node.js',
  'server/dist/index.js',
  'server/dist/cli/main.js',
];

/** The tests import the built packages; without them each test file would fail with a puzzle of its own. */
export function setup(): void {
  const missing = BUILT_FILES.filter((path) => !existsSync(new URL(`../../${path}`, import.meta.url)));
  if (missing.length > 0) throw new Error(`Not built: ${missing.join(', ')}. Run: npm run setup`);
}
