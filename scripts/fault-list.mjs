import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ file: string, name: string }} NamedTest - a test by its file, from `test/`, and its name as the source has it
 * @typedef {{ key: string, fault: string, expected: string, note: string, tests: NamedTest[] }} Row
 * `key` is the number of a fault or the name of a scenario; `note` is what the last cell says besides its tests
 */

export const FAULTS_PAGE = fileURLToPath(new URL('../test/chaos/FAULTS.md', import.meta.url));

/** @returns {{ scenarios: Row[], faults: Row[] }} both tables of FAULTS.md */
export function readFaultList(text = readFileSync(FAULTS_PAGE, 'utf8')) {
  return { scenarios: rowsUnder(text, '## Scenarios'), faults: rowsUnder(text, '## Faults') };
}

/** A pattern for `vitest -t` that finds the test whatever is filled into its name. */
export function patternOf({ name }) {
  const parts = name.split(/%[a-z]|\$\{[^}]*\}/);
  return `${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*')}$`;
}

/** @returns {Row[]} */
function rowsUnder(text, heading) {
  const [, section = ''] = text.split(`${heading}\n`);
  const lines = section.split(/\n## /)[0].split('\n');
  const rows = lines.slice(lines.findIndex((line) => line.startsWith('|---')) + 1);
  return rows.filter((line) => line.startsWith('| ')).map((line) => readRow(line.split('|').slice(1, -1)));
}

/** @returns {Row} */
function readRow([key = '', fault = '', expected = '', cell = '']) {
  const tests = [...cell.matchAll(/`([^`]+\.ts)`: `([^`]+)`/g)].map(([, file, name]) => ({ file, name }));
  const note = cell.replace(/`[^`]+\.ts`: `[^`]+`|<br>/g, ' ').trim();
  return { key: key.trim(), fault: fault.trim(), expected: expected.trim(), note, tests };
}
