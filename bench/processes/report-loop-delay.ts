import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LoopDelay } from '../support/watch-load.ts';

/**
 * Loaded into a server with `--import`: on SIGUSR2 it writes how late its event loop has been since the last time into the
 * file that LOOP_DELAY_FILE names.
 */
const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
process.on('SIGUSR2', () => {
  const delay: LoopDelay = { p99Ms: histogram.percentile(99) / 1e6, worstMs: histogram.max / 1e6 };
  histogram.reset();
  writeFileSync(process.env.LOOP_DELAY_FILE as string, JSON.stringify(delay));
});
