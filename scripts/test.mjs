/**
 * `npm test`: types, lint, unused code, then every test once. Arguments go to vitest, so `npm test -- e2e` runs the test
 * files with `e2e` in their path. The last line holds the totals; types, lint and unused code count as one each.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from './tool.mjs';
import { addTotals, readTestTotals, totalsLine } from './totals.mjs';

const CHECKS = [
  { name: 'types', run: () => runTool('typescript', 'tsc', ['-b']) },
  { name: 'lint', run: () => runTool('@biomejs/biome', 'biome', ['check', '.']) },
  { name: 'unused', run: () => runTool('knip', 'knip', ['--no-progress']) },
];

const checks = CHECKS.map(runCheck);
const tests = runTests(process.argv.slice(2));
const totals = addTotals([...checks, tests]);
process.exitCode = totals.failed > 0 ? 1 : 0;
console.log(`\n${totalsLine(totals)}`);

function runCheck({ name, run }) {
  heading(name);
  const isGood = run() === 0;
  console.log(isGood ? 'ok' : `${name}: failed`);
  return { passed: isGood ? 1 : 0, failed: isGood ? 0 : 1, skipped: 0 };
}

function runTests(filters) {
  heading('tests');
  const folder = mkdtempSync(join(tmpdir(), 'gametape-test-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  try {
    const status = runTool('vitest', 'vitest', ['run', '--root', 'test', ...reporters, ...filters]);
    return readTestTotals(readReport(report), status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The report is missing when vitest died before it could write it. */
function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function heading(name) {
  console.log(`\n== ${name}`);
}
