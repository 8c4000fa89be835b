import { readFileSync } from 'node:fs';

/** USER_HZ: what Linux counts these times in, on every machine. */
const TICKS_PER_SECOND = 100;

/** User and system time of a process with all its threads, in seconds, by the kernel's own count (Linux). */
export function processCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name comes second, in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
