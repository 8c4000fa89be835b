import { parseArgs } from 'node:util';
import { type RunResult, World } from './world.ts';

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

for (let i = 0, seed = Number(values.from); i < Number(values.seeds); i++, seed += Number(values.step)) {
  const cpu = process.cpuUsage();
  const world = new World(seed, values.trace ? (line) => console.error(line) : undefined);
  const result: RunResult = await world.run();
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({ ...result, cpuMs: Math.round((user + system) / 1_000) }));
}
