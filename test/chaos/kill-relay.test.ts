import { appendFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { type ChaosOptions, type ChaosOutcome, runRounds } from './rounds.ts';
import { NOTHING_LOST } from './typing-rooms.ts';

const ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 4);
const REDIS_ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 2);
const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(
  `[J4] [W2] [W3] nothing is lost, twice or out of order when the relay is killed ${ROUNDS} times under load`,
  async () => expectNothingLost(await killRelay('file journal', ROUNDS)),
  limitOf(ROUNDS),
);

test.skipIf(!hasRedis)(
  `[J4] [W2] [W3] the same for ${REDIS_ROUNDS} times with its journal in Redis`,
  async () => {
    const redis = await RedisServer.start({ appendfsync: 'always' });
    // A room that somebody asked for just before is given up with the next renewal of leases, which takes a relay that lives.
    const atEnd = () => waitFor('Redis to have no room', () => redis.cli('SCARD', 'gt:rooms').trim() === '0');
    const options = { args: ['--redis', redis.url], atEnd };
    expectNothingLost(await killRelay('redis, appendfsync always', REDIS_ROUNDS, options));
  },
  limitOf(REDIS_ROUNDS),
);

test(
  '[J4] a relay that forgets the last block of its log is found out by this',
  async () => {
    const mutate = fileURLToPath(new URL('../../scripts/mutate.mjs', import.meta.url));
    const node = { args: ['--import', mutate], env: { GAMETAPE_MUTATION: 'forget-last' } };
    const { figures } = await runRounds({ rounds: 2, seed: 1, node });
    expect(figures.brokenAccepted).toBeGreaterThan(0);
  },
  limitOf(2),
);

async function killRelay(
  journal: string,
  rounds: number,
  options: Pick<ChaosOptions, 'args' | 'atEnd'> = {},
): Promise<ChaosOutcome> {
  console.log(`${journal}: seed ${SEED} (npm run chaos -- --rounds ${rounds} --seed ${SEED} repeats it)`);
  const outcome = await runRounds({ rounds, seed: SEED, ...options, say: (line) => console.log(line) });
  const { figures } = outcome;
  const line =
    `${journal}: ${figures.rounds} rounds, ${figures.events} events, ${figures.kills} kills, ${figures.returns} returns, ` +
    `lost accepted ${figures.lostAccepted + figures.brokenAccepted}, lost stable ${figures.lostStable + figures.brokenStable}, ` +
    `lost ${figures.lost}, twice ${figures.twice}, out of order ${figures.outOfOrder}, ${figures.seconds} s`;
  console.log(line);
  // For the last lines of `npm run chaos`.
  if (process.env.GAMETAPE_FIGURES) await appendFile(process.env.GAMETAPE_FIGURES, `${line}\n`);
  return outcome;
}

function expectNothingLost({ figures, problems }: ChaosOutcome): void {
  expect(problems, `seed ${SEED}`).toEqual([]);
  expect(figures, `seed ${SEED}`).toMatchObject(NOTHING_LOST);
  // There was a load, and everybody came back, or there was nothing to see.
  expect(figures.events).toBeGreaterThan(figures.rounds * 200);
  expect(figures.returns).toBeGreaterThanOrEqual(figures.rounds * 4);
}

/** A round takes some 4 s, and far more on a machine that does much else: this is for what never ends. */
function limitOf(rounds: number): number {
  return 120_000 + rounds * 30_000;
}
