// All of the damage tests: npm run fuzz -- --seed 7 --count 20000
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    /** Of the random damages. */
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '4000' },
    /** The random damages alone, without every cut and every flipped bit. */
    random: { type: 'boolean', default: false },
  },
});
const shards = Math.max(1, Math.min(8, availableParallelism()));
const runs = Array.from({ length: shards }, (_, shard) => run(shard));
const codes = await Promise.all(runs);
process.exit(Math.max(...codes));

function run(shard) {
  const env = {
    ...process.env,
    GAMETAPE_FUZZ: values.random ? '' : 'all',
    GAMETAPE_SEED: values.seed,
    GAMETAPE_COUNT: values.count,
    GAMETAPE_SHARD: `${shard}/${shards}`,
  };
  const child = spawn('npx', ['vitest', 'run', '--root', 'test', 'fuzz'], { stdio: 'inherit', env });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}
