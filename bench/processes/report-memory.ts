import { readFileSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Where the parent listens. */
const REPORT_FD = 3;
const KIB_PER_MIB = 1024;

// Threads load this too, and share the memory.
if (isMainThread) process.on('exit', () => writeSync(REPORT_FD, JSON.stringify({ peakMiB: peakKiB() / KIB_PER_MIB })));

function peakKiB(): number {
  try {
    // maxRSS would also count what the parent had when it started this process.
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (peak !== undefined) return Number(peak);
  } catch {
    // Only Linux has it.
  }
  return process.resourceUsage().maxRSS;
}
