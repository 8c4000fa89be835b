// Long runs of the chaos tests: npm run chaos -- --rounds 200 --seed 7
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' }, seed: { type: 'string' } } });
const env = { ...process.env, GAMETAPE_ROUNDS: values.rounds, ...(values.seed && { GAMETAPE_SEED: values.seed }) };
const { status } = spawnSync('npx', ['vitest', 'run', '--root', 'test', 'chaos'], { stdio: 'inherit', env });
process.exit(status ?? 1);
