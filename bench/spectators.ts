import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchOptions } from './support/bench.ts';
import { journalRoom } from './support/journaled-room.ts';
import { leaveFiles } from './support/left-journal.ts';
import { type LoadProcess, mayGoFirst, startLoad } from './support/load-process.ts';
import { HOUR_OF_EDITS, longTypists } from './support/long-session.ts';
import { number, printLine, printTable, ratio, verdict, warn } from './support/print.ts';
import { processCpuSeconds } from './support/process-cpu.ts';
import { startBareRelay, startRelayProcess } from './support/server-process.ts';
import { median, percentile } from './support/statistics.ts';
import { typeOffline } from './support/trace-session.ts';
import type { Crowd, Heard, LoopDelay, PlayOrder, WatchOrder } from './support/watch-load.ts';

const ROOM = 'hour';
const SPECTATORS = 1_000;
/** So many of them see what one on a machine of its own would: what the others wait for is mostly their own process. */
const PROBES = 50;
const WARM_UP_SECONDS = 3;
const QUIET_SECONDS = 6;
const EVENTS_PER_SECOND = 10;
const LOOP_DELAY = new URL('./processes/report-loop-delay.js', import.meta.url).href;
const CORES = { server: 0, load: 1 };
const GOAL_FIRST_FRAME_MS = 50;
const GOAL_FIRST_FRAME_P99_MS = 250;
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

interface Phase extends Heard {
  readonly serverCpuS: number;
  readonly seconds: number;
  readonly loop: LoopDelay;
}

interface Result extends Crowd {
  readonly probes: Crowd;
  readonly before: Phase;
  /** From the first that comes until the last has the whole room. */
  readonly joining: Phase;
  /** With all of them there. */
  readonly watched: Phase;
}

type Players = PlayOrder['players'];

async function measureAll(home: string, players: Players, { rounds, profile }: BenchOptions): Promise<void> {
  const ours: Result[] = [];
  const bare: Result[] = [];
  for (let round = 0; round < rounds; round++) {
    const own = await measure('ours', players, { home, profile });
    ours.push(own);
    bare.push(await measure('bare', players, { snapshotBytes: own.snapshotBytes }));
  }
  print(ours, bare);
}

async function measure(
  side: PlayOrder['side'],
  players: Players,
  { home, profile, snapshotBytes = 0 }: { home?: string; profile?: string | undefined; snapshotBytes?: number },
): Promise<Result> {
  const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const nodeOptions = ['--import', LOOP_DELAY, ...profiling];
  const loopDelayFile = join(tmpdir(), `gametape-bench-loop-${process.pid}.json`);
  process.env.LOOP_DELAY_FILE = loopDelayFile;
  const server =
    side === 'bare'
      ? await startBareRelay({ core: CORES.server, nodeOptions })
      : await startRelayProcess({ core: CORES.server, nodeOptions, ...(home !== undefined && { copyOf: home }) });
  const common = { side, wsUrl: server.wsUrl, room: ROOM, players };
  const loads: LoadProcess<unknown>[] = [];
  const goesFirst = mayGoFirst();
  if (!goesFirst) warn('chrt is refused: what players notice is partly that they share a core with a thousand clients');
  try {
    const playing = startLoad<PlayOrder, Heard>(
      'players',
      { ...common, eventsPerSecond: EVENTS_PER_SECOND },
      { core: CORES.load, goesFirst },
    );
    loads.push(playing);
    await playing.next();
    const phase = async (work: Promise<unknown>): Promise<Phase> => {
      await loopDelay(server.pid, loopDelayFile);
      playing.send('start over');
      await playing.next();
      const cpu = processCpuSeconds(server.pid);
      const startedAt = performance.now();
      await work;
      const seconds = (performance.now() - startedAt) / 1_000;
      const serverCpuS = processCpuSeconds(server.pid) - cpu;
      playing.send('finish');
      const heard = await playing.next();
      return { ...heard, serverCpuS, seconds, loop: await loopDelay(server.pid, loopDelayFile) };
    };
    await sleep(WARM_UP_SECONDS * 1_000);
    const before = await phase(sleep(QUIET_SECONDS * 1_000));
    const come = (prefix: string, spectators: number, niceness: number) => {
      const order = { ...common, prefix, spectators, joinSeconds: 1, snapshotBytes };
      const load = startLoad<WatchOrder, Crowd>('crowd', order, { core: CORES.load, niceness });
      loads.push(load);
      return load.next();
    };
    const all = Promise.all([come('probe', PROBES, 5), come('watcher', SPECTATORS - PROBES, 19)]);
    const joining = await phase(all);
    const watched = await phase(sleep(QUIET_SECONDS * 1_000));
    const [probes, crowd] = await all;
    const result = { ...crowd, probes, before, joining, watched };
    const firstFramesMs = [...probes.firstFramesMs, ...crowd.firstFramesMs];
    const players99 = [before, joining, watched].map(({ p99Ms }) => number(p99Ms)).join(', ');
    printLine(
      `  ${side}: ${firstFramesMs.length} of ${SPECTATORS} there, first picture p50 ${number(median(probes.firstFramesMs))} ms; players p99 before, while and after they come: ${players99} ms`,
    );
    return result;
  } finally {
    for (const load of loads) await load.stop();
    await server.stop();
    await rm(loopDelayFile, { force: true });
  }
}

/** Of the server since it was last asked. */
async function loopDelay(serverPid: number, file: string): Promise<LoopDelay> {
  await rm(file, { force: true });
  process.kill(serverPid, 'SIGUSR2');
  for (;;) {
    const json = await readFile(file, 'utf8').catch(() => '');
    if (json.endsWith('}')) return JSON.parse(json) as LoopDelay;
    await sleep(5);
  }
}

function print(ours: readonly Result[], bare: readonly Result[]): void {
  const row = (name: string, pick: (result: Result) => number): string[] => {
    const [own, peer] = [median(ours.map(pick)), median(bare.map(pick))];
    return [name, number(own), number(peer), ratio(own, peer)];
  };
  const framesOf = (results: readonly Result[], share: number) =>
    percentile(
      results.flatMap(({ probes }) => probes.firstFramesMs),
      share,
    );
  const frames = (share: number) => {
    const [own, peer] = [framesOf(ours, share), framesOf(bare, share)];
    return [`first picture p${100 * share}, ms`, number(own), number(peer), ratio(own, peer)];
  };
  const crowdFrames = (share: number) => (result: Result) => percentile(result.firstFramesMs, share);
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
    [...frames(0.5), verdict(framesOf(ours, 0.5), { atMost: GOAL_FIRST_FRAME_MS })],
    [...frames(0.99), verdict(framesOf(ours, 0.99), { atMost: GOAL_FIRST_FRAME_P99_MS })],
    row('first picture p50 in the crowd, ms', crowdFrames(0.5)),
    row('first picture p99 in the crowd, ms', crowdFrames(0.99)),
    row('there within 20 s', ({ probes, firstFramesMs }) => probes.firstFramesMs.length + firstFramesMs.length),
    row('server CPU until all are there, s', ({ joining }) => joining.serverCpuS),
    row('all of them there after, s', ({ joining }) => joining.seconds),
    ...phases,
    row('load generator CPU until all are there, s', ({ loadCpuS }) => loadCpuS),
  ]);
  printLine(
    `  players, p99 while they come minus before, ms: ${number(disturbance)}, ${verdict(disturbance, { atMost: GOAL_DISTURBANCE_MS })}`,
  );
}

function share({ serverCpuS, seconds }: Phase): number {
  return (100 * serverCpuS) / seconds;
}
