import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';

const SIMULATE = fileURLToPath(new URL('../../scripts/simulate.mjs', import.meta.url));
const MUTATIONS = new URL('../../scripts/mutations.mjs', import.meta.url);
/** `npm run simulate` does any number. */
const SEEDS = 60;

interface Mutation {
  readonly file: string;
  readonly find: string;
}

describe('the simulation', () => {
  test(`[J4] [J5] [W2] [W3] [W4] [W6] ${SEEDS} seeds of crashes, networks and disks leave what the players did`, async () => {
    const { code, stdout } = await simulate('--seeds', String(SEEDS));
    expect(stdout).toMatch(new RegExp(`^${SEEDS} seeds, 0 failed`, 'm'));
    expect(code).toBe(0);
    console.log(stdout.trim());
  }, 180_000);

  test('one seed is one run: the same again, and another one for another seed', async () => {
    const [first, again, other] = await Promise.all([hashOf(77), hashOf(77), hashOf(78)]);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  }, 300_000);

  test('every fault that can be put in on purpose has its one place in what is built', async () => {
    const { MUTATIONS: mutations } = (await import(MUTATIONS.href)) as { MUTATIONS: Record<string, Mutation> };
    for (const [name, { file, find }] of Object.entries(mutations)) {
      const built = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
      expect(built.split(find).length - 1, name).toBe(1);
    }
  });

  test('[W2] [W3] it finds a fault put into resending and deduplication on purpose', async () => {
    for (const name of ['release-too-much', 'resend-too-late', 'no-dedupe', 'no-sync']) {
      const { code, stdout } = await simulate('--mutate', name, '--seeds', '40');
      expect(stdout, name).toMatch(new RegExp(`^${name}: seed \\d+: `));
      expect(code, name).toBe(0);
    }
  }, 600_000);
});

async function hashOf(seed: number): Promise<string> {
  const { stdout } = await simulate('--seed', String(seed), '--json');
  return (JSON.parse(stdout) as { hash: string }).hash;
}

/** The script, in processes of its own: their clocks are not ours. */
async function simulate(...args: string[]): Promise<{ code: number | null; stdout: string }> {
  const child = spawn(process.execPath, [SIMULATE, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout };
}
