import { readFileSync } from 'node:fs';
import { CloseCode, ERROR_HINTS, JSON_PROFILE, LIMITS, LMSP_PROFILE, MessageByte } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { RecordType } from '../shared/dist/recording/records.js';
import { readSources, readText } from './support/sources.ts';
import {
  byteRowsIn,
  commentsIn,
  defaultTagsIn,
  definedRulesIn,
  KNOWN_RULES,
  plain,
  readValue,
  ruleIdsIn,
  ruleIdsInTestNames,
  tableUnder,
} from './support/spec-pages.ts';

const SPEC_PAGES = ['shared/PROTOCOL.md', 'shared/FORMAT.md', 'shared/DELTA.md', 'ARCHITECTURE.md'];

describe('rule ids', () => {
  test.each(SPEC_PAGES)('%s quotes only rules that exist', (page) => {
    expect(unknownIn(ruleIdsIn(readText(page)))).toEqual([]);
  });

  test('comments quote only rules that exist', () => {
    const files = ['shared/src', 'client-sdk/src', 'server/src', 'viewer/src', 'bench'].flatMap(readSources);
    const faults = files.flatMap(({ path, source }) =>
      unknownIn(ruleIdsIn(commentsIn(source))).map((id) => `${path}: ${id}`),
    );
    expect(faults).toEqual([]);
  });

  test('test names quote only rules that exist', () => {
    expect(unknownIn(rulesTested())).toEqual([]);
  });

  test('every rule that a spec page defines is the subject of a test', () => {
    const tested = new Set(rulesTested());
    const untested = SPEC_PAGES.flatMap((page) =>
      definedRulesIn(readText(page))
        .filter((id) => !tested.has(id))
        .map((id) => `${page}: ${id}`),
    );
    expect(untested).toEqual([]);
  });
});

describe('PROTOCOL.md', () => {
  const page = (): string => readText('shared/PROTOCOL.md');

  test('lists every error code with its hint', () => {
    const rows = tableUnder(page(), '## Error codes').map(([code = '', hint]) => [plain(code), hint]);
    expect(sorted(rows)).toEqual(sorted(Object.entries(ERROR_HINTS)));
  });

  test('lists every close code', () => {
    const rows = tableUnder(page(), '## Close codes').map(([code = '', name = '']) => [plain(name), readValue(code)]);
    expect(sorted(rows)).toEqual(sorted(Object.entries(CloseCode)));
  });

  test('lists the first byte of every message', () => {
    const rows = byteRowsIn(page()).map(([byte, name]) => [name, byte]);
    expect(sorted(rows)).toEqual(sorted(Object.entries(MessageByte)));
  });

  test('[S2] lists every limit', () => {
    const rows = tableUnder(page(), '## Limits').map(([name = '', value = '']) => [plain(name), readValue(value)]);
    expect(sorted(rows)).toEqual(sorted(Object.entries(LIMITS)));
  });
});

describe('FORMAT.md', () => {
  const page = (): string => readText('shared/FORMAT.md');

  test('[R1] the bytes of its example are those of the vector, each at its offset', () => {
    const rows = tableUnder(page(), '## A complete example').filter(([offset]) => offset !== '');
    const bytes = rows.flatMap(([, hex = '']) => plain(hex).split(' '));
    const vector = readFileSync(new URL('./vectors/minimal.lmsp', import.meta.url));
    expect(bytes.join('')).toBe(vector.toString('hex'));
    let expected = 0;
    for (const [offset, hex = ''] of rows) {
      expect(Number(offset)).toBe(expected);
      expected += plain(hex).split(' ').length;
    }
  });

  test('lists every type of record', () => {
    const rows = tableUnder(page(), '## Records');
    const named = Object.entries(RecordType).map(([name, type]) => [spaced(name), type]);
    expect(sorted(rows.map(([type, name]) => [name, Number(type)]))).toEqual(sorted(named));
  });
});

describe('DELTA.md', () => {
  test('[L5] lists the templates and names that the profiles start with', () => {
    const rows = tableUnder(readText('shared/DELTA.md'), '## Profiles').filter(([number = '']) => /^\d/.test(number));
    const templates = rows
      .filter(({ length }) => length === 4)
      .map(([number, type = '', keys = '', profile]) => {
        return {
          number: Number(number),
          type: plain(type),
          keys: keys.split(', ').map(plain),
          isCommon: profile === 'every',
        };
      });
    const inCode = LMSP_PROFILE.templates.map((template, index) => {
      return { number: index + 2, ...template, isCommon: index < JSON_PROFILE.templates.length };
    });
    expect(templates).toEqual(inCode);
    const names = rows.filter(({ length }) => length === 2).map(([number, name = '']) => [Number(number), plain(name)]);
    expect(names).toEqual(LMSP_PROFILE.names.map((name, index) => [index, name]));
    expect(JSON_PROFILE.names).toEqual([]);
  });
});

