import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_COMPRESSION } from '@gametape/server';
import { type ByteSource, canonicalJson, type JsonObject } from '@gametape/shared';
import type { Bench } from './support/bench.ts';
import { CountingSource } from './support/counting-source.ts';
import { longSession, PLAYERS } from './support/long-session.ts';
import { writeMcap } from './support/mcap-file.ts';
import { McapTape, withKeyframes } from './support/mcap-states.ts';
import { peerEvents } from './support/peer-events.ts';
import { number, printLine, printTable, ratio, verdict } from './support/print.ts';
import { openTape, seededRandom } from './support/private-parts.ts';
import { sampleOf, titleOf } from './support/sample.ts';
import { mean, median, percentile } from './support/statistics.ts';

const SEEKS = 600;
const SEED = 1;
const GOALS = { openReads: 2, openMs: 5, seekReads: 1, seekP99Ms: 5 };
const KIB = 1024;
const MCAP_CHUNKS = [1_024 * KIB, 128 * KIB] as const;

/** What both sides can do. */
interface SeekableTape {
  readonly players: readonly unknown[];
  readonly checkpoints: readonly unknown[];
  statesAt(time: number): Promise<Map<string, JsonObject>>;
}

interface Side {
  readonly name: string;
  readonly bytes: number;
  readonly source: CountingSource;
  open(source: ByteSource): Promise<SeekableTape>;
}

/** Milliseconds, those of the processor among them, and reads of each time that something was done. */
class Costs {
  readonly ms: number[] = [];
  /** On a machine that others use too, the p99 of `ms` tells of them. */
  readonly cpuMs: number[] = [];
  readonly reads: number[] = [];

  async measure<Result>({ source }: Side, work: () => Promise<Result>): Promise<Result> {
    const before = source.reads;
    const startedAt = performance.now();
    const cpuBefore = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(cpuBefore);
    this.ms.push(performance.now() - startedAt);
    this.cpuMs.push((user + system) / 1_000);
    this.reads.push(source.reads - before);
    return result;
  }
}

interface Measured {
  readonly open: Costs;
  /** A new tape for every seek, opening it included. */
  readonly cold: Costs;
  /** One tape for all. */
  readonly warm: Costs;
}

export const openSeek: Bench = {
  name: 'open-seek',
  about: 'opening an hour of eight players and seeking to random times, reads and ms, against MCAP with keyframes',
  run: async () => {
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    const path = await longSession();
    const bytes = await readFile(path);
    const sample = await sampleOf(`an hour of ${PLAYERS} players`, bytes);
    printLine();
    printLine(`${titleOf(sample)}; ${SEEKS} random times, the sides in turns`);
    const sides: Side[] = [await ourSide(path, bytes.length)];
    try {
      const events = await peerEvents(sample.reader);
      const names = sample.reader.checkpoints.map(({ name }) => name);
      for (const chunkBytes of MCAP_CHUNKS) {
        const file = await writeMcap(withKeyframes(events), { chunkBytes, metadataNames: names });
        const mcapPath = join(home, `${chunkBytes}.mcap`);
        await writeFile(mcapPath, file);
        sides.push(await mcapSide(`MCAP, chunks of ${number(chunkBytes / KIB)} KiB`, mcapPath, file.length));
      }
      await checkEqual(sides, sample.reader.durationUs / 1_000_000);
      printResults(await measure(sides, sample.reader.durationUs / 1_000_000));
    } finally {
      for (const { source } of sides) await source.close();
      await rm(home, { recursive: true, force: true });
    }
  },
};

async function ourSide(path: string, bytes: number): Promise<Side> {
  const source = await CountingSource.open(path);
  return { name: 'ours', bytes, source, open: (from) => openTape(from, NODE_COMPRESSION) };
}

async function mcapSide(name: string, path: string, bytes: number): Promise<Side> {
  return { name, bytes, source: await CountingSource.open(path), open: (from) => McapTape.open(from) };
}

