import { BytesSource, isGametapeError, JSON_PROFILE, LMSP_PROFILE, RecordingReader } from '@gametape/shared';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyRecording } from '../../server/dist/recording/verify.js';
import { type DamageTarget, makeTarget, nameOf, rememberingCompression } from '../support/damage-target.ts';
import { randomDamage } from '../support/random-damage.ts';
import { DamageCheck, recover } from '../support/recovered.ts';
import { runningTime } from '../support/running-time.ts';
import { seededRandom } from '../support/seeded-random.ts';

/** `npm run fuzz` does all of it, in as many processes as there are shards; `npm test` a slice that is always the same. */
const ALL = process.env.GAMETAPE_FUZZ === 'all';
const COUNT = Number(process.env.GAMETAPE_COUNT ?? 60);
const SEED = Number(process.env.GAMETAPE_SEED ?? 1);
const [SHARD, SHARDS] = (process.env.GAMETAPE_SHARD ?? '0/1').split('/').map(Number) as [number, number];
const BIT_STRIDE = ALL ? SHARDS : 2_003;
const BYTE_STRIDE = ALL ? SHARDS : 509;
const LIMIT_MS = ALL || COUNT > 60 ? 3_600_000 : 120_000;
/** No damage may make anything take longer than this. */
const HANG_MS = 10_000;

describe('a recording of 64 KiB', () => {
  const compression = rememberingCompression();
  let target: DamageTarget;
  let check: DamageCheck;
  beforeAll(async () => {
    const ballast = { bytes: 3_400, every: 1 };
    target = await makeTarget({ profile: LMSP_PROFILE, seed: 3, entries: 27, perBlock: 3, ballast });
    check = new DamageCheck(target, compression);
    expect(target.bytes.length).toBeGreaterThan(60 * 1_024);
    expect(target.blocks.length).toBeGreaterThanOrEqual(8);
  });

  test('[R3] with any single bit flipped gives back every other block, and says what is lost', {
    timeout: LIMIT_MS,
  }, async () => {
    const bytes = target.bytes.slice();
    for (let bit = SHARD; bit < bytes.length * 8; bit += BIT_STRIDE) {
      const at = bit >> 3;
      flip(bytes, bit);
      const damaged = target.blocks.filter(({ offset, end }) => at >= offset && at < end);
      await expectRecovered(bytes, damaged, `bit ${bit}`);
      flip(bytes, bit);
    }
  });

  test('[R3] cut at any byte gives back every block before the cut', { timeout: LIMIT_MS }, async () => {
    for (let length = SHARD; length < target.bytes.length; length += BYTE_STRIDE) {
      const damaged = target.blocks.filter(({ end }) => end > length);
      await expectRecovered(target.bytes.subarray(0, length), damaged, `first ${length} bytes`);
    }
  });

  test('[R3] cut off at the front gives back every block after the cut', { timeout: LIMIT_MS }, async () => {
    for (let from = 1 + SHARD; from < target.bytes.length; from += 4 * BYTE_STRIDE) {
      const damaged = target.blocks.filter(({ offset }) => offset < from);
      await expectRecovered(target.bytes.subarray(from), damaged, `from byte ${from}`);
    }
  });

  test('[R3] with any single bit flipped is never read wrong, nor verified', { timeout: LIMIT_MS }, async () => {
    const bytes = target.bytes.slice();
    for (let bit = SHARD; bit < bytes.length * 8; bit += BIT_STRIDE) {
      flip(bytes, bit);
      await expectNothingWrong(bytes, `bit ${bit}`);
      flip(bytes, bit);
    }
  });

  async function expectRecovered(bytes: Uint8Array, damaged: DamageTarget['blocks'], where: string): Promise<void> {
    const tookMs = runningTime();
    const recovered = await recover(bytes, compression);
    expect(tookMs(), where).toBeLessThan(HANG_MS);
    const kept = target.blocks.filter((block) => !damaged.includes(block));
    if (!recovered) {
      expect(kept, `${where}: intact blocks of a file of which nothing came back`).toEqual([]);
      return;
    }
    const names = await check.returned(recovered);
    for (const block of kept)
      for (const name of block.names) if (!names.has(name)) throw new Error(`${where}: ${name}`);
    const { lost, blocks, complete } = recovered.report;
    const events = damaged.some((block) => block.names.length > 0);
    expect([blocks.kept, names.size], where).toEqual([kept.length, kept.flatMap((block) => block.names).length]);
    if (!events) return;
    if (complete) throw new Error(`${where}: complete`);
    // A file that ends where a block ends does not tell what came after it.
    const isCutBetween = bytes.length < target.bytes.length && recovered.report.setAside.length === 0;
    for (const { firstSeq, lastSeq } of damaged) {
      const isCovered = lost.some(({ seqFrom, seqTo }) => (seqFrom ?? 0) <= firstSeq && (seqTo ?? lastSeq) >= lastSeq);
      if (!isCovered && !isCutBetween) throw new Error(`${where}: events ${firstSeq} to ${lastSeq} are not reported`);
    }
  }

  /** The reader and `verify` see the damage, or do not depend on it. */
  async function expectNothingWrong(bytes: Uint8Array, where: string): Promise<void> {
    try {
      const reader = await RecordingReader.open(new BytesSource(bytes), compression);
      for await (const { entry } of reader.steps()) {
        const original = target.entries.get(nameOf(entry));
        if (!original || Buffer.compare(entry.body, original.entry.body) !== 0)
          throw new Error(`${where}: wrong event`);
      }
    } catch (error) {
      if (!isGametapeError(error)) throw error;
    }
    try {
      const { intact } = await verifyRecording(new BytesSource(bytes), compression);
      if (intact) throw new Error(`${where}: intact`);
    } catch (error) {
      if (!isGametapeError(error)) throw error;
    }
  }
});

describe('a recording as players make them', () => {
  test(`[R3] with ${COUNT} random damages of many bytes never gives back anything wrong`, {
    timeout: LIMIT_MS,
  }, async () => {
    const compression = rememberingCompression();
    const targets = await Promise.all([
      makeTarget({ profile: LMSP_PROFILE, seed: 21, entries: 400, perBlock: 30, players: 4 }),
      makeTarget({ profile: JSON_PROFILE, seed: 22, entries: 300, perBlock: 25, players: 2, id: 2 }),
    ]);
    const checks = targets.map((target) => new DamageCheck(target, compression));
    for (let round = SHARD; round < COUNT; round += SHARDS) {
      const random = seededRandom(SEED * 1_000_003 + round);
      const own = round % 2;
      const [target, other, check] = [targets[own], targets[1 - own], checks[own]];
      if (!target || !other || !check) throw new TypeError('no target');
      const { bytes, intact, what } = randomDamage(target, other.bytes, random);
      const where = `GAMETAPE_SEED=${SEED}, round ${round}: ${what}`;
      const recovered = await recover(bytes, compression);
      if (!recovered) {
        expect(intact.length, where).toBe(0);
        continue;
      }
      if (recovered.report.recordingId !== check.recordingId) continue;
      const names = await check.returned(recovered).catch((error: unknown) => {
        throw new Error(where, { cause: error });
      });
      for (const block of intact)
        for (const name of block.names) if (!names.has(name)) throw new Error(`${where}: ${name}`);
    }
  });
});

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}
