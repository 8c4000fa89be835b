// Long runs of the chaos tests: npm run chaos -- --rounds 200 --seed 7
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    races: { type: 'string', default: '1000' },
    seed: { type: 'string' },
  },
});
const env = {
  ...process.env,
  GAMETAPE_ROUNDS: values.rounds,
  GAMETAPE_RACES: values.races,
  ...(values.seed && { GAMETAPE_SEED: values.seed }),
};
const { status } = spawnSync('npx', ['vitest', 'run', '--root', 'test', 'chaos'], { stdio: 'inherit', env });
process.exit(status ?? 1);
