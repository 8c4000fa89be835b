/**
 * Totals of one vitest run from its JSON report. A test file that could not be loaded counts as one failure. A run that
 * failed without any failed test (unhandled error, crash, no report) or that ran no test at all counts as one, too.
 */
export function readTestTotals(report, exitCode) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report ? report.testResults : []) addFile(totals, file);
  const isHollow = totals.failed === 0 && (exitCode !== 0 || totals.passed === 0);
  if (isHollow) totals.failed += 1;
  return totals;
}

export function addTotals(list) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const one of list) for (const key of Object.keys(sum)) sum[key] += one[key];
  return sum;
}

export function totalsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function addFile(totals, file) {
  const count = (status) => file.assertionResults.filter((test) => test.status === status).length;
  const passed = count('passed');
  const failed = count('failed');
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += file.assertionResults.length - passed - failed;
  if (file.status === 'failed' && failed === 0) totals.failed += 1;
}
