import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository, whatever the current one is. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs the command `name` of an installed package with this Node and returns its exit code. `cwd` is relative to the
 * repository and the package is looked up from there; `output` is where the command's own output goes.
 */
export function runTool(packageName, name, args, { cwd = '.', output = 'stdout' } = {}) {
  const folder = join(ROOT, cwd);
  const bin = findBin(createRequire(join(folder, 'package.json')), packageName, name);
  return run(process.execPath, [bin, ...args], { cwd: folder, output });
}

/** Runs a program without input and returns its exit code, 1 if it did not start or was killed. */
export function run(program, args, { cwd = ROOT, output = 'stdout', shell = false } = {}) {
  const stdio = output === 'stdout' ? ['ignore', 'inherit', 'inherit'] : ['ignore', process.stderr, process.stderr];
  const result = spawnSync(program, args, { cwd, stdio, shell });
  if (result.error) console.error(`cannot run ${program}: ${result.error.message}`);
  return result.status === null ? 1 : result.status;
}

/** Some packages do not export their package.json, so it is looked for in the folders that Node would look in. */
function findBin(require, packageName, name) {
  for (const modules of require.resolve.paths(packageName)) {
    const folder = join(modules, packageName);
    const manifest = readManifest(folder);
    if (manifest) return join(folder, typeof manifest.bin === 'string' ? manifest.bin : manifest.bin[name]);
  }
  throw new Error(`The package ${packageName} is not installed. Run: npm run setup`);
}

function readManifest(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
