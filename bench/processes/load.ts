import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { LoadClient, LoadOrder, LoadResult } from '../support/load.ts';
import { bareSide, ourSide } from '../support/load-sides.ts';
import { processCpuSeconds } from '../support/process-cpu.ts';
import { percentile } from '../support/statistics.ts';

/** How long what is under way may take to arrive. */
const ARRIVES_WITHIN_MS = 5_000;

process.once('message', (order: LoadOrder) => {
  void run(order).then((result) => {
    process.send?.(result);
    process.disconnect();
    process.exit(0);
  });
});

async function run(order: LoadOrder): Promise<LoadResult> {
  const latencies: number[] = [];
  let delivered = 0;
  let isMeasuring = false;
  const onDelivered = (sentAtMs: number) => {
    delivered++;
    if (isMeasuring) latencies.push(performance.now() - sentAtMs);
  };
  const side = await (order.side === 'ours' ? ourSide : bareSide)(order, onDelivered);
  const receivers = order.playersPerRoom - 1;
  const warmUp = await play(side.clients, order.warmUpSeconds, order);
  const before = { server: processCpuSeconds(order.serverPid), load: process.cpuUsage() };
  isMeasuring = true;
  const events = await play(side.clients, order.seconds, order);
  isMeasuring = false;
  const expected = (warmUp + events) * receivers;
  for (const limit = performance.now() + ARRIVES_WITHIN_MS; delivered < expected && performance.now() < limit; )
    await sleep(5);
  const serverCpuS = processCpuSeconds(order.serverPid) - before.server;
  const load = process.cpuUsage(before.load);
  const recordings = await side.finish();
  return {
    events,
    serverCpuS,
    loadCpuS: (load.user + load.system) / 1_000_000,
    latencyP50Ms: percentile(latencies, 0.5),
    latencyP99Ms: percentile(latencies, 0.99),
    sent: warmUp + events,
    delivered,
    expected,
    finishCpuS: processCpuSeconds(order.serverPid) - before.server - serverCpuS,
    recordings,
  };
}

/** Each player in turn, evenly, at the rate ordered; what a late timer missed is caught up. Returns how many were sent. */
async function play(clients: readonly LoadClient[], seconds: number, { eventsPerSecond }: LoadOrder): Promise<number> {
  const total = Math.round(seconds * eventsPerSecond) * clients.length;
  const perMs = total / (seconds * 1_000);
  const startedAt = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor((performance.now() - startedAt) * perMs));
    while (sent < due) clients[sent++ % clients.length]?.send();
    if (sent < total) await sleep(1);
  }
  await nextTurn();
  return total;
}
