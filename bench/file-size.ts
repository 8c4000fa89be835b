import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NODE_COMPRESSION } from '@gametape/server';
import { BytesSource, RecordingReader } from '@gametape/shared';
import { lmspJson, ndjsonLines } from '@gametape/shared/lmsp';
import type { Bench, BenchOptions } from './support/bench.ts';
import { gzipSize, xzSize } from './support/compressed-size.ts';
import { filePartsOf } from './support/file-parts.ts';
import { mcapSizes } from './support/mcap-sizes.ts';
import { peerEvents } from './support/peer-events.ts';
import { number, printLine, printTable, ratio, verdict, warn } from './support/print.ts';
import { rrwebSize } from './support/rrweb-size.ts';
import { matchesPython, seedDeltaJson } from './support/seed-delta.ts';
import { GAMETAPE, startRelayProcess } from './support/server-process.ts';
import { typeOffline } from './support/trace-session.ts';
import { loadTraces, type NamedTrace } from './support/traces.ts';

/** As `gametape convert` writes it. Python's 9, which the seed uses, makes files 1 % smaller in more than twice the time. */
const SEED_LEVEL = 6;
/** Goals of the design and the issue, for the traces that have one. */
const GOALS: Readonly<Record<string, { perEvent: number; ofXz: number; seedTimes: number }>> = {
  friendsforever: { perEvent: 6, ofXz: 0.6, seedTimes: 12 },
  rustcode: { perEvent: 12, ofXz: 1, seedTimes: 500 },
};
const OF_MCAP = 0.5;

export const fileSize: Bench = {
  name: 'file-size',
  about: "bytes of a recording, against the seed document's forms, NDJSON with edits, MCAP and rrweb's packer",
  run: async (options) => {
    const traces = await loadTraces(options);
    for (const trace of traces) {
      await measureOffline(trace);
      await measureRelayed(trace, options);
    }
    await checkSeedDelta(traces);
  },
};

/** The trace as the session that it was: recorded at the times that it tells. */
async function measureOffline({ name, trace }: NamedTrace): Promise<void> {
  const bytes = await (await typeOffline([{ name, trace }])).toBytes();
  const source = new BytesSource(bytes, name);
  const reader = await RecordingReader.open(source, NODE_COMPRESSION);
  const events = reader.summary?.events ?? 0;
  const goals = GOALS[name];
  const untimed = { ...trace, edits: trace.edits.map((edit) => ({ ...edit, timeMs: 0 })) };
  const rhythmic = await (await typeOffline([{ name, trace: untimed }])).toBytes();
  // Gigabytes of text each: in turns they would take twice as long.
  const [seed, delta] = await Promise.all([
    gzipSize(lmspJson(reader), SEED_LEVEL),
    gzipSize(seedDeltaJson(reader), SEED_LEVEL),
  ]);
  const gzip = await gzipSize(ndjsonLines(reader), 6);
  const xz = await xzSize(ndjsonLines(reader));
  const peers = await peerEvents(reader);
  const mcap = await mcapSizes(peers);
  const smallest = mcap.best.reduce((best, size) => (size.bytes < best.bytes ? size : best));
  const per = (size: number) => number(size / events);
  const peer = (title: string, size: number, goal?: number) => [
    title,
    number(size),
    per(size),
    ratio(bytes.length, size),
    goal === undefined ? '' : verdict(bytes.length / size, { atMost: goal }),
  ];
  printTable(`${name}: ${number(trace.edits.length)} edits, ${number(events)} events, ${reader.blocks.length} blocks`, [
    ['', 'bytes', 'an event', 'ours / peer'],
    [
      '.lmsp',
      number(bytes.length),
      per(bytes.length),
      '',
      goals ? verdict(bytes.length / events, { atMost: goals.perEvent }) : '',
    ],
    ['.lmsp, times of a lognormal typist', number(rhythmic.length), per(rhythmic.length)],
    peer('NDJSON with edits, gzip -6', gzip.compressed),
    ...(xz ? [peer('NDJSON with edits, xz -9', xz.compressed, goals?.ofXz)] : []),
    peer(mcap.usual.name, mcap.usual.bytes, OF_MCAP),
    ...mcap.best.map((size) => peer(size.name, size.bytes, size === smallest ? OF_MCAP : undefined)),
    peer(mcap.seekable.name, mcap.seekable.bytes),
    peer("rrweb's packer, events one by one", rrwebSize(peers)),
    peer(`seed's JSON, gzip -${SEED_LEVEL}`, seed.compressed),
    peer(`seed's JSON, delta form, gzip -${SEED_LEVEL}`, delta.compressed),
  ]);
  if (!xz) warn('there is no xz binary: no xz -9 figure');
  printTable('against the seed', [
    [
      'times smaller than .lmsp.gz',
      number(seed.compressed / bytes.length),
      goals ? verdict(seed.compressed / bytes.length, { atLeast: goals.seedTimes }) : '',
    ],
    ['times smaller than its delta form', number(delta.compressed / bytes.length)],
    ['its JSON before gzip, and its delta form', number(seed.raw), number(delta.raw)],
  ]);
  const parts = [...(await filePartsOf(source))].sort(([, a], [, b]) => b.deflated - a.deflated);
  printTable('by part (deflated alone: shares, not exact bytes)', [
    ['', 'raw', 'deflated', 'an event'],
    ...parts.map(([part, { raw, deflated }]) => [part, number(raw), number(deflated), per(deflated)]),
  ]);
}

