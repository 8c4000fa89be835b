import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './support/bench.ts';
import { HOUR_OF_EDITS, longSession, PLAYERS } from './support/long-session.ts';
import { type PeakMemory, peakMemory } from './support/peak-memory.ts';
import { number, printTable, verdict } from './support/print.ts';
import { sampleAt } from './support/sample.ts';
import { GAMETAPE } from './support/server-process.ts';

const REWRITE = fileURLToPath(new URL('./processes/rewrite.js', import.meta.url));
const PARTS = 4;
/** No growth with the file is the rule (R6); a heap that has room takes some before it collects. */
const MOST_GROWTH = 1.25;

/** What is done with a session, in its order: what one writes, a later one reads. */
const WORKS: readonly { readonly name: string; run(stem: string): Promise<PeakMemory> }[] = [
  { name: 'read and write anew', run: (stem) => peakMemory(REWRITE, [`${stem}.lmsp`, `${stem}.again`]) },
  { name: 'convert .lmsp to .ndjson', run: (stem) => convert(`${stem}.lmsp`, `${stem}.ndjson`) },
  { name: 'convert .lmsp to .lmsp.gz', run: (stem) => convert(`${stem}.lmsp`, `${stem}.lmsp.gz`) },
  { name: 'convert .lmsp.gz to .lmsp', run: (stem) => convert(`${stem}.lmsp.gz`, `${stem}.back.lmsp`) },
];

export const convertMemory: Bench = {
  name: 'convert-memory',
  about: 'peak memory of `gametape convert` on an hour of eight players and on a quarter of it (R6)',
  run: async () => {
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    try {
      const short = await sessionAt(join(home, 'short'), HOUR_OF_EDITS / PARTS);
      const long = await sessionAt(join(home, 'long'), HOUR_OF_EDITS);
      const idle = await peakMemory(GAMETAPE, ['--version']);
      const rows: string[][] = [];
      for (const { name, run } of WORKS) {
        const [less, more] = [await run(short.stem), await run(long.stem)];
        const growth = more.peakMiB / less.peakMiB;
        const slope = ((more.peakMiB - less.peakMiB) * 100_000) / (long.events - short.events);
        rows.push([
          name,
          number(less.peakMiB),
          number(more.peakMiB),
          `${number(growth)}x`,
          number(slope),
          number(more.seconds),
          verdict(growth, { atMost: MOST_GROWTH }),
        ]);
      }
      printTable(`peak RSS, MiB: ${PLAYERS} players, ${number(short.events)} and ${number(long.events)} events`, [
        ['', 'a quarter', 'the hour', 'growth', 'MiB / 100k events', 'the hour, s'],
        ['gametape --version', number(idle.peakMiB)],
        ...rows,
      ]);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
};

/** A link to it, so that what is written lands elsewhere. */
async function sessionAt(stem: string, edits: number): Promise<{ stem: string; events: number }> {
  const path = await longSession(edits);
  await symlink(path, `${stem}.lmsp`);
  return { stem, events: (await sampleAt(stem, path)).events };
}

function convert(from: string, to: string): Promise<PeakMemory> {
  return peakMemory(GAMETAPE, ['convert', from, '--output', to]);
}
