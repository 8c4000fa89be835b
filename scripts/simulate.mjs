// Seeded runs of clients, relay, journal and network in virtual time: npm run simulate -- --seeds 10000
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MUTATIONS } from './mutations.mjs';
import { simulateClocks } from './simulate-clocks.mjs';

const MAIN = fileURLToPath(new URL('../test/dist/simulation/main.js', import.meta.url));
const MUTATE = new URL('./mutate.mjs', import.meta.url).href;
const SHOWN_FAILURES = 20;

const { values } = parseArgs({
  options: {
    /** How many seeds, from `--from` on. */
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    /** One seed alone; with `--trace`, every step of it on stderr. */
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    /** Puts a fault into the product, as it is loaded; `all` tries each: every one has to be found. */
    mutate: { type: 'string' },
    json: { type: 'boolean', default: false },
    /** Clocks and the timeline alone: rooms until so many events have been placed and checked. */
    clocks: { type: 'boolean', default: false },
    events: { type: 'string', default: '1000000' },
  },
});
if (values.clocks) process.exit((await simulateClocks(values)) ? 0 : 1);
const from = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const names = values.mutate === 'all' ? Object.keys(MUTATIONS) : [values.mutate];
const unknown = names.find((name) => name !== undefined && !MUTATIONS[name]);
if (unknown !== undefined) {
  console.error(`simulate: there is no mutation ${unknown}; there are ${Object.keys(MUTATIONS).join(', ')}, and all`);
  process.exit(2);
}

let isGood = true;
for (const name of names) isGood = (await (name === undefined ? simulate() : hunt(name))) && isGood;
process.exit(isGood ? 0 : 1);

/** All seeds; true when none has found anything. */
async function simulate() {
  const startedAt = performance.now();
  const results = await runSeeds();
  const failed = results.filter(({ violations }) => violations.length > 0);
  for (const { seed, troubles, violations } of failed.slice(0, SHOWN_FAILURES)) {
    console.log(`seed ${seed} (${troubles.join(', ')}): npm run simulate -- --seed ${seed}`);
    for (const violation of violations) console.log(`  ${violation}`);
  }
  const sum = (name) => results.reduce((total, result) => total + result[name], 0);
  const sorted = results.map(({ seed, hash }) => `${seed} ${hash}`).sort();
  const hash =
    count === 1 ? results[0]?.hash : createHash('sha256').update(sorted.join('\n')).digest('hex').slice(0, 16);
  const isComplete = results.length === count;
  const report = {
    seeds: results.length,
    failed: failed.map(({ seed }) => seed),
    hash,
    virtualS: Math.round(sum('virtualMs') / 1_000),
    cpuS: Math.round(sum('cpuMs') / 100) / 10,
    virtualToCpu: Math.round(sum('virtualMs') / sum('cpuMs')),
    virtualToReal: Math.round(sum('virtualMs') / (performance.now() - startedAt)),
    events: sum('events'),
    steps: sum('steps'),
  };
  if (values.json) console.log(JSON.stringify(report));
  else {
    const { virtualS, cpuS, virtualToCpu, virtualToReal, events } = report;
    console.log(`${report.seeds} seeds, ${failed.length} failed, trace hash ${hash}`);
    console.log(`${virtualS} s of virtual time, ${events} events recorded, ${cpuS} s of CPU`);
    console.log(`virtual to CPU time ${virtualToCpu}:1, to real time ${virtualToReal}:1`);
  }
  if (!isComplete) console.error(`simulate: ${count - results.length} seeds gave no result`);
  return isComplete && failed.length === 0;
}

/** Looks for a seed that finds the mutation; true when there is one. */
async function hunt(name) {
  const isFound = ({ violations }) => violations.length > 0;
  const results = await runSeeds(name, isFound);
  const found = results.filter(isFound).sort((a, b) => a.seed - b.seed)[0];
  if (!found && results.length < count) {
    console.log(`${name}: ${count - results.length} of ${count} seeds gave no result`);
    return false;
  }
  console.log(found ? `${name}: seed ${found.seed}: ${found.violations[0]}` : `${name}: not found by ${count} seeds`);
  return found !== undefined;
}

/** Runs the seeds in as many processes as there are cores, until `isEnough` of a result. */
async function runSeeds(mutation, isEnough = () => false) {
  const shards = Math.max(1, Math.min(availableParallelism(), count));
  const results = [];
  const children = [];
  const runs = Array.from({ length: shards }, (_, shard) => {
    const share = Math.floor((count - shard - 1) / shards) + 1;
    const args = [...(mutation ? ['--import', MUTATE] : []), MAIN];
    args.push('--from', String(from + shard), '--step', String(shards), '--seeds', String(share));
    if (values.trace) args.push('--trace');
    const env = { ...process.env, ...(mutation && { GAMETAPE_MUTATION: mutation }) };
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
    children.push(child);
    createInterface(child.stdout).on('line', (line) => {
      const result = JSON.parse(line);
      results.push(result);
      if (isEnough(result)) for (const other of children) other.kill();
    });
    return new Promise((resolve) => child.on('close', resolve));
  });
  await Promise.all(runs);
  return results;
}
