import { parseArgs } from 'node:util';
import { ClockWorld } from './clock-world.ts';
import { ErrorStatistics } from './error-statistics.ts';

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    /** Rooms are run until so many events have been placed. */
    events: { type: 'string', default: '1000000' },
    /** This one alone. */
    seed: { type: 'string' },
  },
});

const errors = new ErrorStatistics();
const violations: string[] = [];
let [events, rooms, causalClamps, mapChanges] = [0, 0, 0, 0];
const isOne = values.seed !== undefined;
for (let seed = Number(values.seed ?? values.from); events < Number(values.events); seed += Number(values.step)) {
  const world = new ClockWorld(seed, errors);
  world.run();
  events += world.events;
  rooms++;
  mapChanges += world.mapChanges;
  causalClamps += world.causalClamps;
  violations.push(...world.violations);
  if (isOne) break;
}
console.log(JSON.stringify({ rooms, events, causalClamps, mapChanges, violations, rows: errors.rows() }));
