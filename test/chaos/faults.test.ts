import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

interface NamedTest {
  readonly file: string;
  readonly name: string;
}
interface Row {
  readonly key: string;
  readonly fault: string;
  readonly expected: string;
  readonly note: string;
  readonly tests: readonly NamedTest[];
}
interface FaultListModule {
  readFaultList(text?: string): { scenarios: readonly Row[]; faults: readonly Row[] };
  patternOf(test: NamedTest): string;
}

/** Of the catalogue. */
const FAULTS = 56;
const AUTOMATED_AT_LEAST = 30;

// By its address, because the scripts run before anything is compiled and are plain JavaScript.
const address = new URL('../../scripts/fault-list.mjs', import.meta.url).href;
const { readFaultList, patternOf }: FaultListModule = await import(address);
const { scenarios, faults } = readFaultList();

describe('FAULTS.md', () => {
  test('has every number once, in order', () => {
    expect(faults.map(({ key }) => key)).toEqual(Array.from({ length: FAULTS }, (_, i) => String(i + 1)));
  });

  test('says of every fault what is expected, and what proves it or why nothing does', () => {
    const hollow = faults.filter(({ fault, expected, tests, note }) => {
      return fault === '' || expected === '' || (tests.length === 0 && !note.startsWith('not automated'));
    });
    expect(hollow).toEqual([]);
  });

  test(`automates at least ${AUTOMATED_AT_LEAST}`, () => {
    const automated = faults.filter(({ note, tests }) => tests.length > 0 && !note.startsWith('not automated'));
    console.log(`${automated.length} of ${FAULTS} faults are automated`);
    expect(automated.length).toBeGreaterThanOrEqual(AUTOMATED_AT_LEAST);
  });

  test('has scenarios with names of their own, each of a fault and with a test', () => {
    const names = scenarios.map(({ key }) => key);
    expect(names.length).toBeGreaterThan(20);
    expect(new Set(names).size).toBe(names.length);
    for (const { key, fault, expected, tests } of scenarios) {
      expect(fault, key).toMatch(/^\d+(, \d+)*$/);
      expect(expected, key).not.toBe('');
      expect(tests.length, key).toBeGreaterThan(0);
    }
  });

  test('names only tests that exist', () => {
    expect([...scenarios, ...faults].flatMap(missingTests)).toEqual([]);
  });

  test('would find out about a file, a name or a number that is not there', () => {
    const text =
      '## Faults\n\n| 1 | a | b | `chaos/none.test.ts`: `x`<br>`chaos/faults.test.ts`: `nobody has this name` |\n';
    const [row] = readFaultList(text).faults as [Row];
    expect(missingTests(row)).toEqual([
      '1: chaos/none.test.ts is not there',
      '1: chaos/faults.test.ts has no test "nobody has this name"',
    ]);
    expect(readFaultList('## Faults\n\n## More\n| 2 | of another table | | |\n').faults).toEqual([]);
  });

  test('finds a test by its name whatever is filled in', () => {
    const filledIn = ['$', '{ROUNDS}'].join('');
    const pattern = new RegExp(patternOf({ file: '', name: `[J4] ${filledIn} (of %i) times` }));
    expect('suite > [J4] 5 (of 7) times').toMatch(pattern);
    expect('[J4] 5 (of 7) times over').not.toMatch(pattern);
  });
});

function missingTests({ key, tests }: Row): string[] {
  return tests.flatMap(({ file, name }) => {
    const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
    if (!existsSync(path)) return [`${key}: ${file} is not there`];
    return isTestIn(readFileSync(path, 'utf8'), name) ? [] : [`${key}: ${file} has no test ${JSON.stringify(name)}`];
  });
}

/** The name, in quotes, as the first argument of a test. */
function isTestIn(source: string, name: string): boolean {
  const quoted = [`'${name.replaceAll("'", "\\'")}'`, `"${name}"`, `\`${name}\``];
  return quoted.some((text) => {
    for (let at = source.indexOf(text); at >= 0; at = source.indexOf(text, at + 1)) {
      if (/\(\s*$/.test(source.slice(0, at)) && /\btest\b/.test(source.slice(Math.max(0, at - 4_000), at))) return true;
    }
    return false;
  });
}
