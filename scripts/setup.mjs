/**
 * Makes the repository ready to run: installs the packages and builds what is stale. Runs before `npm start` and
 * `npm test`, needs nothing but Node, and says nothing when there is nothing to do. Every line goes to stderr.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run, runTool } from './tool.mjs';

const OLDEST_NODE = [20, 19];
const BUILT_PACKAGES = ['shared', 'client-sdk', 'server'];
const VIEWER_INPUTS = [
  'viewer/src',
  'viewer/public',
  'viewer/index.html',
  'viewer/vite.config.ts',
  'viewer/package.json',
];

checkNode();
installPackages();
buildPackages();
buildViewer();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  fail(
    `gametape needs Node.js ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).`,
    'Install a newer one from https://nodejs.org or with your version manager, then try again.',
  );
}

function installPackages() {
  if (isInstalled()) return;
  say('installing the packages of package-lock.json (about a minute the first time)');
  // NODE_ENV=production and `omit` settings would leave out the compiler.
  const args = ['ci', '--no-audit', '--no-fund', '--include=dev'];
  if (runNpm(args) !== 0) fail('npm ci failed; its own lines above say why.', 'Then try again: npm run setup');
}

/** True if npm's own list of what it installed says the same as package-lock.json. */
function isInstalled() {
  const installed = readJson('node_modules/.package-lock.json');
  if (!installed) return false;
  return Object.entries(readJson('package-lock.json').packages)
    .filter(([path, wanted]) => path.includes('node_modules/') && !wanted.link && !wanted.optional)
    .every(([path, wanted]) => installed.packages[path] && installed.packages[path].version === wanted.version);
}

function buildPackages() {
  const missing = BUILT_PACKAGES.filter((name) => !existsSync(join(ROOT, name, 'dist')));
  if (missing.length > 0) say(`compiling ${missing.join(', ')}`);
  // tsc believes its build info, which would make a deleted dist pass for up to date.
  for (const name of missing) rmSync(join(ROOT, name, 'tsconfig.tsbuildinfo'), { force: true });
  const status = runTool('typescript', 'tsc', ['-b', ...BUILT_PACKAGES], { output: 'stderr' });
  if (status !== 0) fail('The sources do not compile; the lines above say where.', 'Then try again: npm run setup');
}

function buildViewer() {
  const inputs = [...VIEWER_INPUTS, 'client-sdk/dist', 'shared/dist'];
  if (Math.max(...inputs.map(newestMs)) <= newestMs('viewer/dist')) return;
  say('building the viewer');
  const status = runTool('vite', 'vite', ['build', '--logLevel', 'warn'], { cwd: 'viewer', output: 'stderr' });
  if (status !== 0) fail('The viewer does not build; the lines above say why.', 'Then try again: npm run setup');
}

/** Newest change of a file or of anything in a folder, 0 if it is not there. */
function newestMs(path) {
  const entry = statSync(join(ROOT, path), { throwIfNoEntry: false });
  if (!entry) return 0;
  if (!entry.isDirectory()) return entry.mtimeMs;
  return Math.max(0, ...readdirSync(join(ROOT, path)).map((name) => newestMs(join(path, name))));
}

/** Inside `npm start` npm names its own program; started by hand, it is looked up on the PATH. */
function runNpm(args) {
  const self = process.env.npm_execpath;
  if (self && /npm-cli\.[cm]?js$/.test(self)) return run(process.execPath, [self, ...args], { output: 'stderr' });
  return run('npm', args, { output: 'stderr', shell: process.platform === 'win32' });
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
  } catch {
    return undefined;
  }
}

function say(text) {
  console.error(`[setup] ${text}`);
}

function fail(what, todo) {
  say(what);
  say(todo);
  process.exit(1);
}
