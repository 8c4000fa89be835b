import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GametapeError } from '@gametape/shared';

/** The directory itself. @throws GametapeError `NOT_FOUND` when the viewer has not been built into it */
export function builtViewer(directory: string): string {
  if (existsSync(join(directory, 'index.html'))) return directory;
  throw new GametapeError('NOT_FOUND', `viewer: it has not been built: there is no index.html in ${directory}`, {
    hint: 'Run `npm run setup` in the repository, or start the relay without it: `viewer: false`, `gametape serve --no-viewer`.',
  });
}
