import { expect, test } from 'vitest';
import { hasRedis, RedisServer } from '../support/redis-server.ts';
import { runRounds } from './rounds.ts';

const ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 10);
const REDIS_ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 4);
const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(
  `[J4] [W2] [W3] nothing is lost, twice or out of order when the relay is killed ${ROUNDS} times under load`,
  () => killRelay(ROUNDS),
  limitOf(ROUNDS),
);

test.skipIf(!hasRedis)(
  `[J4] [W2] [W3] the same for ${REDIS_ROUNDS} times with its journal in Redis`,
  async () => {
    const redis = await RedisServer.start();
    await killRelay(REDIS_ROUNDS, ['--redis', redis.url]);
    expect(redis.cli('SCARD', 'gt:rooms').trim()).toBe('0');
  },
  limitOf(REDIS_ROUNDS),
);

async function killRelay(rounds: number, args: readonly string[] = []): Promise<void> {
  console.log(`seed ${SEED} (GAMETAPE_SEED=${SEED} GAMETAPE_ROUNDS=${ROUNDS} repeats it)`);
  const outcomes = await runRounds({ rounds, seed: SEED, args, say: (line) => console.log(line) });
  for (const { room, players, lost, complete, recording } of outcomes) {
    const { own, states, summary } = recording;
    for (const { id, log, state } of players) {
      const where = `seed ${SEED}, ${room}, player ${id}`;
      const recorded = own.filter(({ player, type }) => player === id && type !== undefined);
      expect(log.length, where).toBeGreaterThan(100);
      expect(
        recorded.map(({ data }) => data.n),
        where,
      ).toEqual(log);
      expect(states.get(id), where).toEqual(state);
      const inSummary = summary.players.find((player) => player.id === id);
      expect(inSummary, where).toMatchObject({ expected: log.length, received: log.length, gaps: [] });
    }
    // Nobody knows what else a lost player had: everything of the others is here.
    const unknown = summary.players.filter(({ expected }) => expected === null).map(({ id }) => id);
    expect([complete, unknown], `seed ${SEED}, ${room}`).toEqual(lost ? [false, [lost.id]] : [true, []]);
    const heard = own.filter(({ player }) => player === lost?.id).map(({ data }) => data.message);
    expect(heard, `seed ${SEED}, ${room}: what was accepted of a lost player`).toEqual(lost?.accepted ?? []);
  }
}

/** A round takes its time under load and the players' backoff: 12 s are never needed. */
function limitOf(rounds: number): number {
  return 20_000 + rounds * 12_000;
}
