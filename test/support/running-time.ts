const TICK_MS = 5;
let ticks = 0;
setInterval(() => ticks++, TICK_MS).unref();

/**
 * How long it has been since the call, in milliseconds of a clock that runs only while this process does: when the machine stands
 * still, or gives its time to others, late ticks count as one. What the process itself works counts in full, whether it lets
 * the clock tick or not.
 */
export function runningTime(): () => number {
  const [before, cpu] = [ticks, process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return Math.max((ticks - before) * TICK_MS, (user + system) / 1_000);
  };
}
