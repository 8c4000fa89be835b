import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CodePointText } from '../../server/dist/cli/code-point-text.js';

const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', '😀', '中', ' '), maxLength: 40 });
const edit = fc.record({ at: fc.nat(200), remove: fc.nat(8), insert: text });

describe('CodePointText', () => {
  test('[D2] gives every edit in UTF-16 code units that make the same text, with the cursor after it', () => {
    fc.assert(
      fc.property(text, fc.array(edit, { maxLength: 60 }), (start, edits) => {
        const points = [...start];
        const buffer = new CodePointText(start);
        let units = start;
        for (const { at, remove, insert } of edits) {
          const from = Math.min(at, points.length);
          const count = Math.min(remove, points.length - from);
          const change = buffer.edit(from, count, insert);
          points.splice(from, count, ...insert);
          units = units.slice(0, change.at) + change.insert + units.slice(change.at + change.remove);
          const before = points.slice(0, from + [...insert].length).join('');
          const lines = before.split('\n');
          expect(buffer.cursor).toEqual([lines.length - 1, [...(lines.at(-1) ?? '')].length]);
        }
        expect(units).toBe(points.join(''));
        expect(buffer.toString()).toBe(units);
        expect(buffer.length).toBe(points.length);
      }),
    );
  });

  test('grows past the room it starts with', () => {
    const buffer = new CodePointText('ab');
    expect(buffer.edit(1, 0, 'x'.repeat(5_000))).toEqual({ at: 1, remove: 0, insert: 'x'.repeat(5_000) });
    expect(buffer.toString()).toBe(`a${'x'.repeat(5_000)}b`);
  });
});