describe('options of the relay', () => {
  test('the default beside each type is the one that is used', async () => {
    const tags = defaultTagsIn(readText('server/src/options.ts'));
    expect(sorted(tags)).toEqual(sorted(await relayDefaults()));
  });

  test('README.md lists every option with its default', async () => {
    const table = tableUnder(readText('README.md'), '## Options of the relay');
    const rows = table.map(([name = '', value = '']) => [plain(name), readValue(value)]);
    expect(sorted(rows)).toEqual(sorted(await relayDefaults()));
  });
});

describe('the reader of spec pages', () => {
  const page = [
    '# PAGE',
    '- W2 Defined here, unlike W3 or `V8`; W99 does not exist.',
    '## Error codes',
    '| code | what to do |',
    '| :--- | ---------- |',
    '| BAD_ID   | Use `a` \\| `b`. |',
    '### Part of it',
    '| `NOT_FOUND` | Check. |',
    '## Messages',
    '| `0x01` | hello | first |',
    '| 0x8b | `ended` | last |',
  ].join('\n');

  test('tells the rules that a page defines from those it quotes', () => {
    expect(definedRulesIn(page)).toEqual(['W2']);
    expect(ruleIdsIn(page)).toEqual(['W2', 'W3', 'W99']);
    expect(unknownIn(ruleIdsIn(page))).toEqual(['W99']);
  });

  test('reads the rules in front of test names', () => {
    // Put together here, so that this file does not quote them itself.
    const names = ['[D3', '] a delta\', "[W2, W3', '] acks", "[W4', ']nothing"'].join('');
    expect(ruleIdsInTestNames(`'${names}`)).toEqual(['D3', 'W2', 'W3']);
  });

  test('reads comments and nothing else', () => {
    const source = "const a = 'http://D1'; // why D2\n/** D3\n * D4 */\nconst D5 = 1;";
    expect(ruleIdsIn(commentsIn(source))).toEqual(['D2', 'D3', 'D4']);
  });

  test('reads the table under a heading up to the next one', () => {
    expect(tableUnder(page, '## Error codes')).toEqual([
      ['BAD_ID', 'Use `a` | `b`.'],
      ['`NOT_FOUND`', 'Check.'],
    ]);
    expect(() => tableUnder(page, '## Close codes')).toThrow('There is no heading "## Close codes".');
    expect(() => tableUnder('## Limits\nnone', '## Limits')).toThrow('There is no table under "## Limits".');
  });

  test('reads the bytes of messages', () => {
    expect(byteRowsIn(page)).toEqual([
      [0x01, 'hello'],
      [0x8b, 'ended'],
    ]);
  });

  test('reads the defaults of options', () => {
    const source = `
      /** All of it. */
      export interface Options {
        /** Pause. Milliseconds; 0 disables. @default 120_000 */
        readonly idleFinishMs?: number;
        /**
         * Which file.
         * @default 'binary'
         */
        format: string;
        /** No default. */
        data: string;
      }`;
    expect(defaultTagsIn(source)).toEqual([
      ['idleFinishMs', 120_000],
      ['format', 'binary'],
    ]);
    expect(['`65,536`', 'true', '"x"', '`a b`'].map(readValue)).toEqual([65_536, true, 'x', 'a b']);
  });
});

function rulesTested(): string[] {
  return readSources('test').flatMap(({ source }) => ruleIdsInTestNames(source));
}

function unknownIn(ids: readonly string[]): string[] {
  return ids.filter((id) => !KNOWN_RULES.includes(id));
}

async function relayDefaults(): Promise<[string, unknown][]> {
  const { DEFAULT_RELAY_OPTIONS } = await import('@gametape/server');
  return Object.entries(DEFAULT_RELAY_OPTIONS);
}

/** `LaterKeyframe` as `later keyframe`. */
function spaced(name: string): string {
  return name.replace(/(?<=.)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}

/** Lists of pairs in the order of their names, so that a difference shows as one line. */
function sorted<T extends readonly unknown[]>(rows: readonly T[]): T[] {
  return rows.toSorted((one, other) => (String(one[0]) < String(other[0]) ? -1 : 1));
}
