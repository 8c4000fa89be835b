import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClockEstimate } from '../../server/dist/timeline/clock-estimate.js';
import { HardBounds } from '../../server/dist/timeline/hard-bounds.js';

const offset = fc.integer({ min: -40_000, max: 40_000 });
const proof = fc.record({
  clock: fc.integer({ min: 0, max: 60_000_000 }),
  one: offset,
  other: offset,
  knows: fc.constantFrom('low', 'high', 'both'),
});

test('[T2] [T5] whatever contradicts it, what is certain is a range, open only where nothing was ever known', () => {
  fc.assert(
    fc.property(fc.array(proof, { minLength: 1, maxLength: 40 }), (proofs) => {
      const bounds = new HardBounds();
      for (const { clock, one, other, knows } of proofs) {
        const low = knows === 'high' ? Number.NEGATIVE_INFINITY : Math.min(one, other);
        const high = knows === 'low' ? Number.POSITIVE_INFINITY : Math.max(one, other);
        bounds.narrow(clock, low, high);
        const [lowest, highest] = [bounds.lowestAt(clock), bounds.highestAt(clock)];
        expect(lowest).toBeLessThan(Number.POSITIVE_INFINITY);
        expect(highest).toBeGreaterThan(Number.NEGATIVE_INFINITY);
        expect(lowest).toBeLessThanOrEqual(highest);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('[T5] [S4] a clock that seems a few milliseconds ahead of its arrivals gives maps that can be recorded', () => {
  const estimate = new ClockEstimate(1);
  estimate.greet(10_000, 0, 1);
  estimate.add({ sentAt: 20_000, answeredAt: 21_000, clientReceived: 10_500, clientSent: 10_500 });
  for (let pseq = 1; pseq <= 50; pseq++) {
    // It says that it was made up to 8 ms after it came: not enough to prove that the clock jumped.
    const arrival = 30_000 + pseq * 1_000;
    const stamp = arrival - 10_000 + ((pseq * 1_700) % 8_000);
    const time = estimate.roomTime(pseq, stamp, arrival);
    expect(Number.isSafeInteger(time), `event ${pseq} at ${time}`).toBe(true);
    for (const value of Object.values(estimate.takeChange(0) ?? {}))
      expect(value === null || Number.isSafeInteger(value)).toBe(true);
  }
});
