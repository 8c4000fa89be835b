// Clocks and the timeline in virtual time: npm run simulate -- --clocks --events 10000000
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MAIN = fileURLToPath(new URL('../test/dist/simulation/clocks/main.js', import.meta.url));
const SHOWN_VIOLATIONS = 20;

/** Runs rooms on all cores, and prints what was found and how exact times were. True when nothing was found. */
export async function simulateClocks({ from, seed, events, json }) {
  const shards = seed === undefined ? availableParallelism() : 1;
  const share = String(Math.ceil(Number(events) / shards));
  const started = performance.now();
  const results = await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const args = ['--from', String(Number(from) + shard), '--step', String(shards), '--events', share];
      if (seed !== undefined) args.push('--seed', seed);
      const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], { maxBuffer: 64 * 1024 * 1024 });
      return JSON.parse(stdout);
    }),
  );
  const sum = (name) => results.reduce((total, result) => total + result[name], 0);
  const violations = results.flatMap((result) => result.violations);
  // Groups are of each process by itself: the worst of them counts.
  const rows = new Map();
  for (const row of results.flatMap((result) => result.rows)) {
    const before = rows.get(row.group) ?? { count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0, boundP50Ms: 0 };
    const worst = (name) => Math.max(before[name], row[name]);
    rows.set(row.group, {
      group: row.group,
      count: before.count + row.count,
      p50Ms: worst('p50Ms'),
      p99Ms: worst('p99Ms'),
      maxMs: worst('maxMs'),
      boundP50Ms: worst('boundP50Ms'),
    });
  }
  const report = {
    rooms: sum('rooms'),
    events: sum('events'),
    violations: violations.length,
    causalClamps: sum('causalClamps'),
    mapChanges: sum('mapChanges'),
    seconds: Math.round((performance.now() - started) / 1_000),
    rows: [...rows.values()].sort((a, b) => (a.group < b.group ? -1 : 1)),
  };
  for (const violation of violations.slice(0, SHOWN_VIOLATIONS)) console.log(violation);
  if (json) console.log(JSON.stringify(report));
  else {
    console.log(`${report.rooms} rooms, ${report.events} events, ${report.violations} violations, ${report.seconds} s`);
    console.log(`${report.causalClamps} causal clamps of players in health, ${report.mapChanges} changes of maps`);
    console.log(`${'error in ms'.padEnd(48)}   events      p50      p99      max   bound`);
    for (const { group, count, ...ms } of report.rows) {
      const cells = [ms.p50Ms, ms.p99Ms, ms.maxMs, ms.boundP50Ms].map((value) => value.toFixed(2).padStart(9));
      console.log(`${group.padEnd(48)}${String(count).padStart(9)}${cells.join('')}`);
    }
  }
  return violations.length === 0 && report.events > 0;
}
