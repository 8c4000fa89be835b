import { fileURLToPath } from 'node:url';

/** Absolute path of the built viewer. Serve `index.html` of it for paths that name no file: routes are resolved in the browser. */
export const viewerDirectory = fileURLToPath(new URL('./dist', import.meta.url));
