import { BytesSource, JSON_PROFILE, LMSP_PROFILE } from '@gametape/shared';
import { describe, expect, test } from 'vitest';
import { verifyRecording } from '../../server/dist/recording/verify.js';
import { rememberingCompression } from '../support/damage-target.ts';
import { randomDamage } from '../support/random-damage.ts';
import { DamageCheck, recover } from '../support/recovered.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { unfinishedTarget } from '../support/unfinished-target.ts';

const FROM = Number(process.env.GAMETAPE_SEED ?? 0);

const SESSIONS = Array.from({ length: 12 }, (_, i) => i + FROM).map((seed) => ({
  profile: seed % 2 === 0 ? JSON_PROFILE : LMSP_PROFILE,
  seed: seed + 1,
  entries: 180,
  perBlock: 5 + (seed % 12) * 3,
  lateUs: [0, 2_000, 3_000_000, 60_000_000][seed % 4] as number,
}));

describe("a room's own file, whose blocks overlap in time because players were late", () => {
  test.each(SESSIONS)('[R3] [J4] comes back whole: $perBlock entries a block, $lateUs µs late', async (options) => {
    const target = await unfinishedTarget(options);
    const compression = rememberingCompression();
    const recovered = await recover(target.bytes, compression);
    if (!recovered) throw new Error('nothing was recovered');
    const { lost, warnings, checkpointsDropped } = recovered.report;
    expect({ lost, warnings, checkpointsDropped }).toEqual({ lost: [], warnings: [], checkpointsDropped: [] });
    const names = await new DamageCheck(target, compression).returned(recovered);
    expect(names.size).toBe(target.entries.size);
  });

  test.each(SESSIONS)('[R3] without any of its blocks gives back the others: $perBlock a block', async (options) => {
    const target = await unfinishedTarget(options);
    const compression = rememberingCompression();
    const check = new DamageCheck(target, compression);
    for (const damaged of target.blocks) {
      const bytes = target.bytes.slice();
      bytes.fill(0, damaged.offset + 100, damaged.end);
      const recovered = await recover(bytes, compression);
      if (!recovered) throw new Error('nothing was recovered');
      const names = await check.returned(recovered);
      const missing = target.blocks.filter((block) => block !== damaged).flatMap((block) => block.names);
      expect(missing.filter((name) => !names.has(name))).toEqual([]);
      expect(recovered.report.complete).toBe(false);
      const { firstSeq, lastSeq } = damaged;
      const covered = recovered.report.lost.map(({ seqFrom, seqTo }) => [seqFrom, seqTo]);
      expect(covered, `block at ${damaged.offset}`).toEqual([
        [firstSeq, damaged === target.blocks.at(-1) ? null : lastSeq],
      ]);
    }
  });

  test.each(SESSIONS)('[R3] never gives back anything wrong after random damage: seed $seed', async (options) => {
    const target = await unfinishedTarget(options);
    const other = await unfinishedTarget({ ...options, seed: 99 });
    const compression = rememberingCompression();
    const check = new DamageCheck(target, compression);
    const random = seededRandom(options.seed);
    for (let i = 0; i < 15; i++) {
      const damage = randomDamage(target, other.bytes.subarray(0, 0), random);
      const recovered = await recover(damage.bytes, compression);
      if (!recovered) continue;
      const names = await check.returned(recovered);
      const missing = damage.intact.flatMap((block) => block.names).filter((name) => !names.has(name));
      expect(missing, damage.what).toEqual([]);
    }
  });

  test('[T3] verify finds nothing wrong with the order they lie in, only that there is no end', async () => {
    for (const options of SESSIONS) {
      const { bytes } = await unfinishedTarget(options);
      const { problems, finished } = await verifyRecording(new BytesSource(bytes));
      expect({ where: problems.map(({ where }) => where), finished }).toEqual({ where: ['footer'], finished: false });
    }
  });
});
