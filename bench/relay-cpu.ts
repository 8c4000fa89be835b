import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openRecording } from '@gametape/client-sdk';
import type { Bench, BenchOptions } from './support/bench.ts';
import { EVENT_BYTES, type LoadOrder, type LoadResult } from './support/load.ts';
import { runLoad } from './support/load-process.ts';
import { number, printLine, printTable, ratio, verdict, warn } from './support/print.ts';
import { type ServerProcess, startBareRelay, startRelayProcess } from './support/server-process.ts';
import { median } from './support/statistics.ts';

const PLAYERS_PER_ROOM = 4;
const EVENTS_PER_SECOND = 100;
/** The compiler needs some time with both servers; the figure is of one that has been running. */
const WARM_UP_SECONDS = 5;
const CORES = { server: 0, load: 1 };
const GOAL = 0.6;

type Side = LoadOrder['side'];

export const relayCpu: Bench = {
  name: 'relay-cpu',
  about: 'what relaying costs the server with recording on, against a bare ws broadcast loop that records nothing',
  run: async (options) => {
    if (!existsSync('/proc/self/stat')) return warn('CPU of another process is read from /proc: relay-cpu needs Linux');
    const results: Record<Side, LoadResult[]> = { bare: [], ours: [] };
    for (let round = 0; round < options.rounds; round++) {
      for (const side of ['bare', 'ours'] as const) results[side].push(await measure(side, options));
    }
    printResults(results, options);
  },
};

async function measure(side: Side, { rooms, seconds, profile }: BenchOptions): Promise<LoadResult> {
  const profiling = profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profile];
  const server =
    side === 'bare'
      ? await startBareRelay({ core: CORES.server })
      : await startRelayProcess({ core: CORES.server, nodeOptions: profiling });
  try {
    const rates = { rooms, playersPerRoom: PLAYERS_PER_ROOM, eventsPerSecond: EVENTS_PER_SECOND };
    const times = { warmUpSeconds: WARM_UP_SECONDS, seconds };
    const order = { side, wsUrl: server.wsUrl, serverPid: server.pid, ...rates, ...times };
    const result = await runLoad<LoadOrder, LoadResult>('load', order, CORES.load);
    const recorded = side === 'ours' ? `, ${await recordedOf(server, result)}` : '';
    printLine(
      `  ${side}: ${number(microsecondsOf(result))} us an event, ${number(result.delivered)} of ${number(result.expected)} delivered${recorded}`,
    );
    return result;
  } finally {
    await server.stop();
  }
}

/** Counts what the finished recordings really hold. */
async function recordedOf({ dataDir = '' }: ServerProcess, { recordings, sent }: LoadResult): Promise<string> {
  let events = 0;
  let complete = 0;
  for (const id of recordings) {
    const tape = await openRecording(join(dataDir, 'recordings', `${id}.lmsp`));
    for await (const { type } of tape.events({ type: 'input' })) if (type === 'input') events++;
    if (tape.complete) complete++;
    await tape.close();
  }
  return `${number(events)} of ${number(sent)} recorded, ${complete} of ${recordings.length} recordings complete`;
}

function printResults({ bare, ours }: Record<Side, LoadResult[]>, { rooms, seconds, rounds }: BenchOptions): void {
  const row = (name: string, pick: (result: LoadResult) => number) => {
    const [own, peer] = [median(ours.map(pick)), median(bare.map(pick))];
    return [name, number(own), number(peer), ratio(own, peer)];
  };
  const load = `${rooms} rooms x ${PLAYERS_PER_ROOM} players x ${EVENTS_PER_SECOND}/s x ${seconds} s, events of ${EVENT_BYTES} bytes`;
  const cost = row('server CPU, us an event', microsecondsOf);
  printTable(`${load}; medians of ${rounds} rounds; ours by SDK sessions, with the file journal`, [
    ['', 'ours', 'bare ws', 'ours / bare'],
    [...cost, verdict(median(ours.map(microsecondsOf)) / median(bare.map(microsecondsOf)), { atMost: GOAL })],
    row('server CPU, s', ({ serverCpuS }) => serverCpuS),
    row('latency p50, ms', ({ latencyP50Ms }) => latencyP50Ms),
    row('latency p99, ms', ({ latencyP99Ms }) => latencyP99Ms),
    row('load generator CPU, s', ({ loadCpuS }) => loadCpuS),
    ['finishing the recordings, CPU s', number(median(ours.map(({ finishCpuS }) => finishCpuS)))],
  ]);
  const busiest = Math.max(...[...ours, ...bare].map(({ loadCpuS }) => loadCpuS / seconds));
  if (busiest > 0.9)
    printLine(`  The load generator used ${number(busiest * 100)} % of its core: latencies are partly its own.`);
}

function microsecondsOf({ serverCpuS, events }: LoadResult): number {
  return (serverCpuS * 1_000_000) / events;
}
