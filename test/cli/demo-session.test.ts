import { gameEventSchema } from '@gametape/shared/lmsp';
import { describe, expect, test } from 'vitest';
import { CodePointText } from '../../server/dist/cli/code-point-text.js';
import { makeDemoSession } from '../../server/dist/cli/demo-session.js';

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);

describe('the demo session', () => {
  test.each(SEEDS)('of seed %i types what it says, with typos on the way', (seed) => {
    for (const { steps, finalCode, player } of makeDemoSession(seed)) {
      const text = new CodePointText('');
      let typed = 0;
      for (const step of steps) {
        expect(step.afterMs).toBeGreaterThan(0);
        if (step.does === 'type') {
          expect(step.at + step.remove).toBeLessThanOrEqual(text.length);
          text.edit(step.at, step.remove, step.insert);
          typed++;
        }
        if (step.does === 'record') gameEventSchema.parse({ ...step.event, player_id: player });
      }
      expect(text.toString()).toBe(finalCode);
      expect(finalCode).toMatch(/^def [a-z_]+\(.*\):\n {4}"""/);
      expect(typed).toBeGreaterThan(100);
    }
  });

  test('has two players with exercises of their own, who fail first and pass then', () => {
    const [ann, bob] = makeDemoSession(7);
    expect(ann.finalCode).not.toBe(bob.finalCode);
    for (const { steps } of [ann, bob]) {
      const types = steps.flatMap((step) => (step.does === 'record' ? [step.event.type] : []));
      expect(types.indexOf('test_fail')).toBeGreaterThan(types.indexOf('challenge_start'));
      expect(types.indexOf('test_pass')).toBeGreaterThan(types.indexOf('test_fail'));
      expect(types).toContain('challenge_complete');
      expect(new Set(steps.map((step) => step.does))).toEqual(new Set(['type', 'record', 'say', 'checkpoint']));
    }
  });

  test('is the same for the same seed and differs between seeds', () => {
    expect(makeDemoSession(3)).toEqual(makeDemoSession(3));
    expect(makeDemoSession(3)).not.toEqual(makeDemoSession(4));
  });
});