/** The same by bots through a relay, as fast as they can. */
async function measureRelayed({ name, path, trace }: NamedTrace, { limit }: BenchOptions): Promise<void> {
  if (path === undefined)
    return warn(`${name}: bots type files, this trace is generated: no recording of a real relay`);
  const relay = await startRelayProcess();
  const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
  try {
    const args = [
      'bots',
      '--url',
      relay.wsUrl,
      '--room',
      'bench',
      '--trace',
      path,
      '--speed',
      'max',
      '--end',
      '--json',
    ];
    const limits = limit === undefined ? [] : ['--limit', String(limit)];
    const { stdout } = await promisify(execFile)(process.execPath, [GAMETAPE, ...args, ...limits], { cwd: home });
    const { recording } = JSON.parse(stdout) as { recording: { path: string; complete: boolean } };
    const bytes = await readFile(recording.path);
    const reader = await RecordingReader.open(new BytesSource(bytes, recording.path), NODE_COMPRESSION);
    const events = reader.summary?.events ?? 0;
    printTable(`${name}: as a real relay records it, typed by \`gametape bots --speed max\``, [
      ['', 'bytes', 'events', 'an event', 'complete'],
      ['.lmsp', number(bytes.length), number(events), number(bytes.length / events), String(recording.complete)],
      ['edits typed', '', number(trace.edits.length)],
    ]);
  } finally {
    await relay.stop();
    await rm(home, { recursive: true, force: true });
  }
}

/** The delta form is made by our DeltaCompressor: on the shortest trace, the seed's own says whether it is the same. */
async function checkSeedDelta(traces: readonly NamedTrace[]): Promise<void> {
  const [shortest] = traces.toSorted((a, b) => a.trace.edits.length - b.trace.edits.length);
  if (!shortest) return;
  const bytes = await (await typeOffline([shortest])).toBytes();
  const matches = await matchesPython(await RecordingReader.open(new BytesSource(bytes), NODE_COMPRESSION));
  if (matches === undefined)
    return warn("there is no python3 or no ../shared/seed: the seed's delta form is unchecked");
  printLine();
  printLine(
    `The delta form of ${shortest.name} is ${matches ? '' : 'NOT '}byte for byte what the seed's Python makes.`,
  );
}
