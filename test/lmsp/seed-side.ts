import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pythonFault } from '../support/python.ts';

const SEED_DIR = fileURLToPath(new URL('../../../shared/seed', import.meta.url));
const SCRIPT = fileURLToPath(new URL('seed-side.py', import.meta.url));

/** True where Python 3 and the seed's module are there; says what is missing otherwise. */
export function hasSeed(): boolean {
  const missing = existsSync(`${SEED_DIR}/lmsp_seed.py`) ? pythonFault() : `${SEED_DIR}/lmsp_seed.py is missing`;
  if (missing) console.warn(`SKIPPED: the seed's own Python is the other side of L2, and ${missing}`);
  return missing === undefined;
}

type SeedVerb = 'generate' | 'binary' | 'real' | 'values' | 'check' | 'same' | 'compress';

/** Runs a verb of seed-side.py and returns what it printed. */
export function askSeed(verb: SeedVerb, ...args: string[]): string {
  return execFileSync('python3', ['-B', SCRIPT, SEED_DIR, verb, ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
}