/** Sides that give different states cannot be compared. */
async function checkEqual(sides: readonly Side[], duration: number): Promise<void> {
  const random = seededRandom(SEED);
  for (let i = 0; i < 20; i++) {
    const time = random() * duration;
    const given = await Promise.all(
      sides.map(async ({ source, open }) => {
        const states = [...(await (await open(source)).statesAt(time))].sort(([a], [b]) => (a < b ? -1 : 1));
        return canonicalJson(Object.fromEntries(states));
      }),
    );
    if (new Set(given).size > 1) throw new Error(`at ${time} s the states of the sides differ`);
  }
}

async function measure(sides: readonly Side[], duration: number): Promise<Map<Side, Measured>> {
  const random = seededRandom(SEED + 1);
  const measured = new Map<Side, Measured>();
  const warm = new Map<Side, SeekableTape>();
  for (const side of sides) {
    measured.set(side, { open: new Costs(), cold: new Costs(), warm: new Costs() });
    warm.set(side, await side.open(side.source));
  }
  for (let i = 0; i < SEEKS; i++) {
    const time = random() * duration;
    for (const [side, costs] of measured) {
      await costs.open.measure(side, async () => {
        const { players, checkpoints } = await side.open(side.source);
        if (players.length !== PLAYERS || checkpoints.length === 0) throw new Error(`${side.name}: not all is listed`);
      });
      await costs.cold.measure(side, async () => (await side.open(side.source)).statesAt(time));
      await costs.warm.measure(side, async () => warm.get(side)?.statesAt(time));
    }
  }
  return measured;
}

function printResults(measured: ReadonlyMap<Side, Measured>): void {
  const [ours] = measured.values();
  if (!ours) return;
  const table = (title: string, pick: (costs: Measured) => Costs, goals: (costs: Costs) => readonly string[]) => {
    const rows = [...measured].map(([{ name, bytes }, costs]) => {
      const { ms, cpuMs, reads } = pick(costs);
      const [p50, p99] = [median(ms), percentile(ms, 0.99)];
      const isOurs = costs === ours;
      return [
        name,
        number(p50),
        number(p99),
        number(median(cpuMs)),
        number(percentile(cpuMs, 0.99)),
        number(mean(reads)),
        number(Math.max(...reads)),
        number(bytes),
        isOurs ? '' : ratio(median(pick(ours).ms), p50),
        isOurs ? '' : ratio(percentile(pick(ours).ms, 0.99), p99),
        isOurs ? goals(pick(costs)).join(', ') : '',
      ];
    });
    const head = ['', 'p50 ms', 'p99 ms', 'CPU p50', 'p99', 'reads', 'most', 'file bytes', 'ours / peer p50', 'p99'];
    printTable(title, [head, ...rows]);
  };
  table(
    'open, players and checkpoints listed',
    ({ open }) => open,
    ({ ms, reads }) => [
      `reads: ${verdict(Math.max(...reads), { atMost: GOALS.openReads })}`,
      `p50: ${verdict(median(ms), { atMost: GOALS.openMs })}`,
    ],
  );
  table(
    'state of all players at a random time, cold: a new tape each, its opening included',
    ({ cold }) => cold,
    ({ ms, cpuMs, reads }) => [
      `reads: ${verdict(Math.max(...reads), { atMost: GOALS.openReads + GOALS.seekReads })}`,
      `p99: ${verdict(percentile(ms, 0.99), { atMost: GOALS.seekP99Ms })}`,
      `CPU p99: ${verdict(percentile(cpuMs, 0.99), { atMost: GOALS.seekP99Ms })}`,
    ],
  );
  table(
    'state of all players at a random time, warm: one tape',
    ({ warm }) => warm,
    ({ ms, cpuMs, reads }) => [
      `reads: ${verdict(Math.max(...reads), { atMost: GOALS.seekReads })}`,
      `p99: ${verdict(percentile(ms, 0.99), { atMost: GOALS.seekP99Ms })}`,
      `CPU p99: ${verdict(percentile(cpuMs, 0.99), { atMost: GOALS.seekP99Ms })}`,
    ],
  );
}
