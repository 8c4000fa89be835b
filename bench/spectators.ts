import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bench, BenchOptions } from './support/bench.ts';
import { journalRoom } from './support/journaled-room.ts';
import { leaveFiles } from './support/left-journal.ts';
import { runLoad } from './support/load-process.ts';
import { HOUR_OF_EDITS, longTypists } from './support/long-session.ts';
import { number, printLine, printTable, ratio, verdict, warn } from './support/print.ts';
import { startBareRelay, startRelayProcess } from './support/server-process.ts';
import { median, percentile } from './support/statistics.ts';
import { typeOffline } from './support/trace-session.ts';
import type { Phase, WatchOrder, WatchResult } from './support/watch-load.ts';

const ROOM = 'hour';
const SPECTATORS = 1_000;
const QUIET_SECONDS = 6;
const EVENTS_PER_SECOND = 10;
const LOOP_DELAY = new URL('./processes/report-loop-delay.js', import.meta.url).href;
const CORES = { server: 0, load: 1 };
const GOAL_FIRST_FRAME_MS = 50;
/** What a player may notice of a thousand who come to watch. */
const GOAL_DISTURBANCE_MS = 10;

export const spectators: Bench = {
  name: 'spectators',
  about:
    'a thousand come within a second to watch eight players in a room of an hour: what they wait for, what players notice',
  run: async (options) => {
    if (!existsSync('/proc/self/stat'))
      return warn('CPU of another process is read from /proc: spectators needs Linux');
    const home = await mkdtemp(join(tmpdir(), 'gametape-bench-'));
    try {
      const typists = await longTypists(HOUR_OF_EDITS);
      const room = await typeOffline(typists);
      const left = await leaveFiles(home, async (journal) => {
        await journalRoom(journal, ROOM, room.timeline(), room.players);
      });
      const { dataDir = '' } = (await left.copy()).options;
      // They come back to the texts that they had.
      const rest = await longTypists(HOUR_OF_EDITS, HOUR_OF_EDITS);
      const players = rest.map(({ name, trace }) => ({ name, text: trace.startContent }));
      await measureAll(dataDir, players, options);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
};

async function measureAll(
  home: string,
  players: WatchOrder['players'],
  { rounds, profile }: BenchOptions,
): Promise<void> {
  const ours: WatchResult[] = [];
  const bare: WatchResult[] = [];
  for (let round = 0; round < rounds; round++) {
    const own = await measure('ours', players, { home, profile });
    ours.push(own);
    bare.push(await measure('bare', players, { snapshotBytes: own.snapshotBytes }));
  }
  print(ours, bare);
}

async function measure(
  side: WatchOrder['side'],
  players: WatchOrder['players'],
  { home, profile, snapshotBytes = 0 }: { home?: string; profile?: string | undefined; snapshotBytes?: number },
): Promise<WatchResult> {
  const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const nodeOptions = ['--import', LOOP_DELAY, ...profiling];
  const loopDelayFile = join(tmpdir(), `gametape-bench-loop-${process.pid}.json`);
  process.env.LOOP_DELAY_FILE = loopDelayFile;
  const server =
    side === 'bare'
      ? await startBareRelay({ core: CORES.server, nodeOptions })
      : await startRelayProcess({ core: CORES.server, nodeOptions, ...(home !== undefined && { copyOf: home }) });
  try {
    const rates = { spectators: SPECTATORS, joinSeconds: 1, quietSeconds: QUIET_SECONDS };
    const room = { room: ROOM, players, eventsPerSecond: EVENTS_PER_SECOND, snapshotBytes, loopDelayFile };
    const order: WatchOrder = { side, wsUrl: server.wsUrl, serverPid: server.pid, ...rates, ...room };
    const result = await runLoad<WatchOrder, WatchResult>('watch', order, CORES.load);
    const { firstFramesMs, before, joining, watched } = result;
    const players99 = [before, joining, watched].map(({ p99Ms }) => number(p99Ms)).join(', ');
    printLine(
      `  ${side}: ${firstFramesMs.length} of ${SPECTATORS} there, first picture p50 ${number(median(firstFramesMs))} ms; players p99 before, while and after they come: ${players99} ms`,
    );
    return result;
  } finally {
    await server.stop();
    await rm(loopDelayFile, { force: true });
  }
}

function print(ours: readonly WatchResult[], bare: readonly WatchResult[]): void {
  const row = (name: string, pick: (result: WatchResult) => number): string[] => {
    const [own, peer] = [median(ours.map(pick)), median(bare.map(pick))];
    return [name, number(own), number(peer), ratio(own, peer)];
  };
  const frames = (share: number) => (result: WatchResult) => percentile(result.firstFramesMs, share);
  const phases = (['before', 'joining', 'watched'] as const).flatMap((phase) => [
    row(`players' latency p50, ${phase}, ms`, (result) => result[phase].p50Ms),
    row(`players' latency p99, ${phase}, ms`, (result) => result[phase].p99Ms),
    row(`server's event loop late p99, ${phase}, ms`, (result) => result[phase].loop.p99Ms),
    row(`server CPU, ${phase}, % of a core`, (result) => share(result[phase])),
  ]);
  const bytes = number(ours[0]?.snapshotBytes ?? 0);
  const disturbance = median(ours.map(({ before, joining }) => joining.p99Ms - before.p99Ms));
  const title = `${SPECTATORS} spectators within 1 s, 8 players x ${EVENTS_PER_SECOND}/s, minute 60, snapshots of ${bytes} bytes; medians of ${ours.length} rounds`;
  printTable(title, [
    ['', 'ours', 'bare ws', 'ours / bare'],
    [
      ...row('first picture p50, ms', frames(0.5)),
      verdict(median(ours.map(frames(0.5))), { atMost: GOAL_FIRST_FRAME_MS }),
    ],
    row('first picture p99, ms', frames(0.99)),
    row('there within 20 s', ({ firstFramesMs }) => firstFramesMs.length),
    row('server CPU until all are there, s', ({ joining }) => joining.serverCpuS),
    row('all of them there after, s', ({ joining }) => joining.seconds),
    ...phases,
    row('load generator CPU, s', ({ loadCpuS }) => loadCpuS),
  ]);
  printLine(
    `  players, p99 while they come minus before, ms: ${number(disturbance)}, ${verdict(disturbance, { atMost: GOAL_DISTURBANCE_MS })}`,
  );
}

function share({ serverCpuS, seconds }: Phase): number {
  return (100 * serverCpuS) / seconds;
}
