/**
 * Chaos: `--list` names the scenarios of test/chaos/FAULTS.md, `--scenario NAME` runs one, `--rounds N` kills a relay under
 * load N times with each journal, and without options all scenarios run, then 200 rounds. `--seed S` repeats a run.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { patternOf, readFaultList } from './fault-list.mjs';
import { runTool } from './tool.mjs';
import { addTotals, readTestTotals } from './totals.mjs';

const { values } = parseArgs({
  options: {
    list: { type: 'boolean', default: false },
    scenario: { type: 'string' },
    rounds: { type: 'string' },
    races: { type: 'string', default: '1000' },
    seed: { type: 'string' },
  },
});
const { scenarios } = readFaultList();
const folder = mkdtempSync(join(tmpdir(), 'gametape-chaos-'));
try {
  process.exitCode = main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function main() {
  if (values.list) {
    for (const { key, fault, expected } of scenarios)
      console.log(`${key.padEnd(30)} fault ${fault.padEnd(7)} ${expected}`);
    return 0;
  }
  process.env.GAMETAPE_RACES = values.races;
  if (values.seed !== undefined) process.env.GAMETAPE_SEED = values.seed;
  if (values.scenario !== undefined) {
    const scenario = scenarios.find(({ key }) => key === values.scenario);
    if (!scenario) {
      console.error(`chaos: there is no scenario ${values.scenario}; --list names those there are`);
      return 2;
    }
    return report([runScenario(scenario)]);
  }
  if (values.rounds !== undefined) return report([runRounds(values.rounds)]);
  return report([...scenarios.map(runScenario), runRounds('200')]);
}

function runScenario({ key, tests, expected }) {
  console.log(`\n== ${key}: ${expected}`);
  const startedAt = performance.now();
  const totals = addTotals(tests.map(runTest));
  return { key, ...totals, seconds: secondsSince(startedAt) };
}

function runRounds(rounds) {
  console.log(`\n== ${rounds} rounds of kill -9 with each journal`);
  const startedAt = performance.now();
  const figures = join(folder, 'figures.txt');
  process.env.GAMETAPE_ROUNDS = rounds;
  process.env.GAMETAPE_FIGURES = figures;
  const { result, status } = runVitest(['chaos/kill-relay']);
  const totals = readTestTotals(result, status);
  return { key: `${rounds} rounds`, ...totals, seconds: secondsSince(startedAt), figures: linesOf(figures) };
}

/** Only the tests of that name count, and there has to be one. */
function runTest(test) {
  const pattern = patternOf(test);
  const { result, status } = runVitest([test.file, '-t', pattern]);
  const named = (result?.testResults ?? [])
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ title }) => new RegExp(`^${pattern}`).test(title));
  const count = (wanted) => named.filter(({ status }) => status === wanted).length;
  const [passed, failed] = [count('passed'), count('failed')];
  const isHollow = failed === 0 && (status !== 0 || named.length === 0);
  return { passed, failed: isHollow ? 1 : failed, skipped: named.length - passed - failed };
}

function runVitest(args) {
  const output = join(folder, 'report.json');
  rmSync(output, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
  const status = runTool('vitest', 'vitest', ['run', '--root', 'test', '--no-file-parallelism', ...reporters, ...args]);
  const lines = linesOf(output);
  return { status, result: lines.length > 0 ? JSON.parse(lines.join('\n')) : undefined };
}

/** The last lines say how it went; the exit code is theirs. */
function report(results) {
  console.log('');
  for (const { key, failed, passed, skipped, seconds } of results) {
    const outcome = failed > 0 ? 'FAILED' : passed > 0 ? 'ok' : 'SKIPPED, nothing of it ran';
    const partly = passed > 0 && skipped > 0 ? `, ${skipped} of its tests SKIPPED` : '';
    console.log(`${key.padEnd(30)} ${outcome}${partly}, ${seconds} s`);
  }
  for (const line of results.flatMap(({ figures = [] }) => figures)) console.log(line);
  return results.some(({ failed }) => failed > 0) ? 1 : 0;
}

function linesOf(path) {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

function secondsSince(startedAt) {
  return Math.round((performance.now() - startedAt) / 1_000);
}
