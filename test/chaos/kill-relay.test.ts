import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { RelayProcess, readRecording } from '../support/relay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { tempDir } from '../support/temp-dir.ts';
import { runRounds } from './rounds.ts';

const ROUNDS = Number(process.env.GAMETAPE_ROUNDS ?? 10);
const SEED = Number(process.env.GAMETAPE_SEED ?? Math.floor(Math.random() * 2 ** 32));

// One seed gives one series of kills; where they hit depends on the machine as well.
test(`[J4, W2, W3] kill -9 of the relay under load, ${ROUNDS} rounds, seed ${SEED}: nothing lost, nothing twice`, {
  timeout: 30_000 + ROUNDS * 3_000,
}, async () => {
  console.info(`chaos: GAMETAPE_SEED=${SEED} GAMETAPE_ROUNDS=${ROUNDS}`);
  const relay = await RelayProcess.start(await tempDir());
  try {
    const rooms = ['calm', 'haunted'];
    const random = seededRandom(SEED);
    const { typists, ghosts } = await runRounds({
      relay,
      rooms,
      playersPerRoom: 3,
      hauntedRoom: 'haunted',
      rounds: ROUNDS,
      random,
    });
    for (const room of rooms) {
      const members = typists.filter((typist) => typist.room === room);
      const [first] = members;
      if (!first) throw new Error(`nobody is in ${room}`);
      const finalStates = members.map(({ player, session }) => [player, session.state] as const);
      const { recordingId } = await first.session.end();
      const recording = await readRecording(new Uint8Array(await readFile(relay.recordingPath(recordingId))));
      for (const { player, log } of members) {
        const own = recording.own.filter((entry) => entry.player === player);
        expect(own.map(({ pseq }) => pseq)).toEqual(own.map((_, index) => index + 1));
        const events = own.filter(({ type }) => type !== undefined).map(({ type, data }) => ({ type, data }));
        expect(events).toEqual(log);
        const summary = recording.summary.players.find(({ id }) => id === player);
        expect(summary).toMatchObject({ expected: own.length, received: own.length, gaps: [] });
      }
      for (const [player, state] of finalStates) expect(recording.states.get(player)).toEqual(state);
      for (const { player, messages } of ghosts.filter((ghost) => ghost.room === room)) {
        const said = recording.own.filter((entry) => entry.player === player).map(({ data }) => data.message);
        expect(said).toEqual(messages);
      }
      // A ghost never said how much it had recorded.
      expect(recording.summary.complete).toBe(room !== 'haunted');
    }
    expect(relay.log).not.toMatch(/"level":(50|60)/);
  } finally {
    await relay.kill();
  }
});
