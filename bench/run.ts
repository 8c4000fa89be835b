import { parseArgs } from 'node:util';
import { browserSize } from './browser-size.ts';
import { convertMemory } from './convert-memory.ts';
import { fileSize } from './file-size.ts';
import { journals } from './journals.ts';
import { openSeek } from './open-seek.ts';
import { readWrite } from './read-write.ts';
import { recovery } from './recovery.ts';
import { relayCpu } from './relay-cpu.ts';
import { spectators } from './spectators.ts';
import type { Bench, BenchOptions } from './support/bench.ts';
import { machineLine } from './support/machine.ts';
import { number, printLine } from './support/print.ts';
import { wire } from './wire.ts';

const BENCHES: readonly Bench[] = [
  fileSize,
  readWrite,
  openSeek,
  convertMemory,
  recovery,
  browserSize,
  wire,
  relayCpu,
  spectators,
  journals,
];

const USAGE = `Usage: npm run bench -- [name...] [options]

${BENCHES.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}

  --trace FILE     an editing trace, instead of the usual three; may be repeated
  --events N       only the first N edits of each trace, for ours and for every peer
  --rooms R        relay-cpu: rooms of four players (20)
  --seconds S      relay-cpu, journals: seconds measured (6)
  --rounds N       relay-cpu: times that both sides are run (3)
  --profile DIR    relay-cpu: CPU profiles of the relay go there
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    trace: { type: 'string', multiple: true, default: [] },
    events: { type: 'string' },
    rooms: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '3' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) printLine(USAGE);
else await runAll(chosen(positionals));

async function runAll(benches: readonly Bench[]): Promise<void> {
  const options: BenchOptions = {
    traces: values.trace,
    limit: values.events === undefined ? undefined : count('events', values.events),
    rooms: count('rooms', values.rooms),
    seconds: count('seconds', values.seconds),
    rounds: count('rounds', values.rounds),
    profile: values.profile,
  };
  printLine(machineLine());
  for (const bench of benches) {
    printLine(`\n# ${bench.name}: ${bench.about}`);
    const startedAt = performance.now();
    await bench.run(options);
    printLine(`\n(${bench.name} took ${number((performance.now() - startedAt) / 1_000)} s)`);
  }
}

function chosen(names: readonly string[]): readonly Bench[] {
  if (names.length === 0) return BENCHES;
  return names.map((name) => {
    const bench = BENCHES.find((candidate) => candidate.name === name);
    if (!bench) throw new Error(`there is no bench ${name}\n\n${USAGE}`);
    return bench;
  });
}

function count(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name}: expected a whole number from 1, found ${text}`);
  return value;
}
