import type { Bench } from './support/bench.ts';
import { ClockPath, type ClockPathKind } from './support/clock-path.ts';
import { number, printLine, printTable, ratio, verdict } from './support/print.ts';
import { ClockEstimate, Probes } from './support/private-parts.ts';
import { percentile } from './support/statistics.ts';
import { type OffsetFrom, timesyncOffsets } from './support/timesync-offsets.ts';

const SEEDS = [1, 2, 3, 4];
const DURATION_US = 400e6;
const EVENT_US = 100_000;
/** From here on drift can be known. */
const SETTLED_US = 60e6;
/** Each of ours has answered its first probes, and timesync its first round. */
const STARTED_US = 6e6;

const WIFI = { upUs: 10_000, downUs: 10_000, jitterUs: 2_500, spikes: 0.02, spikeUs: 200_000, driftPpm: 40 };
const WAN = { upUs: 40_000, downUs: 40_000, jitterUs: 4_000, spikes: 0.02, spikeUs: 300_000, driftPpm: 40 };

/** Goals: what the design wants, and half of what the two ways differ by, which nobody can know. */
const PATHS: readonly ClockPathKind[] = [
  { name: 'LAN 2 ms', ...WIFI, upUs: 1_000, downUs: 1_000, jitterUs: 100, spikeUs: 5_000, goalMs: 1 },
  { name: 'Wi-Fi 20 ms', ...WIFI, goalMs: 3 },
  { name: 'Wi-Fi 20 ms, 200 ppm', ...WIFI, driftPpm: 200, goalMs: 3 },
  { name: 'WAN 80 ms', ...WAN, goalMs: 2 },
  { name: 'WAN 80 ms, 20 % asymmetric', ...WAN, upUs: 48_000, downUs: 32_000, goalMs: 10 },
  {
    name: 'cellular 120 ms, 30 % asymmetric',
    ...WAN,
    upUs: 78_000,
    downUs: 42_000,
    jitterUs: 20_000,
    spikeUs: 500_000,
    goalMs: 20,
  },
];

/** Errors in milliseconds, of events every 100 ms. */
interface Errors {
  readonly all: number[];
  readonly settled: number[];
}

export const clocks: Bench = {
  name: 'clocks',
  about: 'how exact event times are on six networks, beside timesync and beside the last probe (T2)',
  run: async () => {
    const rows = [
      ['from the second minute on, p50 / p99 ms', 'last probe', 'timesync', 'ours', 'bound', 'against timesync'],
    ];
    const early = [['from 6 s on, p50 / p99 ms', 'last probe', 'timesync', 'ours']];
    const verdicts: string[] = [];
    for (const kind of PATHS) {
      const [last, timesync, ours] = [noErrors(), noErrors(), noErrors()];
      const bounds: number[] = [];
      for (const seed of SEEDS) {
        const path = new ClockPath(kind, seed, DURATION_US);
        const probed = probe(path, ours, bounds);
        judge(path, probed, last);
        judge(path, await timesyncOffsets(path, DURATION_US), timesync);
      }
      const p99 = percentile(ours.settled, 0.99);
      const against = ratio(p99, percentile(timesync.settled, 0.99));
      const cells = [last, timesync, ours].map(({ settled }) => pair(settled));
      rows.push([kind.name, ...cells, `±${number(percentile(bounds, 0.5))}`, against]);
      early.push([kind.name, ...[last, timesync, ours].map(({ all }) => pair(all))]);
      verdicts.push(`${kind.name}: ours ${number(p99)} ms, ${verdict(p99, { atMost: kind.goalMs })}`);
    }
    printTable('Error of event times', rows);
    printTable('The same while it starts', early);
    printLine();
    for (const line of verdicts) printLine(line);
  },
};

/** Our own schedule and estimate, events in between; returns what the last probe alone says at each time. */
function probe(path: ClockPath, errors: Errors, bounds: number[]): OffsetFrom[] {
  const probes = new Probes();
  const estimate = new ClockEstimate(1);
  const offsets: OffsetFrom[] = [];
  estimate.greet(path.arrivesUp(0), path.clock(0));
  probes.begin(0, 0);
  let pseq = 0;
  for (let now = 0, event = 0; now < DURATION_US; now = Math.max(now + 1_000, probes.dueAt)) {
    const id = probes.next(now);
    if (id === undefined) continue;
    probes.sent(id, now);
    const there = path.arrivesDown(now);
    const [clientReceived, clientSent] = [path.clock(there), path.clock(there + 20)];
    const answeredAt = path.arrivesUp(there + 20);
    for (; event < answeredAt; event += EVENT_US) {
      const stamp = path.clock(event);
      const arrival = path.arrivesUp(event);
      const time = estimate.roomTime(++pseq, stamp, arrival);
      const placed = Math.min(time, arrival);
      estimate.placed({
        stamp,
        time: placed,
        arrival,
        causeTime: 0,
        wasAhead: time > arrival,
        wasEarly: false,
        wasBefore: false,
      });
      note(errors, event, placed - event);
      if (event >= SETTLED_US && estimate.errorUs !== null) bounds.push(estimate.errorUs / 1_000);
    }
    probes.answer(id);
    estimate.add({ sentAt: now, answeredAt, clientReceived, clientSent });
    offsets.push({ from: answeredAt, offset: (clientReceived + clientSent - now - answeredAt) / 2 });
    now = answeredAt;
  }
  return offsets;
}

function judge(path: ClockPath, offsets: readonly OffsetFrom[], errors: Errors): void {
  let at = 0;
  for (let event = 0; event < DURATION_US; event += EVENT_US) {
    while (at + 1 < offsets.length && (offsets[at + 1] as OffsetFrom).from <= event) at++;
    const { from, offset } = offsets[at] as OffsetFrom;
    if (from <= event) note(errors, event, path.clock(event) - offset - event);
  }
}

function note({ all, settled }: Errors, event: number, errorUs: number): void {
  if (event >= STARTED_US) all.push(Math.abs(errorUs) / 1_000);
  if (event >= SETTLED_US) settled.push(Math.abs(errorUs) / 1_000);
}

function noErrors(): Errors {
  return { all: [], settled: [] };
}

function pair(errors: readonly number[]): string {
  return `${number(percentile(errors, 0.5))} / ${number(percentile(errors, 0.99))}`;
}
