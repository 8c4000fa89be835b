import { expect, test } from 'vitest';

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}
interface Report {
  testResults: { status: string; assertionResults: { status: string }[] }[];
}
interface TotalsModule {
  readTestTotals(report: Report | undefined, exitCode: number): Totals;
  totalsLine(totals: Totals): string;
}

// By its address, because the scripts run before anything is compiled and are plain JavaScript.
const address = new URL('../scripts/totals.mjs', import.meta.url).href;
const { readTestTotals, totalsLine }: TotalsModule = await import(address);

test('each test of a run counts as one', () => {
  const report = reportOf(file('failed', 'passed', 'failed', 'skipped'), file('passed', 'passed', 'todo'));
  expect(readTestTotals(report, 1)).toEqual({ passed: 2, failed: 1, skipped: 2 });
});

test('a test file that could not be loaded counts as a failure', () => {
  expect(readTestTotals(reportOf(file('failed'), file('passed', 'passed')), 1)).toMatchObject({ passed: 1, failed: 1 });
});

test('a run that failed without a failed test counts as a failure', () => {
  expect(readTestTotals(reportOf(file('passed', 'passed')), 1)).toMatchObject({ passed: 1, failed: 1 });
  expect(readTestTotals(undefined, 1)).toMatchObject({ passed: 0, failed: 1 });
});

test('a run of no test counts as a failure', () => {
  expect(readTestTotals(reportOf(), 0)).toMatchObject({ passed: 0, failed: 1 });
  expect(readTestTotals(reportOf(file('passed', 'skipped')), 0)).toMatchObject({ failed: 1, skipped: 1 });
});

test('the last line names skipped tests only when there are some', () => {
  expect(totalsLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
  expect(totalsLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
});

function reportOf(...testResults: Report['testResults']): Report {
  return { testResults };
}

function file(status: string, ...tests: string[]): Report['testResults'][number] {
  return { status, assertionResults: tests.map((one) => ({ status: one })) };
}
