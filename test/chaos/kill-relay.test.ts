import { expect, test } from 'vitest';
import { runRounds } from './rounds.ts';

const ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 10);
const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** A round takes its time under load and the players' backoff: 12 s are never needed. */
const LIMIT_MS = 20_000 + ROUNDS * 12_000;

test(
  `[J4] [W2] [W3] nothing is lost, twice or out of order when the relay is killed ${ROUNDS} times under load`,
  async () => {
    console.log(`seed ${SEED} (GAMETAPE_SEED=${SEED} GAMETAPE_ROUNDS=${ROUNDS} repeats it)`);
    const outcomes = await runRounds({ rounds: ROUNDS, seed: SEED, say: (line) => console.log(line) });
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
  },
  LIMIT_MS,
);
